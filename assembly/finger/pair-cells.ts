/**
 * The cells of the pair histogram. The cell of a pair is given by its distance and by both directions relative to the line
 * between the two; the pair is distributed over the eight cells around it, by how near it is to each. Four pairs are
 * computed at a time. Numbers are integers, or made so by an integer comparison: every machine gets the same.
 */
import { ARCTANGENTS } from './tables';
import {
  HISTOGRAM,
  LAYER,
  LAYERS,
  MINUTIA,
  MINUTIAE,
  NEAR,
  NEAR_RANKS,
  ROW,
  SHARE,
  SHARES,
  TURN_PARTS,
} from './vector-layout';

// Constants of vectors are loaded: V8 makes a constant anew at each use, with three instructions; a load is one.
/** A single with this added is rounded to a whole number, which is in its lowest bits. */
const ROUND: usize = memory.data<f32>([12582912]);
const NUMBER_BITS: usize = memory.data<i32>([0x3fffff]);
const ALMOST_HALF: usize = memory.data<f32>([0.499]);
/** In 256ths: a turn, or a cell; parts of it; and how many cells a turn has. */
const WHOLE: usize = memory.data<i32>([256]);
const FRACTION_BITS: usize = memory.data<i32>([255]);
const HALF: usize = memory.data<i32>([128]);
const QUARTER: usize = memory.data<i32>([64]);
const TURN_CELLS: usize = memory.data<i16>([TURN_PARTS as i16]);
/** 256ths of a cell of fifteen pixels in a pixel; and the square of fifteen. */
const PIXEL: usize = memory.data<f32>([256.0 / 15.0]);
const CELL_SQUARED: usize = memory.data<i32>([225]);
const ONE: usize = memory.data<i32>([1]);
const LAYER_BYTES: usize = memory.data<i32>([LAYER as i32]);
const ARCTANGENTS_ADDRESS: usize = memory.data<i32>([ARCTANGENTS as i32]);

/** Changes the sign of a number where a mask is set, and adds another. */
@inline
function mirror(numbers: v128, mask: v128, addend: v128): v128 {
  return i32x4.add(i32x4.sub(v128.xor(numbers, mask), mask), v128.and(mask, addend));
}

/** Directions of four lines whose length is not 0, in 256ths of a turn. */
@inline
function directions(x: v128, y: v128): v128 {
  const w = i32x4.abs(x);
  const h = i32x4.abs(y);
  // Computed in the first octant, then mirrored into the right one. The quotient of two integers of 150 at most, times
  // 256, is at least 1/150 below the next whole number: subtracting almost a half and rounding is rounding down.
  const quotient = f32x4.div(
    f32x4.convert_i32x4_s(i32x4.shl(i32x4.min_s(w, h), 8)),
    f32x4.convert_i32x4_s(i32x4.max_s(w, h)),
  );
  const rounded = f32x4.add(f32x4.sub(quotient, v128.load32_splat(ALMOST_HALF)), v128.load32_splat(ROUND));
  const slope = v128.and(rounded, v128.load32_splat(NUMBER_BITS));
  const at = i32x4.add(i32x4.add(slope, slope), v128.load32_splat(ARCTANGENTS_ADDRESS));
  let angle = i32x4.splat(load<i16>(i32x4.extract_lane(at, 0) as usize) as i32);
  angle = i32x4.replace_lane(angle, 1, load<i16>(i32x4.extract_lane(at, 1) as usize) as i32);
  angle = i32x4.replace_lane(angle, 2, load<i16>(i32x4.extract_lane(at, 2) as usize) as i32);
  angle = i32x4.replace_lane(angle, 3, load<i16>(i32x4.extract_lane(at, 3) as usize) as i32);
  angle = mirror(angle, i32x4.ge_s(h, w), v128.load32_splat(QUARTER));
  angle = mirror(angle, i32x4.shr_s(x, 31), v128.load32_splat(HALF));
  const below = i32x4.shr_s(y, 31);
  return i32x4.sub(v128.xor(angle, below), below);
}

