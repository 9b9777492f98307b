/**
 * The candidate vector of a finger: 256 bytes, whose inner products select the references that are worth a comparison.
 * It is a histogram over pairs of near minutiae. The cell of a pair is given by its distance and by both directions
 * relative to the line between the two. Rotating or shifting the print does not change the histogram; a missing minutia
 * changes it little. Near neighbours weigh most: partly overlapping prints share them. The roots of the histogram are
 * projected on the directions that separate fingers (index-builder/train/vectors.ts). Such pairs are used by BOZORTH3
 * and by Jiang and Yau (ICPR 2000); the vector is new.
 *
 * Sums over minutiae are integers: the order of the minutiae does not matter. The few operations on doubles are single,
 * correctly rounded and in a fixed order. A direction is a row of 1,440 sixteen-bit numbers, read forwards, eight at a
 * time (i32x4.dot_i16x8_s). Histogram and roots (13 KiB) stay in the first-level cache; the directions (720 KiB) are read
 * once, as fast as the second-level cache gives them.
 */
import { fourSums, innerProduct } from '../product';
import { getF, setF } from './layout';
import { addPairs } from './pairs';
import {
  CELL_ROW,
  CENTRE,
  DIRECTIONS,
  FLAT,
  HISTOGRAM,
  LAYER,
  LENGTHS,
  ROW,
  SCALE,
  TURN_PARTS,
  VALUES,
  getI,
} from './vector-layout';

const SIZE: i32 = 256;
/** Length of the vector: a component of four and a half times the root mean square fills a byte. */
const LENGTH: f64 = (127.0 * 16.0) / 4.5;
/** A double with this added is rounded to a whole number, which is in its lower half; loaded, see pair-cells.ts. */
const ROUND_DOUBLE: usize = memory.data<f64>([4503599627370496]);

export function encodeVector(packed: usize, out: usize, tables: usize, scratch: usize): void {
  addPairs(packed, tables, scratch);
  flatten(scratch);
  project(tables, scratch, out);
}

/** Square roots, scaled to a vector of length 32767: a cell with many pairs does not dominate the others. */
function flatten(scratch: usize): void {
  const first = scratch + HISTOGRAM + LAYER;
  const end = first + LENGTHS * LAYER;
  let sum = i64x2.splat(0);
  for (let layer = first; layer < end; layer += LAYER) {
    for (let row = layer; row < layer + TURN_PARTS * ROW; row += ROW) {
      sum = i64x2.add(sum, pairSums(v128.load(row)));
      sum = i64x2.add(sum, pairSums(v128.load(row, 16)));
      sum = i64x2.add(sum, pairSums(v128.load(row, 32)));
    }
  }
  const total = i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1);
  const scale = f64x2.splat(total > 0 ? (32767.0 * 32767.0) / (total as f64) : 0);
  let out = scratch + FLAT;
  for (let layer = first; layer < end; layer += LAYER) {
    for (let row = layer; row < layer + TURN_PARTS * ROW; row += 2 * ROW) {
      const second = row + ROW;
      v128.store(out, i16x8.narrow_i32x4_s(fourRoots(row, scale), fourRoots(row + 16, scale)));
      v128.store(out, i16x8.narrow_i32x4_s(fourRoots(row + 32, scale), fourRoots(second, scale)), 16);
      v128.store(out, i16x8.narrow_i32x4_s(fourRoots(second + 16, scale), fourRoots(second + 32, scale)), 32);
      out += 48;
    }
  }
}

@inline
function pairSums(four: v128): v128 {
  return i64x2.add(i64x2.extend_low_i32x4_s(four), i64x2.extend_high_i32x4_s(four));
}

@inline
function fourRoots(at: usize, scale: v128): v128 {
  return v128.shuffle<i32>(twoRoots(v128.load64_zero(at), scale), twoRoots(v128.load64_zero(at, 8), scale), 0, 2, 4, 6);
}

/** Roots rounded down, each in the lower half of its lane. */
@inline
function twoRoots(two: v128, scale: v128): v128 {
  const roots = f64x2.sqrt(f64x2.mul(f64x2.convert_low_i32x4_s(two), scale));
  return f64x2.add(f64x2.floor(roots), v128.load64_splat(ROUND_DOUBLE));
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
