/**
 * The candidate vector of a finger: 256 bytes, whose inner products select the references that are worth a comparison.
 * It is a histogram over pairs of near minutiae. The cell of a pair is given by its distance and by both directions
 * relative to the line between the two. Rotating or shifting the print does not change the histogram; a missing minutia
 * changes it little. Near neighbours weigh most: partly overlapping prints share them. The roots of the histogram are
 * projected on the directions that separate fingers (index-builder/train/vectors.ts). The pairs are those of BOZORTH3 and
 * of Jiang and Yau (ICPR 2000); making a vector of them is ours.
 *
 * Sums over minutiae are integers: the order of the minutiae does not matter. The few operations on doubles are single,
 * correctly rounded and in a fixed order. A direction is a row of 1,440 sixteen-bit numbers, read forwards, eight at a
 * time (i32x4.dot_i16x8_s). Histogram and roots (9 KiB) stay in the first-level cache; the directions (720 KiB) are read
 * once.
 */
import { fourSums, innerProduct, laneSum } from '../product';
import { angleOf, getF, qualityOf, setF, xOf, yOf } from './layout';
import { ARCTANGENTS } from './tables';

const SIZE: i32 = 256;
/** Cells of the histogram: lengths of 15 pixels, and twelfths of a turn for each direction. */
const LENGTHS: i32 = 10;
const TURN_PARTS: i32 = 12;
const LENGTH_CELLS: i32 = 144;
const CELLS: i32 = 1440;
const CELL_ROW: usize = 2880;
const CELL_PIXELS: f64 = 15.0;
/** Pairs that are farther apart, or nearer (one minutia found twice), do not count. */
const FARTHEST: i32 = 150;
const NEAREST_SQUARED: i32 = 36;

// Offsets of the tables, as in src/matching/model/finger-vector-model.ts.
const RANKS: usize = 256;
const DIRECTIONS: usize = RANKS + 256;
const CENTRE: usize = DIRECTIONS + 737280;
const SCALE: usize = CENTRE + 1024;
export const VECTOR_TABLES: usize = SCALE + 1024;

// Scratch: f64 [256], i32 [64] three times, i32 [64 × 64], i32 [1440], i16 [1440].
const VALUES: usize = 0;
const X: usize = VALUES + 2048;
const Y: usize = X + 256;
const WEIGHT: usize = Y + 256;
/** Squared distances of every two minutiae; i32.MAX_VALUE for pairs that do not count, and past the last minutia. */
const SQUARES: usize = WEIGHT + 256;
const SQUARES_ROW: usize = 256;
const HISTOGRAM: usize = SQUARES + 64 * SQUARES_ROW;
const FLAT: usize = HISTOGRAM + 5760;
export const VECTOR_SCRATCH: usize = FLAT + CELL_ROW;

/** Length of the vector: a component of four and a half times the root mean square fills a byte. */
const LENGTH: f64 = (127.0 * 16.0) / 4.5;
/** A coordinate out of reach of every minutia, for unused entries. */
const NOWHERE: i32 = 1 << 20;

export function encodeVector(packed: usize, out: usize, tables: usize, scratch: usize): void {
  const count = load<u8>(packed) as i32;
  const blocks = load<u8>(packed + 1) as usize;
  for (let i = 0; i < 64; i++) {
    setI(scratch + X, i, i < count ? (xOf(packed, i) as i32) : NOWHERE);
    setI(scratch + Y, i, i < count ? (yOf(packed, blocks, i) as i32) : NOWHERE);
    setI(scratch + WEIGHT, i, i < count ? getI(tables, qualityOf(packed, blocks, i)) : 0);
  }
  memory.fill(scratch + HISTOGRAM, 0, CELL_ROW * 2);
  for (let i = 0; i < count; i++) measure(i, scratch);
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const square = getI(scratch + SQUARES + (i as usize) * SQUARES_ROW, j);
      if (square <= FARTHEST * FARTHEST) addBoth(packed, blocks, i, j, square, tables, scratch);
    }
  }
  flatten(scratch);
  project(tables, scratch, out);
}

/** Squared distances from minutia i to all that count. Itself is too near to count. */
function measure(i: i32, scratch: usize): void {
  const x = i32x4.splat(getI(scratch + X, i));
  const y = i32x4.splat(getI(scratch + Y, i));
  const row = scratch + SQUARES + (i as usize) * SQUARES_ROW;
  for (let j: usize = 0; j < SQUARES_ROW; j += 16) {
    const dx = i32x4.sub(v128.load(scratch + X + j), x);
    const dy = i32x4.sub(v128.load(scratch + Y + j), y);
    // Squares of larger differences could overflow thirty-two bits.
    const near = v128.and(
      i32x4.le_s(i32x4.abs(dx), i32x4.splat(FARTHEST)),
      i32x4.le_s(i32x4.abs(dy), i32x4.splat(FARTHEST)),
    );
    const square = i32x4.add(i32x4.mul(dx, dx), i32x4.mul(dy, dy));
    const counts = v128.and(near, i32x4.gt_s(square, i32x4.splat(NEAREST_SQUARED)));
    v128.store(row + j, v128.bitselect(square, i32x4.splat(i32.MAX_VALUE), counts));
  }
}

