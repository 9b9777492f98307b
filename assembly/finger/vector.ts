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
import { fourSums, innerProduct } from '../product';
import { angleOf, blocksOf, columnOfX, columnOfY, getF, qualityOf, setF } from './layout';
import { ARCTANGENTS } from './tables';

const SIZE: i32 = 256;
/** Cells of the histogram: lengths of 15 pixels, and twelfths of a turn for each direction. */
const LENGTHS: usize = 10;
const TURN_PARTS: usize = 12;
const CELL_ROW: usize = 2880;
/** Pairs that are farther apart, or nearer (one minutia found twice), do not count. */
const FARTHEST: i16 = 150;
const FARTHEST_SQUARED: i16 = 22500;
const NEAREST_SQUARED: i16 = 36;

// Offsets of the tables, as in src/matching/model/finger-vector-model.ts.
const RANKS: usize = 256;
const DIRECTIONS: usize = RANKS + 256;
const CENTRE: usize = DIRECTIONS + 737280;
const SCALE: usize = CENTRE + 1024;
export const VECTOR_TABLES: usize = SCALE + 1024;

// Scratch: f64 [256].
const VALUES: usize = 0;
/** Of each minutia: i16 x, i16 y, then its weight << 8 | its direction. */
const MINUTIAE: usize = VALUES + 2048;
const MINUTIA: usize = 8;
/** i16 [64] each: coordinates; u16 [64]: squared distances from one minutia, right where they count. */
const X: usize = MINUTIAE + 64 * MINUTIA;
const Y: usize = X + 128;
const SQUARES: usize = Y + 128;
/** Of the minutiae that form pairs with one: as in MINUTIAE, and three copies of the last. */
const NEAR: usize = SQUARES + 128;
/** i16 [64], and up to sixteen that are beyond all: their squared distances; then how many are nearer. */
const NEAR_SQUARES: usize = NEAR + 68 * MINUTIA;
const NEARER: usize = NEAR_SQUARES + 160;
/** i32 [64], and up to four zeros: the weights of how many are nearer. */
const NEAR_RANKS: usize = NEARER + 160;
/** Of each pair: its cell and its shares, see prepareFour. */
const SHARES: usize = NEAR_RANKS + 272;
const SHARE: usize = 28;
/**
 * i32 [12 × 13 × 16]: the histogram, with a layer before the first length and one behind the last, and a row and a column
 * behind the last direction, which are added to the first when all pairs are known. The cells of a pair are therefore
 * always at the same distances. The last three columns are unused.
 */
const HISTOGRAM: usize = SHARES + 64 * SHARE;
const ROW: usize = 64;
const LAYER: usize = (TURN_PARTS + 1) * ROW;
const LAYERS: usize = LENGTHS + 2;
/** i16 [1440]. */
const FLAT: usize = HISTOGRAM + LAYERS * LAYER;
export const VECTOR_SCRATCH: usize = FLAT + CELL_ROW;

/** Length of the vector: a component of four and a half times the root mean square fills a byte. */
const LENGTH: f64 = (127.0 * 16.0) / 4.5;
/** A coordinate out of reach of every minutia, even if the difference leaves sixteen bits; for unused entries. */
const NOWHERE: i16 = -400;
/** More than every squared distance that counts. */
const BEYOND: i16 = 32767;
/** A single with this added is rounded to a whole number, which is in its lowest bits. */
const ROUND: f32 = 12582912;
const NUMBER_BITS: i32 = 0x3fffff;
/** Likewise for doubles; the number is in the lower half. */
const ROUND_DOUBLE: f64 = 4503599627370496;

// Constants of vectors, which are loaded: engines make a constant anew at each use, with three instructions.
const INTEGERS: usize = memory.data<i32>([NUMBER_BITS, 128, 225, 255, 256, 1, LAYER as i32, ARCTANGENTS as i32, 64]);
const SINGLES: usize = memory.data<f32>([0.499, ROUND, 256.0 / 15.0]);
const DOUBLES: usize = memory.data<f64>([ROUND_DOUBLE]);
const SHORTS: usize = memory.data<i16>([
  FARTHEST,
  NEAREST_SQUARED + 1,
  FARTHEST_SQUARED - NEAREST_SQUARED - 1,
  BEYOND,
  TURN_PARTS as i16,
]);

export function encodeVector(packed: usize, out: usize, tables: usize, scratch: usize): void {
  addPairs(packed, tables, scratch);
  flatten(scratch);
  project(tables, scratch, out);
}

