/**
 * The 128-bit code of a minutia: each bit is the side of a learned plane on which its cylinder lies. Codes of one minutia
 * in two impressions differ in few bits. index-builder/train/codes.ts learns the planes.
 *
 * Integer arithmetic gives the same code on every machine. Four planes take two numbers each in one instruction
 * (i32x4.dot_i16x8_s): the sums of four bits are then the four lanes of a vector, and nothing is added across lanes. A
 * third of the places is empty; the planes are arranged by places, so that empty ones are left out. Thirty-two bits are
 * made at a time: their numbers, 20 KiB, stay in the first-level cache while the neighbourhoods of all minutiae pass.
 */
import {
  BLOCK,
  CELLS,
  CODE_BITS,
  CODE_BLOCK_BYTES,
  CYLINDER_SIZE,
  ENDS,
  PLACES,
  PLACE_ROOTS,
  ROOTS,
  TURN_CELLS,
  getB,
} from './layout';
import { makeAngularRows } from './angular';
import { DISC } from './tables';

/** Bits that are made together. */
const GROUP_BITS: i32 = 32;
/** Bytes of a group at one place: for each two directions 32 planes, two numbers of each. */
const PLACE_PLANES: usize = 3 * (GROUP_BITS as usize) * 4;
const TWO_DIRECTIONS: usize = PLACE_PLANES / 3;
const GROUP: usize = (PLACES as usize) * PLACE_PLANES;
/** Bytes of a plane in the model, direction first and with the corners of the base: i16 [6 × 64]. */
const MODEL_ROW: usize = (CYLINDER_SIZE as usize) << 1;
const MODEL_GROUP: usize = (GROUP_BITS as usize) * MODEL_ROW;
/** The offsets of the planes, i32 [128], follow the planes: in the model, and after arrangePlanes. */
const MODEL_OFFSETS: usize = (CODE_BITS as usize) * MODEL_ROW;
const OFFSETS: usize = ((CODE_BITS / GROUP_BITS) as usize) * GROUP;
/** The rows of angular weights follow: there is room, because the corners are left out. */
const ANGULAR_ROWS: usize = OFFSETS + ((CODE_BITS as usize) << 2);

/** Where the planes' numbers of a place begin, within a group. */
@inline
export function planesOf(place: i32): i32 {
  return place * (PLACE_PLANES as i32);
}

/** Where the angular weights are, see angular.ts. */
@inline
export function angularRowsOf(planes: usize): usize {
  return planes + ANGULAR_ROWS;
}

/**
 * Reorders the model's planes in place, and makes the rows of angular weights. The corners of the base are always empty
 * and are left out. Called once, before the first code is made.
 * @param planes - i16 [128 × 384], then i32 [128]; becomes i16 [4 groups × 52 places × 3 × 32 planes × 2 directions],
 * then i32 [128], then the rows
 * @param scratch - of MODEL_GROUP bytes
 */
export function arrangePlanes(planes: usize, scratch: usize): void {
  for (let group: usize = 0; group < ((CODE_BITS / GROUP_BITS) as usize); group++) {
    memory.copy(scratch, planes + group * MODEL_GROUP, MODEL_GROUP);
    const out = planes + group * GROUP;
    for (let place = 0; place < PLACES; place++) {
      const cell = getB(DISC, place);
      for (let k = 0; k < TURN_CELLS; k++) {
        const from = scratch + (((k * CELLS + cell) as usize) << 1);
        const to = out + planesOf(place) + ((k >> 1) as usize) * TWO_DIRECTIONS + (((k & 1) as usize) << 1);
        for (let bit: usize = 0; bit < (GROUP_BITS as usize); bit++) {
          store<i16>(to + (bit << 2), load<i16>(from + bit * MODEL_ROW));
        }
      }
    }
  }
  memory.copy(planes + OFFSETS, planes + MODEL_OFFSETS, (CODE_BITS as usize) << 2);
  makeAngularRows(angularRowsOf(planes));
}