/** How many of 64 squared distances are less than `square`. */
@inline
function nearerThan(square: i32, squares: usize): i32 {
  const all = i32x4.splat(square);
  let less = i32x4.splat(0);
  for (let b: usize = 0; b < SQUARES_ROW; b += 16) less = i32x4.sub(less, i32x4.lt_s(v128.load(squares + b), all));
  return laneSum(less);
}

/** Direction of a line whose length is not 0, in 256ths of a turn. */
function direction(x: i32, y: i32): i32 {
  const w = abs<i32>(x);
  const h = abs<i32>(y);
  // Computed in the first octant, then mirrored into the right one.
  const slope = w > h ? (h << 8) / w : (w << 8) / h;
  let angle = load<i16>(ARCTANGENTS + ((slope as usize) << 1)) as i32;
  if (w <= h) angle = 64 - angle;
  if (x < 0) angle = 128 - angle;
  return y < 0 ? -angle : angle;
}

/** Adds the pairs (i, j) and (j, i). The line of (j, i) has the opposite direction, half a turn away. */
function addBoth(packed: usize, blocks: usize, i: i32, j: i32, square: i32, tables: usize, scratch: usize): void {
  const line = direction(
    getI(scratch + X, j) - getI(scratch + X, i),
    getI(scratch + Y, j) - getI(scratch + Y, i),
  );
  const first = (angleOf(packed, blocks, i) - line) & 255;
  const second = (angleOf(packed, blocks, j) - line) & 255;
  const length = (floor<f64>((sqrt<f64>(square as f64) * 256) / CELL_PIXELS) as i32) - 128;
  const both = getI(scratch + WEIGHT, i) * getI(scratch + WEIGHT, j);
  const rankI = getI(tables + RANKS, nearerThan(square, scratch + SQUARES + (i as usize) * SQUARES_ROW));
  const rankJ = getI(tables + RANKS, nearerThan(square, scratch + SQUARES + (j as usize) * SQUARES_ROW));
  const histogram = scratch + HISTOGRAM;
  addPair(length, first * TURN_PARTS, second * TURN_PARTS, (both * rankI) >> 6, histogram);
  addPair(length, (second ^ 128) * TURN_PARTS, (first ^ 128) * TURN_PARTS, (both * rankJ) >> 6, histogram);
}

/**
 * Distributes a pair over the eight cells around it.
 * @param length - in 256ths of a cell, from the middle of the first cell
 * @param first - direction of the first minutia relative to the line, in 256ths of a cell
 * @param second - direction of the second minutia, likewise
 */
function addPair(length: i32, first: i32, second: i32, weight: i32, histogram: usize): void {
  const cellL = length >> 8;
  const l0 = min<i32>(LENGTHS - 1, max<i32>(0, cellL)) * LENGTH_CELLS;
  const l1 = min<i32>(LENGTHS - 1, max<i32>(0, cellL + 1)) * LENGTH_CELLS;
  const w0 = weight * (256 - (length & 255));
  const w1 = weight * (length & 255);
  const cellA = first >> 8;
  const a0 = cellA * TURN_PARTS;
  const a1 = cellA == TURN_PARTS - 1 ? 0 : a0 + TURN_PARTS;
  const inA = first & 255;
  const b0 = second >> 8;
  const b1 = b0 == TURN_PARTS - 1 ? 0 : b0 + 1;
  const inB = second & 255;
  addTwo(histogram, l0 + a0, b0, b1, (w0 * (256 - inA)) >> 14, inB);
  addTwo(histogram, l0 + a1, b0, b1, (w0 * inA) >> 14, inB);
  addTwo(histogram, l1 + a0, b0, b1, (w1 * (256 - inA)) >> 14, inB);
  addTwo(histogram, l1 + a1, b0, b1, (w1 * inA) >> 14, inB);
}

/** Distributes a weight over two neighbouring cells. */
@inline
function addTwo(histogram: usize, row: i32, b0: i32, b1: i32, weight: i32, inB: i32): void {
  setI(histogram, row + b0, getI(histogram, row + b0) + ((weight * (256 - inB)) >> 4));
  setI(histogram, row + b1, getI(histogram, row + b1) + ((weight * inB) >> 4));
}