/**
 * Lengths in 256ths of a cell of 15 pixels, from the middle of the first cell: ⌊√square · 256 / 15⌋ − 128. The root in
 * single precision is wrong by less than a thousandth. Rounded, it is the right one or the next, and an integer
 * comparison decides.
 */
@inline
function lengths(squares: v128): v128 {
  const length = f32x4.mul(f32x4.sqrt(f32x4.convert_i32x4_s(squares)), v128.load32_splat(PIXEL));
  const rounded = v128.and(f32x4.add(length, v128.load32_splat(ROUND)), v128.load32_splat(NUMBER_BITS));
  const squared = i32x4.mul(i32x4.dot_i16x8_s(rounded, rounded), v128.load32_splat(CELL_SQUARED));
  return i32x4.sub(i32x4.add(rounded, i32x4.gt_s(squared, i32x4.shl(squares, 16))), v128.load32_splat(HALF));
}

/**
 * Finds the first cells of four pairs of minutia `i`, from the number `at`, and their shares of the eight cells around
 * them. A pass of its own: processors then work on several fours at a time.
 */
@inline
export function prepareFour(i: i32, at: i32, scratch: usize): void {
  const from = scratch + MINUTIAE + (i as usize) * MINUTIA;
  const to = scratch + NEAR + (at as usize) * MINUTIA;
  const front = v128.load(to);
  const back = v128.load(to, 16);
  const offsets = i16x8.sub(v128.shuffle<i32>(front, back, 0, 2, 4, 6), v128.load32_splat(from));
  const own = v128.load32_splat(from, 4);
  const others = v128.shuffle<i32>(front, back, 1, 3, 5, 7);
  const line = directions(i32x4.shr_s(i32x4.shl(offsets, 16), 16), i32x4.shr_s(offsets, 16));
  // In 256ths of a cell. Above the directions are the weights.
  const fractionBits = v128.load32_splat(FRACTION_BITS);
  const turnCells = v128.load16_splat(TURN_CELLS);
  const first = i16x8.mul(v128.and(i32x4.sub(own, line), fractionBits), turnCells);
  const second = i16x8.mul(v128.and(i32x4.sub(others, line), fractionBits), turnCells);
  const length = lengths(i32x4.dot_i16x8_s(offsets, offsets));
  const both = i32x4.mul(i32x4.shr_u(own, 8), i32x4.shr_u(others, 8));
  const weight = i32x4.shr_s(i32x4.mul(both, v128.load(scratch + NEAR_RANKS + ((at as usize) << 2))), 6);
  const layer = i32x4.mul(i32x4.add(i32x4.shr_s(length, 8), v128.load32_splat(ONE)), v128.load32_splat(LAYER_BYTES));
  const row = i32x4.shl(i32x4.shr_u(first, 8), 6);
  const column = i32x4.shl(i32x4.shr_u(second, 8), 2);
  const cell = i32x4.add(
    i32x4.add(layer, row),
    i32x4.add(column, i32x4.splat((scratch + HISTOGRAM) as i32)),
  );
  const far = i32x4.mul(weight, v128.and(length, fractionBits));
  const near = i32x4.sub(i32x4.shl(weight, 8), far);
  const inRow = v128.and(first, fractionBits);
  const toRow = i32x4.sub(v128.load32_splat(WHOLE), inRow);
  const inColumn = v128.and(second, fractionBits);
  const toColumn = i32x4.sub(v128.load32_splat(WHOLE), inColumn);
  const out = scratch + SHARES + (at as usize) * SHARE;
  v128.store(out, cell);
  v128.store(out, v128.shuffle<i32>(near, far, 0, 4, 1, 5), 16);
  v128.store(out, v128.shuffle<i32>(toRow, inRow, 0, 4, 1, 5), 32);
  v128.store(out, v128.shuffle<i32>(toColumn, inColumn, 0, 4, 1, 5), 48);
  v128.store(out, v128.shuffle<i32>(near, far, 2, 6, 3, 7), 64);
  v128.store(out, v128.shuffle<i32>(toRow, inRow, 2, 6, 3, 7), 80);
  v128.store(out, v128.shuffle<i32>(toColumn, inColumn, 2, 6, 3, 7), 96);
}