/** Makes the histogram. */
function addPairs(packed: usize, tables: usize, scratch: usize): void {
  const count = load<u8>(packed) as i32;
  readMinutiae(packed, count, tables, scratch);
  memory.fill(scratch + HISTOGRAM, 0, LAYERS * LAYER);
  for (let i = 0; i < count; i++) {
    const near = measure(i, count, scratch);
    if (near == 0) continue;
    const pairs = popcnt<u64>(near) as i32;
    gather(near, scratch);
    rank(pairs, tables, scratch);
    for (let at = 0; at < pairs; at += 4) prepareFour(i, at, scratch);
    for (let at = 0; at < pairs; at += 4) addFour(at, scratch);
  }
  fold(scratch);
}

function readMinutiae(packed: usize, count: i32, tables: usize, scratch: usize): void {
  const blocks = blocksOf(count);
  for (let i: usize = 0; i < blocks * 32; i += 16) {
    v128.store(scratch + X + i, v128.load(columnOfX(packed) + i));
    v128.store(scratch + Y + i, v128.load(columnOfY(packed, blocks) + i));
  }
  for (let i = count; i < (blocks as i32) * 16; i++) store<i16>(scratch + X + ((i as usize) << 1), NOWHERE);
  for (let i = 0; i < count; i++) {
    const minutia = scratch + MINUTIAE + (i as usize) * MINUTIA;
    store<i16>(minutia, load<i16>(scratch + X + ((i as usize) << 1)));
    store<i16>(minutia, load<i16>(scratch + Y + ((i as usize) << 1)), 2);
    store<i32>(minutia, (getI(tables, qualityOf(packed, blocks, i)) << 8) | angleOf(packed, blocks, i), 4);
  }
}

/** Squared distances from minutia i to all others. @returns those that count, as bits; itself is too near */
function measure(i: i32, count: i32, scratch: usize): u64 {
  const x = v128.load16_splat(scratch + X + ((i as usize) << 1));
  const y = v128.load16_splat(scratch + Y + ((i as usize) << 1));
  const farthest = v128.load16_splat(SHORTS);
  let near: u64 = 0;
  for (let j = 0; j < count; j += 8) {
    const dx = i16x8.sub(v128.load(scratch + X + ((j as usize) << 1)), x);
    const dy = i16x8.sub(v128.load(scratch + Y + ((j as usize) << 1)), y);
    // Squares of larger differences could overflow sixteen bits.
    const within = i16x8.le_s(i16x8.max_s(i16x8.abs(dx), i16x8.abs(dy)), farthest);
    const square = i16x8.add(i16x8.mul(dx, dx), i16x8.mul(dy, dy));
    const counts = i16x8.le_u(
      i16x8.sub(square, v128.load16_splat(SHORTS, 2)),
      v128.load16_splat(SHORTS, 4),
    );
    v128.store(scratch + SQUARES + ((j as usize) << 1), square);
    near |= (i16x8.bitmask(v128.and(within, counts)) as u64) << (j as u64);
  }
  return near;
}

/** Copies the minutiae that are near, without gaps. */
function gather(near: u64, scratch: usize): void {
  let minutia = scratch + NEAR;
  let square = scratch + NEAR_SQUARES;
  for (let left = near; left != 0; left &= left - 1) {
    const j = ctz<u64>(left) as usize;
    store<u64>(minutia, load<u64>(scratch + MINUTIAE + j * MINUTIA));
    store<u16>(square, load<u16>(scratch + SQUARES + (j << 1)));
    minutia += MINUTIA;
    square += 2;
  }
  // Four pairs and sixteen ranks are computed at a time.
  const last = load<u64>(minutia - MINUTIA);
  store<u64>(minutia, last);
  store<u64>(minutia, last, MINUTIA);
  store<u64>(minutia, last, 2 * MINUTIA);
  v128.store(square, v128.load16_splat(SHORTS, 6));
  v128.store(square, v128.load16_splat(SHORTS, 6), 16);
}