/** Square roots, scaled to a vector of length 32767: a cell with many pairs does not dominate the others. */
function flatten(scratch: usize): void {
  let sum = i64x2.splat(0);
  for (let i: usize = 0; i < CELL_ROW * 2; i += 16) {
    const four = v128.load(scratch + HISTOGRAM + i);
    sum = i64x2.add(sum, i64x2.add(i64x2.extend_low_i32x4_s(four), i64x2.extend_high_i32x4_s(four)));
  }
  const total = i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1);
  const scale = f64x2.splat(total > 0 ? (32767.0 * 32767.0) / (total as f64) : 0);
  for (let i: usize = 0; i < CELL_ROW; i += 16) {
    const at = scratch + HISTOGRAM + i * 2;
    v128.store(scratch + FLAT + i, i16x8.narrow_i32x4_s(fourRoots(at, scale), fourRoots(at + 16, scale)));
  }
}

@inline
function fourRoots(at: usize, scale: v128): v128 {
  return v128.shuffle<i64>(twoRoots(v128.load64_zero(at), scale), twoRoots(v128.load64_zero(at + 8), scale), 0, 2);
}

@inline
function twoRoots(two: v128, scale: v128): v128 {
  const roots = f64x2.sqrt(f64x2.mul(f64x2.convert_low_i32x4_s(two), scale));
  return i32x4.trunc_sat_f64x2_s_zero(f64x2.floor(roots));
}

function project(tables: usize, scratch: usize, out: usize): void {
  let squares: f64 = 0;
  for (let j = 0; j < SIZE; j += 4) {
    const inner = fourProducts(tables + DIRECTIONS + (j as usize) * CELL_ROW, scratch + FLAT);
    squares = value(tables, scratch, j, i32x4.extract_lane(inner, 0), squares);
    squares = value(tables, scratch, j + 1, i32x4.extract_lane(inner, 1), squares);
    squares = value(tables, scratch, j + 2, i32x4.extract_lane(inner, 2), squares);
    squares = value(tables, scratch, j + 3, i32x4.extract_lane(inner, 3), squares);
  }
  const length = squares > 0 ? LENGTH / sqrt<f64>(squares) : 0;
  for (let j = 0; j < SIZE; j++) {
    const value = floor<f64>(getF(scratch + VALUES, j) * length + 0.5);
    store<i8>(out + (j as usize), max<f64>(-127, min<f64>(127, value)) as i32 as i8);
  }
}

/** Inner products of four consecutive directions with the roots. The roots are read once for all four. */
@inline
function fourProducts(directions: usize, roots: usize): v128 {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  let c = i32x4.splat(0);
  let d = i32x4.splat(0);
  for (let at: usize = 0; at < CELL_ROW; at += 16) {
    const root = v128.load(roots + at);
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(directions + at), root));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(directions + at, CELL_ROW), root));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(directions + at, 2 * CELL_ROW), root));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(directions + at, 3 * CELL_ROW), root));
  }
  return fourSums(a, b, c, d);
}

/** Stores a component. @returns the sum of squares including this one */
@inline
function value(tables: usize, scratch: usize, j: i32, inner: i32, squares: f64): f64 {
  const centred = (inner as f64) - (getI(tables + CENTRE, j) as f64);
  const component = centred * (load<f32>(tables + SCALE + ((j as usize) << 2)) as f64);
  setF(scratch + VALUES, j, component);
  return squares + component * component;
}

function getI(base: usize, i: i32): i32 {
  return load<i32>(base + ((i as usize) << 2));
}
function setI(base: usize, i: i32, value: i32): void {
  store<i32>(base + ((i as usize) << 2), value);
}

/** Score of a removed reference: below every inner product. */
const REMOVED: i32 = -32768;

/**
 * Inner products of a vector with `count` others, divided by 8, i16 each. The vectors are read once, front to back, 256
 * bytes for each reference: at millions of references memory bandwidth is the limit.
 * @param probe - the vector, widened to i16 [256] because it is used `count` times
 * @param directory - u32 for each; 0: removed
 */
export function scanVectors(probe: usize, vectors: usize, directory: usize, count: i32, scores: usize): void {
  for (let i = 0; i < count; i++) {
    const score = scores + ((i as usize) << 1);
    if (load<u32>(directory + ((i as usize) << 2)) == 0) {
      store<i16>(score, REMOVED as i16);
      continue;
    }
    const row = vectors + (i as usize) * (SIZE as usize);
    const sum = innerProduct(row, probe, SIZE as usize);
    store<i16>(score, max<i32>(-32767, min<i32>(32767, sum >> 3)) as i16);
  }
}
