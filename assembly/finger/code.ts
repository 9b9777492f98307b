/**
 * The 128-bit code of a minutia: on which side of 128 learned planes its cylinder lies. Codes of one minutia in two
 * impressions differ in few bits. index-builder/train/codes.ts says how the planes are learned.
 *
 * Whole numbers throughout, so that the code is the same everywhere. A plane is 384 numbers in a row: eight products of
 * sixteen bits and their pairwise sums are one instruction (i32x4.dot_i16x8_s), and the whole table, 96 KiB, is read
 * forwards once for each minutia.
 */
import { CODE_BITS, CYLINDER, CYLINDER_SIZE, ROOTS, getF } from './layout';

/** Largest root; training makes sure that the sums of no cylinder leave thirty-two bits. */
const LARGEST_ROOT: i32 = 8191;
const ROW: usize = (CYLINDER_SIZE as usize) << 1;
/** Where the offsets of the planes lie, behind the planes: i32 [128]. */
const OFFSETS: usize = (CODE_BITS as usize) * ROW;

/** Square roots: a crowd of minutiae does not drown a single one. */
export function flatten(scratch: usize): void {
  for (let i = 0; i < CYLINDER_SIZE; i++) {
    const root = floor<f64>(sqrt<f64>(getF(scratch + CYLINDER, i))) as i32;
    store<i16>(scratch + ROOTS + ((i as usize) << 1), (root < LARGEST_ROOT ? root : LARGEST_ROOT) as i16);
  }
}

/** The inner product of two rows of i16, `bytes` long, a multiple of 32; both 16-byte aligned. */
export function product(plane: usize, roots: usize, bytes: usize): i32 {
  let low = i32x4.splat(0);
  let high = i32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 32) {
    low = i32x4.add(low, i32x4.dot_i16x8_s(v128.load(plane + i), v128.load(roots + i)));
    high = i32x4.add(high, i32x4.dot_i16x8_s(v128.load(plane + i, 16), v128.load(roots + i, 16)));
  }
  const sum = i32x4.add(low, high);
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
  );
}

/**
 * Turns the cylinder in scratch into a code, written in planes: byte k at `out + 16 k`, `out` being zeros before.
 * @param planes - i16 [128 × 384], then i32 [128]; 16-byte aligned
 */
export function makeCode(planes: usize, scratch: usize, out: usize): void {
  flatten(scratch);
  for (let bit = 0; bit < CODE_BITS; bit++) {
    const offset = load<i32>(planes + OFFSETS + ((bit as usize) << 2));
    if (product(planes + (bit as usize) * ROW, scratch + ROOTS, ROW) <= offset) continue;
    const byte = out + (((bit >> 3) as usize) << 4);
    store<u8>(byte, ((load<u8>(byte) as i32) | (1 << (bit & 7))) as u8);
  }
}