/**
 * Turns neighbourhoods into codes. Byte k of minutia i is written at `codes + 256 (i / 16) + 16 k + i % 16`.
 * @param planes - arranged, 16-byte aligned
 * @param scratch - has the neighbourhoods, see cylinder.ts
 */
export function makeCodes(planes: usize, count: i32, codes: usize, scratch: usize): void {
  for (let group = 0; group < CODE_BITS / GROUP_BITS; group++) {
    const offsets = planes + OFFSETS + (group as usize) * ((GROUP_BITS as usize) << 2);
    let at = scratch + ROOTS;
    for (let i = 0; i < count; i++) {
      const end = load<u32>(scratch + ENDS + ((i as usize) << 2)) as usize;
      const block = codes + ((i / BLOCK) as usize) * CODE_BLOCK_BYTES + ((i % BLOCK) as usize);
      fourBytes(planes + (group as usize) * GROUP, offsets, at, end, block + ((group as usize) << 6));
      at = end;
    }
  }
}

/** Thirty-two bits of a code: eight vectors of sums, which stay in registers. */
@inline
function fourBytes(planes: usize, offsets: usize, roots: usize, end: usize, out: usize): void {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  let c = i32x4.splat(0);
  let d = i32x4.splat(0);
  let e = i32x4.splat(0);
  let f = i32x4.splat(0);
  let g = i32x4.splat(0);
  let h = i32x4.splat(0);
  for (let at = roots; at < end; at += PLACE_ROOTS) {
    const plane = planes + (load<u32>(at, 12) as usize);
    const first = v128.load32_splat(at);
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(plane), first));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(plane, 16), first));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(plane, 32), first));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(plane, 48), first));
    e = i32x4.add(e, i32x4.dot_i16x8_s(v128.load(plane, 64), first));
    f = i32x4.add(f, i32x4.dot_i16x8_s(v128.load(plane, 80), first));
    g = i32x4.add(g, i32x4.dot_i16x8_s(v128.load(plane, 96), first));
    h = i32x4.add(h, i32x4.dot_i16x8_s(v128.load(plane, 112), first));
    const second = v128.load32_splat(at, 4);
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(plane, 128), second));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(plane, 144), second));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(plane, 160), second));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(plane, 176), second));
    e = i32x4.add(e, i32x4.dot_i16x8_s(v128.load(plane, 192), second));
    f = i32x4.add(f, i32x4.dot_i16x8_s(v128.load(plane, 208), second));
    g = i32x4.add(g, i32x4.dot_i16x8_s(v128.load(plane, 224), second));
    h = i32x4.add(h, i32x4.dot_i16x8_s(v128.load(plane, 240), second));
    const third = v128.load32_splat(at, 8);
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(plane, 256), third));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(plane, 272), third));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(plane, 288), third));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(plane, 304), third));
    e = i32x4.add(e, i32x4.dot_i16x8_s(v128.load(plane, 320), third));
    f = i32x4.add(f, i32x4.dot_i16x8_s(v128.load(plane, 336), third));
    g = i32x4.add(g, i32x4.dot_i16x8_s(v128.load(plane, 352), third));
    h = i32x4.add(h, i32x4.dot_i16x8_s(v128.load(plane, 368), third));
  }
  const low = sixteenBits(offsets, a, b, c, d);
  const high = sixteenBits(offsets + 64, e, f, g, h);
  store<u8>(out, low as u8);
  store<u8>(out, (low >> 8) as u8, 16);
  store<u8>(out, high as u8, 32);
  store<u8>(out, (high >> 8) as u8, 48);
}

/** Which of sixteen sums are greater than their offsets. */
@inline
function sixteenBits(offsets: usize, a: v128, b: v128, c: v128, d: v128): i32 {
  const front = i16x8.narrow_i32x4_s(
    i32x4.gt_s(a, v128.load(offsets)),
    i32x4.gt_s(b, v128.load(offsets, 16)),
  );
  const back = i16x8.narrow_i32x4_s(
    i32x4.gt_s(c, v128.load(offsets, 32)),
    i32x4.gt_s(d, v128.load(offsets, 48)),
  );
  return i8x16.bitmask(i8x16.narrow_i16x8_s(front, back));
}
