/**
 * Addresses and sizes shared by the kernels and their host: src/matching/model/packed-layout.ts describes the packed
 * finger, src/matching/kernels/kernels.ts allocates the scratch, src/matching/model/finger-model.ts places the model.
 */
import { COSINES } from './tables';

/** Represents 1 in the tables of sines and cosines. */
export const UNIT: f64 = 16384.0;

// The packed finger.
export const BLOCK: i32 = 16;
export const CODE_BYTES: i32 = 16;
export const CODE_BITS: i32 = 128;
export const CODE_BLOCK_BYTES: usize = 256;
export const HEADER_BYTES: usize = 16;
export const MOST_MINUTIAE: i32 = 64;
/** Bytes of a packed finger of MOST_MINUTIAE. */
export const MAX_PACKED: usize = 1424;
/** Fewer minutiae cannot be compared. */
export const MINIMUM_MINUTIAE: i32 = 5;

export function blocksOf(count: i32): usize {
  return ((count + BLOCK - 1) / BLOCK) as usize;
}
export function packedBytes(count: i32): usize {
  return HEADER_BYTES + blocksOf(count) * (96 + CODE_BLOCK_BYTES);
}
/** i16 [16 × blocks] each: the coordinates. */
export function columnOfX(finger: usize): usize {
  return finger + HEADER_BYTES;
}
export function columnOfY(finger: usize, blocks: usize): usize {
  return finger + HEADER_BYTES + blocks * 32;
}
/** u8 [16 × blocks]: the directions. */
export function columnOfAngles(finger: usize, blocks: usize): usize {
  return finger + HEADER_BYTES + blocks * 64;
}
export function xOf(finger: usize, i: i32): f64 {
  return load<i16>(columnOfX(finger) + ((i as usize) << 1)) as f64;
}
export function yOf(finger: usize, blocks: usize, i: i32): f64 {
  return load<i16>(columnOfY(finger, blocks) + ((i as usize) << 1)) as f64;
}
export function angleOf(finger: usize, blocks: usize, i: i32): i32 {
  return load<u8>(columnOfAngles(finger, blocks) + (i as usize)) as i32;
}
function traitsOf(finger: usize, blocks: usize, i: i32): i32 {
  return load<u8>(finger + HEADER_BYTES + blocks * 80 + (i as usize)) as i32;
}
/** 0 other, 1 ridge ending, 2 ridge bifurcation. */
export function typeOf(finger: usize, blocks: usize, i: i32): i32 {
  return traitsOf(finger, blocks, i) & 3;
}
/** 1 to 63; 0: not stated. */
export function qualityOf(finger: usize, blocks: usize, i: i32): i32 {
  return traitsOf(finger, blocks, i) >> 2;
}
export function codesOf(finger: usize, blocks: usize): usize {
  return finger + HEADER_BYTES + blocks * 96;
}
export function cosine(direction: i32): f64 {
  return (cosineOf(direction) as f64) / UNIT;
}
/** In units of 1 / UNIT. @param direction - of any number of turns */
export function cosineOf(direction: i32): i32 {
  return load<i16>(COSINES + (((direction & 255) as usize) << 1)) as i32;
}
export function sine(direction: i32): f64 {
  return cosine(direction - 64);
}

/** Address of the score's weights in every memory, written by the host: i32 for each knot of the terms. */
export const WEIGHTS: usize = 32768;

