/**
 * The terms of the score. A term is a piecewise linear curve through knots whose distance is a power of two.
 * index-builder/train/score.ts learns the knots' weights. src/matching/model/score-terms.ts has the same table with the
 * meaning of every term, and a test compares the two.
 */
import { MASSES } from './layout';

/** Represents 1: a value between two knots is distributed over them in 256ths. */
export const WHOLE: i32 = 256;

// Numbers of the terms.
export const CONSTANT: i32 = 0;
export const PAIRED_CODE: i32 = 1;
export const PAIRED_PLACE: i32 = 2;
export const PAIRED_DIRECTION: i32 = 3;
export const PAIRED_NEAR_EDGE: i32 = 4;
export const PAIRED_FAR_EDGE: i32 = 5;
export const PAIRED_TYPE: i32 = 6;
export const PAIRED_QUALITY_STATED: i32 = 7;
export const PAIRED_QUALITY: i32 = 8;
export const UNPAIRED_PLACE: i32 = 9;
export const UNPAIRED_NEAREST: i32 = 10;
export const UNPAIRED_CODE: i32 = 11;
export const UNPAIRED_CROWD: i32 = 12;
export const ALL_PAIRED: i32 = 13;
export const ALL_WORTH: i32 = 14;
export const ALL_MINUTIAE: i32 = 15;
export const ALL_EDGES: i32 = 16;
export const ALL_CLOSE: i32 = 17;
export const ALL_SPREAD: i32 = 18;
export const ALL_DIRECTION: i32 = 19;
export const ALL_TYPES: i32 = 20;
export const ALL_BENT: i32 = 21;
export const TERM_COUNT: i32 = 22;
/** Knots of all terms together. */
export const KNOT_COUNT: i32 = 213;

/** u8 [22 × 3]: first knot, knots, and the exponent of the step between two knots. */
export const TERMS: usize = memory.data<u8>([
  0, 1, 0, 1, 9, 4, 10, 5, 4, 15, 5, 4, 20, 9, 3, 29, 9, 3, 38, 3, 0, 41, 2, 0, 43, 5, 4, 48, 15, 0, 63, 5, 4, 68, 9, 4,
  77, 6, 1, 83, 17, 2, 100, 24, 3, 124, 17, 2, 141, 9, 3, 150, 9, 3, 159, 24, 3, 183, 12, 3, 195, 9, 3, 204, 9, 3,
]);

/** Adds a value to a term, distributed over the knots below and above. Values past the last knot go to the last one. */
export function addTo(term: i32, value: i32, scratch: usize): void {
  const entry = TERMS + ((term * 3) as usize);
  const shift = load<u8>(entry, 2) as i32;
  const last = (load<u8>(entry, 1) as i32) - 1;
  const knot = value >> shift;
  const masses = scratch + MASSES + ((load<u8>(entry) as usize) << 2);
  if (knot >= last) {
    const at = masses + ((last as usize) << 2);
    store<i32>(at, load<i32>(at) + WHOLE);
    return;
  }
  const share = (value & ((1 << shift) - 1)) << (8 - shift);
  const at = masses + ((knot as usize) << 2);
  store<i32>(at, load<i32>(at) + WHOLE - share);
  store<i32>(at, load<i32>(at, 4) + share, 4);
}

export function clearTerms(scratch: usize): void {
  memory.fill(scratch + MASSES, 0, (KNOT_COUNT as usize) << 2);
}

/** 16 log2(v + 1), linear between powers of two. v is 0 to 2^26. */
export function octaves(v: i32): i32 {
  const w = v + 1;
  const octave = 31 - clz(w);
  return (octave << 4) + (((w << 4) >> octave) - 16);
}
