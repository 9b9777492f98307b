/**
 * Addresses and sizes that the kernels and their host agree on: src/matching/packed-layout.ts describes the packed
 * finger, and src/matching/kernels.ts gives room for the scratch.
 */
import { COSINES } from './tables';

/** The number that stands for 1 in the tables of waves. */
export const UNIT: f64 = 16384.0;

// The packed finger.
export const BLOCK: i32 = 16;
export const CODE_BYTES: i32 = 32;
export const CODE_BLOCK_BYTES: usize = 512;
export const HEADER_BYTES: usize = 16;
export const MOST_MINUTIAE: i32 = 64;
/** Bytes of a packed finger of MOST_MINUTIAE. */
export const LARGEST_PACKED: usize = 2448;
/**
 * Below this there is no constellation to recognise. Of prints cut to five minutiae 28 % score 500 or more with their
 * mates, and 0.03 % with other fingers; of prints cut to four only 7 % do with their mates (FVC2002 DB2 to DB4).
 */
export const MINIMUM_MINUTIAE: i32 = 5;

export function blocksOf(count: i32): usize {
  return ((count + BLOCK - 1) / BLOCK) as usize;
}
export function xOf(finger: usize, i: i32): f64 {
  return load<i16>(finger + HEADER_BYTES + ((i as usize) << 1)) as f64;
}
export function yOf(finger: usize, blocks: usize, i: i32): f64 {
  return load<i16>(finger + HEADER_BYTES + blocks * 32 + ((i as usize) << 1)) as f64;
}
export function angleOf(finger: usize, blocks: usize, i: i32): i32 {
  return load<u8>(finger + HEADER_BYTES + blocks * 64 + (i as usize)) as i32;
}
export function codesOf(finger: usize, blocks: usize): usize {
  return finger + HEADER_BYTES + blocks * 96;
}
export function cosine(direction: i32): f64 {
  return (load<i16>(COSINES + ((direction as usize) << 1)) as f64) / UNIT;
}
export function sine(direction: i32): f64 {
  return cosine((direction - 64) & 255);
}

// Scratch of compareFingers, offsets in bytes.
/** u8 [64 × 64]: code distances, row = probe minutia. */
export const DISTANCES: usize = 0;
/** i32 [256]: how many pairs have each distance. */
export const HISTOGRAM: usize = 4096;
/** Pairs kept for the consensus; at most 32, for they are marked in the bits of a word. */
export const PAIRS: i32 = 32;
/** u8 [32] each: probe and reference minutia of a pair. */
export const PAIR_PROBE: usize = 5120;
export const PAIR_REFERENCE: usize = 5152;
/** f64 [32] each. */
export const PAIR_AX: usize = 5184;
export const PAIR_AY: usize = 5440;
export const PAIR_BX: usize = 5696;
export const PAIR_BY: usize = 5952;
/** Rotation from probe to reference. */
export const PAIR_COS: usize = 6208;
export const PAIR_SIN: usize = 6464;
/** Weight by code distance. */
export const PAIR_WEIGHT: usize = 6720;
/** Present strength, and the next one. */
export const PAIR_STRENGTH: usize = 6976;
export const PAIR_SUPPORT: usize = 7232;
/** f64 [32 × 32]: consensus. */
export const CONSENSUS: usize = 7488;
/** u8 [64] each: minutiae in use. */
export const USED_PROBE: usize = 15680;
export const USED_REFERENCE: usize = 15744;
/** u8 [32]: pairs of the cluster. */
export const CLUSTER: usize = 15808;
/** f64 [64] each: probe minutiae after the alignment. */
export const MOVED_X: usize = 15872;
export const MOVED_Y: usize = 16384;
/** u8 [64] each: matched minutiae. */
export const MATCH_PROBE: usize = 16896;
export const MATCH_REFERENCE: usize = 16960;
/** f64 [64 × 64] and u16 [64 × 64]: cost and minutiae of candidate matches. */
export const CANDIDATE_COST: usize = 17024;
export const CANDIDATE_PAIR: usize = 49792;
/** Bytes of the whole. */
export const COMPARE_SCRATCH: usize = 57984;

// The cylinder: direction first, then place, value (k, i, j) at k · CELLS + i · SIDE + j.
/** Cells along one side of the base, cells of the base, cells of a turn. */
export const SIDE: i32 = 8;
export const CELLS: i32 = 64;
export const TURN_CELLS: i32 = 6;
export const CYLINDER_SIZE: i32 = 384;

// Scratch of encodeFinger, offsets in bytes.
/** f64 [384] each: the cylinder, and the other side of each step of its transform. */
export const CYLINDER: usize = 0;
export const SPARE: usize = 3072;
/** u8 [64]: cells of the base that are within the radius and not far outside the hull. */
export const VALID_CELLS: usize = 6144;
/** u8 [64]: minutiae from left to right. u8 [128]: corners of the hull as minutia numbers, with room for the chain. */
export const ORDER: usize = 6208;
export const HULL: usize = 6272;
/** Bytes of the whole. */
export const ENCODE_SCRATCH: usize = 6400;

export function getF(base: usize, i: i32): f64 {
  return load<f64>(base + ((i as usize) << 3));
}
export function setF(base: usize, i: i32, value: f64): void {
  store<f64>(base + ((i as usize) << 3), value);
}
export function getB(base: usize, i: i32): i32 {
  return load<u8>(base + (i as usize)) as i32;
}
export function setB(base: usize, i: i32, value: i32): void {
  store<u8>(base + (i as usize), value as u8);
}