/** Distributes four pairs over the cells around them. */
@inline
export function addFour(at: i32, scratch: usize): void {
  const shares = scratch + SHARES + (at as usize) * SHARE;
  const weights0 = v128.load(shares, 16);
  const rows0 = v128.load(shares, 32);
  const columns0 = v128.load(shares, 48);
  addEven(load<u32>(shares) as usize, weights0, rows0, columns0);
  addOdd(load<u32>(shares, 4) as usize, weights0, rows0, columns0);
  const weights2 = v128.load(shares, 64);
  const rows2 = v128.load(shares, 80);
  const columns2 = v128.load(shares, 96);
  addEven(load<u32>(shares, 8) as usize, weights2, rows2, columns2);
  addOdd(load<u32>(shares, 12) as usize, weights2, rows2, columns2);
}

/** Adds the first of two pairs: the first two lanes of each vector are its. */
@inline
function addEven(cell: usize, weights: v128, rows: v128, columns: v128): void {
  addPair(
    cell,
    v128.shuffle<i32>(weights, weights, 0, 0, 1, 1),
    v128.shuffle<i32>(rows, rows, 0, 1, 0, 1),
    v128.shuffle<i32>(columns, columns, 0, 1, 0, 1),
  );
}
@inline
function addOdd(cell: usize, weights: v128, rows: v128, columns: v128): void {
  addPair(
    cell,
    v128.shuffle<i32>(weights, weights, 2, 2, 3, 3),
    v128.shuffle<i32>(rows, rows, 2, 3, 2, 3),
    v128.shuffle<i32>(columns, columns, 2, 3, 2, 3),
  );
}

/**
 * Adds a pair to eight cells.
 * @param weights - of the nearer length twice, of the farther one twice
 * @param rows - shares of the first row and the second, twice, in 256ths
 * @param columns - likewise
 */
@inline
function addPair(cell: usize, weights: v128, rows: v128, columns: v128): void {
  const shares = i32x4.shr_s(i32x4.mul(weights, rows), 14);
  addTwoRows(cell, i32x4.shr_s(i32x4.mul(v128.shuffle<i32>(shares, shares, 0, 0, 1, 1), columns), 4));
  addTwoRows(cell + LAYER, i32x4.shr_s(i32x4.mul(v128.shuffle<i32>(shares, shares, 2, 2, 3, 3), columns), 4));
}

/** Adds to two cells of a row, and two of the next. */
@inline
function addTwoRows(cell: usize, shares: v128): void {
  const before = v128.load64_lane(cell, v128.load64_zero(cell), 1, ROW);
  const after = i32x4.add(before, shares);
  v128.store64_lane(cell, after, 0);
  v128.store64_lane(cell, after, 1, ROW);
}

/** Adds the cells beyond the last ones, and before the first lengths, to those that they stand for. */
export function fold(scratch: usize): void {
  const first = scratch + HISTOGRAM;
  const last = first + (LAYERS - 1) * LAYER;
  for (let i: usize = 0; i < LAYER; i += 16) {
    addVector(first + LAYER + i, first + i);
    addVector(last - LAYER + i, last + i);
  }
  for (let layer = first + LAYER; layer < last; layer += LAYER) {
    for (let i: usize = 0; i < ROW; i += 16) addVector(layer + i, layer + TURN_PARTS * ROW + i);
    for (let row = layer; row < layer + TURN_PARTS * ROW; row += ROW) {
      store<i32>(row, load<i32>(row) + load<i32>(row, TURN_PARTS * 4));
    }
  }
}

@inline
function addVector(to: usize, from: usize): void {
  v128.store(to, i32x4.add(v128.load(to), v128.load(from)));
}