/** Weighs each pair by how many other minutiae are nearer. */
function rank(pairs: i32, tables: usize, scratch: usize): void {
  const squares = scratch + NEAR_SQUARES;
  const end = squares + ((pairs as usize) << 1);
  for (let at: usize = 0; at < ((pairs as usize) << 1); at += 32) {
    const low = v128.load(squares + at);
    const high = v128.load(squares + at, 16);
    let nearerLow = i16x8.splat(0);
    let nearerHigh = i16x8.splat(0);
    for (let other = squares; other < end; other += 2) {
      const square = v128.load16_splat(other);
      nearerLow = i16x8.sub(nearerLow, i16x8.gt_s(low, square));
      nearerHigh = i16x8.sub(nearerHigh, i16x8.gt_s(high, square));
    }
    v128.store(scratch + NEARER + at, nearerLow);
    v128.store(scratch + NEARER + at, nearerHigh, 16);
  }
  for (let i = 0; i < pairs; i++) {
    const nearer = load<u16>(scratch + NEARER + ((i as usize) << 1)) as i32;
    store<i32>(scratch + NEAR_RANKS + ((i as usize) << 2), getI(tables + RANKS, nearer));
  }
  // The copies of the last minutia weigh nothing.
  v128.store(scratch + NEAR_RANKS + ((pairs as usize) << 2), i32x4.splat(0));
}

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
  const rounded = f32x4.add(f32x4.sub(quotient, v128.load32_splat(SINGLES)), v128.load32_splat(SINGLES, 4));
  const slope = v128.and(rounded, v128.load32_splat(INTEGERS));
  const at = i32x4.add(i32x4.add(slope, slope), v128.load32_splat(INTEGERS, 28));
  let angle = i32x4.splat(load<i16>(i32x4.extract_lane(at, 0) as usize) as i32);
  angle = i32x4.replace_lane(angle, 1, load<i16>(i32x4.extract_lane(at, 1) as usize) as i32);
  angle = i32x4.replace_lane(angle, 2, load<i16>(i32x4.extract_lane(at, 2) as usize) as i32);
  angle = i32x4.replace_lane(angle, 3, load<i16>(i32x4.extract_lane(at, 3) as usize) as i32);
  angle = mirror(angle, i32x4.ge_s(h, w), v128.load32_splat(INTEGERS, 32));
  angle = mirror(angle, i32x4.shr_s(x, 31), v128.load32_splat(INTEGERS, 4));
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
  const length = f32x4.mul(f32x4.sqrt(f32x4.convert_i32x4_s(squares)), v128.load32_splat(SINGLES, 8));
  const rounded = v128.and(f32x4.add(length, v128.load32_splat(SINGLES, 4)), v128.load32_splat(INTEGERS));
  const squared = i32x4.mul(i32x4.dot_i16x8_s(rounded, rounded), v128.load32_splat(INTEGERS, 8));
  return i32x4.sub(i32x4.add(rounded, i32x4.gt_s(squared, i32x4.shl(squares, 16))), v128.load32_splat(INTEGERS, 4));
}

/**
 * Finds the first cells of four pairs of minutia `i`, from the number `at`, and their shares of the eight cells around
 * them. A pass of its own: processors then work on several fours at a time.
 */
@inline
function prepareFour(i: i32, at: i32, scratch: usize): void {
  const from = scratch + MINUTIAE + (i as usize) * MINUTIA;
  const to = scratch + NEAR + (at as usize) * MINUTIA;
  const front = v128.load(to);
  const back = v128.load(to, 16);
  const offsets = i16x8.sub(v128.shuffle<i32>(front, back, 0, 2, 4, 6), v128.load32_splat(from));
  const own = v128.load32_splat(from, 4);
  const others = v128.shuffle<i32>(front, back, 1, 3, 5, 7);
  const line = directions(i32x4.shr_s(i32x4.shl(offsets, 16), 16), i32x4.shr_s(offsets, 16));
  // In 256ths of a cell. Above the directions are the weights.
  const first = i16x8.mul(v128.and(i32x4.sub(own, line), v128.load32_splat(INTEGERS, 12)), v128.load16_splat(SHORTS, 8));
  const second = i16x8.mul(v128.and(i32x4.sub(others, line), v128.load32_splat(INTEGERS, 12)), v128.load16_splat(SHORTS, 8));
  const length = lengths(i32x4.dot_i16x8_s(offsets, offsets));
  const both = i32x4.mul(i32x4.shr_u(own, 8), i32x4.shr_u(others, 8));
  const weight = i32x4.shr_s(i32x4.mul(both, v128.load(scratch + NEAR_RANKS + ((at as usize) << 2))), 6);
  const layer = i32x4.mul(i32x4.add(i32x4.shr_s(length, 8), v128.load32_splat(INTEGERS, 20)), v128.load32_splat(INTEGERS, 24));
  const row = i32x4.shl(i32x4.shr_u(first, 8), 6);
  const column = i32x4.shl(i32x4.shr_u(second, 8), 2);
  const cell = i32x4.add(
    i32x4.add(layer, row),
    i32x4.add(column, i32x4.splat((scratch + HISTOGRAM) as i32)),
  );
  const far = i32x4.mul(weight, v128.and(length, v128.load32_splat(INTEGERS, 12)));
  const near = i32x4.sub(i32x4.shl(weight, 8), far);
  const inRow = v128.and(first, v128.load32_splat(INTEGERS, 12));
  const toRow = i32x4.sub(v128.load32_splat(INTEGERS, 16), inRow);
  const inColumn = v128.and(second, v128.load32_splat(INTEGERS, 12));
  const toColumn = i32x4.sub(v128.load32_splat(INTEGERS, 16), inColumn);
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
function addFour(at: i32, scratch: usize): void {
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
function fold(scratch: usize): void {
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
  return f64x2.add(f64x2.floor(roots), v128.load64_splat(DOUBLES));
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
