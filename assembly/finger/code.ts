/**
 * The 128-bit code of a minutia: each bit is the side of a learned plane on which its cylinder lies. Codes of one minutia
 * in two impressions differ in few bits. index-builder/train/codes.ts learns the planes.
 *
 * Integer arithmetic gives the same code on every machine. A plane is 312 consecutive numbers: eight sixteen-bit products
 * and their pairwise sums are one instruction (i32x4.dot_i16x8_s). The table, 78 KiB, is read forwards once for each
 * print; the roots of all its minutiae, 40 KiB at most, stay in cache.
 */
import { fourSums } from '../product';
import {
  BLOCK,
  CELLS,
  CODE_BITS,
  CODE_BLOCK_BYTES,
  CYLINDER_SIZE,
  PLACES,
  ROOTS_ROW,
  TURN_CELLS,
  getB,
} from './layout';
import { DISC } from './tables';

/** Bytes of a plane in the model, direction first and with the corners of the base: i16 [6 × 64]. */
const MODEL_ROW: usize = (CYLINDER_SIZE as usize) << 1;
/** The offsets of the planes, i32 [128], follow the planes: in the model, and after arrangePlanes. */
const MODEL_OFFSETS: usize = (CODE_BITS as usize) * MODEL_ROW;
const OFFSETS: usize = (CODE_BITS as usize) * ROOTS_ROW;

/**
 * Reorders the model's planes in place, to the order of the roots. The corners of the base are always empty; leaving
 * them out saves a fifth of the multiplications. Called once, before the first code is made.
 * @param planes - i16 [128 × 384], then i32 [128]; becomes i16 [128 × 312], then i32 [128]
 * @param scratch - of ROOTS_ROW bytes
 */
export function arrangePlanes(planes: usize, scratch: usize): void {
  for (let bit: usize = 0; bit < (CODE_BITS as usize); bit++) {
    const plane = planes + bit * MODEL_ROW;
    for (let n = 0; n < PLACES; n++) {
      const cell = getB(DISC, n);
      for (let k = 0; k < TURN_CELLS; k++) {
        const value = load<i16>(plane + (((k * CELLS + cell) as usize) << 1));
        store<i16>(scratch + (((n * TURN_CELLS + k) as usize) << 1), value);
      }
    }
    memory.copy(planes + bit * ROOTS_ROW, scratch, ROOTS_ROW);
  }
  memory.copy(planes + OFFSETS, planes + MODEL_OFFSETS, (CODE_BITS as usize) << 2);
}

/**
 * Turns the roots of cylinders into codes. Byte k of minutia i is written at `codes + 256 (i / 16) + 16 k + i % 16`.
 *
 * Four planes are multiplied with two minutiae at a time: eight sums stay in registers, and each number that is read is
 * used in two or four products. One plane with one minutia reads two and a half times as much.
 * @param planes - arranged, 16-byte aligned
 * @param roots - i16 [count × 312], 16-byte aligned
 * @param codes - zeros
 */
export function makeCodes(planes: usize, roots: usize, count: i32, codes: usize): void {
  for (let bit = 0; bit < CODE_BITS; bit += 4) {
    const plane = planes + (bit as usize) * ROOTS_ROW;
    const offsets = v128.load(planes + OFFSETS + ((bit as usize) << 2));
    // If the count is odd, the last minutia is paired with itself.
    for (let i = 0; i < count; i += 2) twoNibbles(plane, offsets, roots, codes, bit, i, min<i32>(i + 1, count - 1));
  }
}

/** Four bits of each of two codes. */
@inline
function twoNibbles(plane: usize, offsets: v128, roots: usize, codes: usize, bit: i32, a: i32, b: i32): void {
  const rootsA = roots + (a as usize) * ROOTS_ROW;
  const rootsB = roots + (b as usize) * ROOTS_ROW;
  let a0 = i32x4.splat(0);
  let a1 = i32x4.splat(0);
  let a2 = i32x4.splat(0);
  let a3 = i32x4.splat(0);
  let b0 = i32x4.splat(0);
  let b1 = i32x4.splat(0);
  let b2 = i32x4.splat(0);
  let b3 = i32x4.splat(0);
  for (let at: usize = 0; at < ROOTS_ROW; at += 16) {
    const ra = v128.load(rootsA + at);
    const rb = v128.load(rootsB + at);
    const p0 = v128.load(plane + at);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(p0, ra));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(p0, rb));
    const p1 = v128.load(plane + at, ROOTS_ROW);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(p1, ra));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(p1, rb));
    const p2 = v128.load(plane + at, 2 * ROOTS_ROW);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(p2, ra));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(p2, rb));
    const p3 = v128.load(plane + at, 3 * ROOTS_ROW);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(p3, ra));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(p3, rb));
  }
  writeNibble(codes, bit, a, i32x4.bitmask(i32x4.gt_s(fourSums(a0, a1, a2, a3), offsets)));
  writeNibble(codes, bit, b, i32x4.bitmask(i32x4.gt_s(fourSums(b0, b1, b2, b3), offsets)));
}

@inline
function writeNibble(codes: usize, bit: i32, i: i32, nibble: i32): void {
  const byte =
    codes + ((i / BLOCK) as usize) * CODE_BLOCK_BYTES + (((bit >> 3) as usize) << 4) + ((i % BLOCK) as usize);
  store<u8>(byte, ((load<u8>(byte) as i32) | (nibble << (bit & 4))) as u8);
}