// Scratch of compareFingers, offsets in bytes.
/** u8 [64 × 64]: code distances, row = first minutia; 255 past the last column. */
export const DISTANCES: usize = 0;
/** Pairs kept for the consensus. At most 32, the bits of a word that marks them. */
export const PAIRS: i32 = 32;
/** u32 [32]: rotation << 24 | distance << 16 | first minutia << 8 | second minutia. */
export const PAIR_KEY: usize = 4096;
/** f32 [32] each. */
export const PAIR_AX: usize = 4224;
export const PAIR_AY: usize = 4352;
export const PAIR_BX: usize = 4480;
export const PAIR_BY: usize = 4608;
/** Rotation from the first to the second. */
export const PAIR_COS: usize = 4736;
export const PAIR_SIN: usize = 4864;
/** Weight by code distance. */
export const PAIR_WEIGHT: usize = 4992;
/** Current strength, and that of the next round. */
export const PAIR_STRENGTH: usize = 5120;
export const PAIR_SUPPORT: usize = 5248;
/** f32 [496]: agreement of two pairs, for those that agree; u16 [496]: the two, first << 8 | second. */
export const AGREEMENT: usize = 5376;
export const AGREEING: usize = 7360;
/** f32 [4 × 32]: partial support of each pair, one row for each supporter index mod 4. */
export const SUPPORT_LANES: usize = 8480;
/** u8 [64] each: minutiae in use. */
export const USED_FIRST: usize = 9472;
export const USED_SECOND: usize = 9536;
/** u8 [32]: pairs of the cluster. */
export const CLUSTER: usize = 9600;
/** f32 [64] each: the first finger's minutiae after the alignment. */
export const MOVED_X: usize = 9632;
export const MOVED_Y: usize = 9888;
/** f32 [64]: squared radius within which each may be paired. */
export const LIMIT: usize = 10144;
/** f32 [64] each: the second finger's minutiae. */
export const FIXED_X: usize = 10400;
export const FIXED_Y: usize = 10656;
/** u8 [64] each: matched minutiae. */
export const MATCH_FIRST: usize = 10912;
export const MATCH_SECOND: usize = 10976;
/** f32 [64] each: offset from the moved first minutia to the second. */
export const RESIDUAL_X: usize = 11040;
export const RESIDUAL_Y: usize = 11296;
/** u8 [64] each: smallest distance in a row and in a column. */
export const NEAREST_FIRST: usize = 11552;
export const NEAREST_SECOND: usize = 11616;
/** Scratch of the hull. */
export const HULL: usize = 11680;
/** i32 for each knot of the terms. */
export const MASSES: usize = 11872;
/** f32 [64 × 64] and u16 [64 × 64]: cost and minutiae of candidate matches. */
export const CANDIDATE_COST: usize = 12896;
export const CANDIDATE_PAIR: usize = 29280;
/** Shares the candidates' memory before there are any. v128 [3 × 16]: sums of a block's first planes. */
export const PLANE_SUMS: usize = 12896;
/** Shares the candidates' memory, too. u32 [33]: the pairs' keys as they are found; u32 [32]: their ranks. */
export const UNSORTED_KEY: usize = 12896;
export const PAIR_RANK: usize = 13040;
/** u16 [256]: a pair << 8 | the first of four pairs that may agree with it. */
export const FOURS: usize = 13168;
/** u8 [256]: which of the four agree, as bits; f32 [4 × 256]: how much. */
export const FOURS_AGREEING: usize = 13680;
export const FOURS_VALUES: usize = 13936;
/** u64 [64]: columns with shortlisted distances, as bits; u8 [64]: their rows. */
export const ROW_COLUMNS: usize = 18032;
export const ROW_NUMBER: usize = 18544;
/**
 * Used during the search for candidates. Shares the memory of the agreements, which are no longer needed. i16 [64] each: a
 * square around each moved minutia; u64 [64]: the second finger's minutiae in the square that have a similar direction.
 */
export const SQUARE_X: usize = 5376;
export const SQUARE_Y: usize = 5504;
export const SQUARE_BEYOND: usize = 5632;
export const NEAR: usize = 5760;
/** Bytes of the whole. */
export const COMPARE_SCRATCH: usize = 37472;

// The cylinder.
/** Cells along one side of the base, cells of the base, cells of a turn. */
export const SIDE: i32 = 8;
export const CELLS: i32 = 64;
export const TURN_CELLS: i32 = 6;
export const CYLINDER_SIZE: i32 = 384;

// Scratch of encodeFinger, offsets in bytes.
/** i32 [64 × 8]: a cylinder; place first, then direction, because a minutia adds to all six directions of a place. */
export const CYLINDER: usize = 0;
/** i16 x, i16 y of each minutia. */
export const POINTS: usize = 2048;
/** u32 [64]: where the neighbourhood of each minutia ends. */
export const ENDS: usize = 2304;
/** i32 [64 × 2]: all minutiae in the frame of one. */
export const TURNED: usize = 2560;
/** The neighbours of one minutia, see cylinder.ts: 64 of NEIGHBOUR bytes. */
export const NEIGHBOURS: usize = 3072;
export const NEIGHBOUR: usize = 32;
/** Bytes of a place of a neighbourhood: i16 [6] roots, then u32 where the planes' numbers of this place begin. */
export const PLACE_ROOTS: usize = 16;
/** The neighbourhoods, one behind the other: places that are not empty, at most 52 each. One may be written beyond. */
export const ROOTS: usize = 5120;
/** Bytes of the whole. */
export const ENCODE_SCRATCH: usize = 58384;

/** Places of the base within the radius, row × 8 + column, as bits; and how many. */
export const DISC_BITS: u64 = 0x3c7effffffff7e3c;
export const PLACES: i32 = 52;

export function getF(base: usize, i: i32): f64 {
  return load<f64>(base + ((i as usize) << 3));
}
export function setF(base: usize, i: i32, value: f64): void {
  store<f64>(base + ((i as usize) << 3), value);
}
/** Single precision, read and written as such. */
export function getS(base: usize, i: i32): f32 {
  return load<f32>(base + ((i as usize) << 2));
}
export function setS(base: usize, i: i32, value: f32): void {
  store<f32>(base + ((i as usize) << 2), value);
}
export function getB(base: usize, i: i32): i32 {
  return load<u8>(base + (i as usize)) as i32;
}
export function setB(base: usize, i: i32, value: i32): void {
  store<u8>(base + (i as usize), value as u8);
}
