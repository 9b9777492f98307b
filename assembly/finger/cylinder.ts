/**
 * The neighbourhood of a minutia as a cylinder of 8 × 8 places, of which 52 lie within the radius, and 6 directions:
 * Minutia Cylinder-Code, Cappelli, Ferrara, Maltoni, IEEE TPAMI 32(12), 2010. Sums are integers: the order of the
 * minutiae cannot matter. The largest sum, 63 minutiae in one place and of one direction, has thirty bits.
 *
 * MCC ignores places more than 50 pixels outside the hull of the minutiae. Here no check is needed: a cell that is not
 * empty is within 28 pixels of a minutia, and therefore of the hull.
 */
import { angularRow } from './angular';
import { angularRowsOf, planesOf } from './code';
import {
  CELLS,
  CYLINDER,
  DISC_BITS,
  ENDS,
  NEIGHBOUR,
  NEIGHBOURS,
  PLACE_ROOTS,
  POINTS,
  ROOTS,
  SIDE,
  TURNED,
  UNIT,
  angleOf,
  blocksOf,
  cosineOf,
} from './layout';
import { SPATIAL_WEIGHTS } from './tables';

/** Pixels. */
const RADIUS: f64 = 70;
const CELL: f64 = 17.5;
/** Reach of a minutia's contribution, 3 σ: pixels, and their square. */
const REACH: f64 = 28;
const REACH_SQUARED: i32 = 784;
/** Radius and reach together, squared, and a little more. */
const FARTHEST_SQUARED: i32 = 9700;
/** Upper bound, in cells, of what rounding squares to integers adds to the reach. */
const ROUNDING: f64 = 0.001;
/** Bytes of the eight numbers of a place, two of them unused, and of a row of places. */
const PLACE: usize = 32;
const ROW: usize = (SIDE as usize) * PLACE;
/** Largest root. Training makes sure that no cylinder's sums overflow thirty-two bits. */
const MAX_ROOT: i32 = 8191;
/** Half of the unit of a squared distance, 2⁻²⁸: a half is then rounded up, and nothing else changes. */
const HALVES_UP: f64 = 1.0 / 536870912;

// Constants of vectors are loaded: V8 makes a constant anew at each use, with three instructions; a load is one.
const FARTHEST_SQUARED_AT: usize = memory.data<i32>([FARTHEST_SQUARED]);
/** Pixels to cells, and units of coordinates to pixels. */
const CELLS_A_PIXEL: usize = memory.data<f64>([1 / CELL]);
const PIXELS_A_UNIT: usize = memory.data<f64>([1 / UNIT]);
const CELL_PIXELS: usize = memory.data<f64>([CELL]);
/** From a place in cells to the first row or column in reach, not yet rounded up. */
const TO_FIRST: usize = memory.data<f64>([(RADIUS - REACH) / CELL - (0.5 + ROUNDING)]);
/** Bounds of the first row and column: the last three are always within the base. */
const LEAST_FIRST: usize = memory.data<f64>([0]);
const MOST_FIRST: usize = memory.data<f64>([(SIDE - 3) as f64]);
/** Middle of the first row and column. */
const FIRST_MIDDLE: usize = memory.data<f64>([CELL / 2 - RADIUS]);
/** A fourth row or column is in reach if the first is at least this far on the other side. */
const FOURTH_REACHED: usize = memory.data<f64>([REACH + ROUNDING * CELL - 3 * CELL]);
/** From the first column to each of four. */
const FOUR_COLUMNS: usize = memory.data<f64>([0, CELL, 2 * CELL, 3 * CELL]);
/** A double of 2⁵² or more is a whole number, and its lower half is that number's: adding 2⁵² rounds. */
const ROUND: usize = memory.data<f64>([4503599627370496]);
/** Half of the address of the last weight, which is 0. */
const BEYOND_REACH: usize = memory.data<i32>([(SPATIAL_WEIGHTS >> 1) as i32 + REACH_SQUARED + 1]);
/** Square of the largest root. */
const LARGEST_SQUARE: usize = memory.data<i32>([MAX_ROOT * MAX_ROOT]);
/** A single with 2²³ added is rounded to a whole number, which is in its lowest bits. */
const ROUND_SINGLE: usize = memory.data<f32>([8388608]);
const NUMBER_BITS: usize = memory.data<i32>([0x7fffff]);

/** Adds products of sixteen-bit numbers, of which every second one is zero, to the numbers of a place. */
@inline
function addProducts(place: usize, weightAt: i32, front: v128, back: v128): void {
  const weight = v128.load16_splat(weightAt as usize);
  v128.store(place, i32x4.add(v128.load(place), i32x4.dot_i16x8_s(weight, front)));
  v128.store(place, i32x4.add(v128.load(place, 16), i32x4.dot_i16x8_s(weight, back)), 16);
}

/**
 * Finds the rows and columns that a minutia at (u, v) in the frame of the cylinder's minutia can reach: three or four.
 * @param place - (u, v)
 * @param weights - row of angular weights
 * @param neighbour - where to write: f64 [2] from (u, v) to the middle of the first cell, then u32 the cell, u32 whether
 * there is a fourth row, and twice whether there is a fourth column, and u32 the row of angular weights
 */
@inline
function reachOf(place: v128, weights: usize, neighbour: usize): void {
  const cells = f64x2.mul(place, v128.load64_splat(CELLS_A_PIXEL));
  const reach = f64x2.ceil(f64x2.add(cells, v128.load64_splat(TO_FIRST)));
  // The last three are always within the base.
  const first = f64x2.pmin(v128.load64_splat(MOST_FIRST), f64x2.pmax(v128.load64_splat(LEAST_FIRST), reach));
  const whole = f64x2.add(first, v128.load64_splat(ROUND));
  const pixels = f64x2.mul(first, v128.load64_splat(CELL_PIXELS));
  const offset = f64x2.sub(f64x2.add(pixels, v128.load64_splat(FIRST_MIDDLE)), place);
  const fourths = v128.and(
    f64x2.le(offset, v128.load64_splat(FOURTH_REACHED)),
    f64x2.ne(first, v128.load64_splat(MOST_FIRST)),
  );
  v128.store(neighbour, offset);
  store<i32>(neighbour, i32x4.extract_lane(whole, 0) * SIDE + i32x4.extract_lane(whole, 2), 16);
  store<i32>(neighbour, i64x2.bitmask(fourths), 20);
  store<u32>(neighbour, weights as u32, 24);
}

/**
 * Adds the contribution of a neighbour. Squared distances are whole multiples of 2⁻²⁸, and exact. There is no branch on
 * whether a place is reached, which is unpredictable: adding zero costs less than a misprediction. A fourth row or column
 * is rare.
 * @param neighbour - from reachOf, in a pass of its own: processors then work on several neighbours at a time
 * @returns the places that are reached, as bits; corners outside the radius among them
 */
@inline
function addNeighbour(neighbour: usize, scratch: usize): u64 {
  const six = v128.load(load<u32>(neighbour, 24) as usize);
  const front = i32x4.extend_low_i16x8_u(six);
  const back = i32x4.extend_high_i16x8_u(six);
  const cell = load<i32>(neighbour, 16);
  const fourths = load<i32>(neighbour, 20);
  const fourthColumn = fourths > 1;
  const du = load<f64>(neighbour);
  const dv = v128.load64_splat(neighbour, 8);
  const dv0 = f64x2.add(dv, v128.load(FOUR_COLUMNS));
  const dv2 = f64x2.add(dv, v128.load(FOUR_COLUMNS, 16));
  const squares0 = f64x2.mul(dv0, dv0);
  const squares2 = f64x2.mul(dv2, dv2);
  const at = scratch + CYLINDER + (cell as usize) * PLACE;
  let reached = addRow(du, squares0, squares2, fourthColumn, front, back, at);
  reached |= addRow(du + CELL, squares0, squares2, fourthColumn, front, back, at + ROW) << 8;
  reached |= addRow(du + 2 * CELL, squares0, squares2, fourthColumn, front, back, at + 2 * ROW) << 16;
  if (fourths & 1) {
    reached |= addRow(du + 3 * CELL, squares0, squares2, fourthColumn, front, back, at + 3 * ROW) << 24;
  }
  return ((reached & (fourthColumn ? 0x0f0f0f0f : 0x07070707)) as u64) << (cell as u64);
}

/**
 * Adds to a row of places.
 * @param du - from the minutia to the middle of the row
 * @param squares0 - squares of the distances to the first two columns
 * @param squares2 - likewise, to the next two
 * @param at - the first of them
 * @returns those that are reached, as bits
 */
@inline
function addRow(du: f64, squares0: v128, squares2: v128, fourthColumn: bool, front: v128, back: v128, at: usize): u32 {
  // Counted from half the table's address: doubled, it is that of the weight.
  const square = f64x2.splat(du * du + ((SPATIAL_WEIGHTS >> 1) as f64 + HALVES_UP));
  const round = v128.load64_splat(ROUND);
  const low = f64x2.add(f64x2.add(squares0, square), round);
  const high = f64x2.add(f64x2.add(squares2, square), round);
  const beyond = v128.load32_splat(BEYOND_REACH);
  const squared = i32x4.min_s(v128.shuffle<i32>(low, high, 0, 2, 4, 6), beyond);
  const weight = i32x4.add(squared, squared);
  addProducts(at, i32x4.extract_lane(weight, 0), front, back);
  addProducts(at + PLACE, i32x4.extract_lane(weight, 1), front, back);
  addProducts(at + 2 * PLACE, i32x4.extract_lane(weight, 2), front, back);
  if (fourthColumn) addProducts(at + 3 * PLACE, i32x4.extract_lane(weight, 3), front, back);
  return i32x4.bitmask(i32x4.lt_s(squared, beyond));
}

/**
 * Square roots of four numbers, rounded down, at most MAX_ROOT: a cluster of minutiae does not dominate a single one.
 * The root in single precision is wrong by less than a thousandth. Rounded, it is the right one or the next, and an
 * integer comparison decides.
 */
@inline
function fourRoots(numbers: v128): v128 {
  const limited = i32x4.min_s(numbers, v128.load32_splat(LARGEST_SQUARE));
  const rounded = f32x4.add(f32x4.sqrt(f32x4.convert_i32x4_s(limited)), v128.load32_splat(ROUND_SINGLE));
  const root = v128.and(rounded, v128.load32_splat(NUMBER_BITS));
  return i32x4.add(root, i32x4.gt_s(i32x4.dot_i16x8_s(root, root), limited));
}

/** Which place within the radius a cell is. */
@inline
function placeOf(cell: u64): i32 {
  return popcnt<u64>(DISC_BITS & (((1 as u64) << cell) - 1)) as i32;
}

/** Sets a place to zeros again, for the next cylinder. */
@inline
function clear(place: usize): void {
  v128.store(place, i32x4.splat(0));
  v128.store(place, i32x4.splat(0), 16);
}

/**
 * Writes the roots of two places at a time: their last two numbers each share a vector.
 * @param places - that are not empty, as bits
 * @returns the end of what was written
 */
@inline
function writeRoots(places: u64, scratch: usize, out: usize): usize {
  let to = out;
  const end = to + (popcnt<u64>(places) as usize) * PLACE_ROOTS;
  for (let left = places; left != 0; ) {
    const a = ctz<u64>(left);
    left &= left - 1;
    // If there is only one left, it is taken twice.
    const b = left != 0 ? ctz<u64>(left) : a;
    left &= left - 1;
    const placeA = scratch + CYLINDER + (a as usize) * PLACE;
    const placeB = scratch + CYLINDER + (b as usize) * PLACE;
    const backs = fourRoots(v128.shuffle<i64>(v128.load(placeA, 16), v128.load(placeB, 16), 0, 2));
    const sixA = i16x8.narrow_i32x4_s(fourRoots(v128.load(placeA)), backs);
    const sixB = i16x8.narrow_i32x4_s(fourRoots(v128.load(placeB)), v128.shuffle<i64>(backs, backs, 1, 0));
    v128.store(to, i32x4.replace_lane(sixA, 3, planesOf(placeOf(a))));
    v128.store(to, i32x4.replace_lane(sixB, 3, planesOf(placeOf(b))), PLACE_ROOTS);
    clear(placeA);
    clear(placeB);
    to += 2 * PLACE_ROOTS;
  }
  return end;
}

/**
 * Turns all minutiae into the frame of one at `place`, and writes i32 u, v of each in units of 2⁻¹⁴ pixels.
 * @param along - i16 cosine and sine, four times
 * @param across - i16 −sine and cosine, four times
 * @returns those that may reach its cylinder, as bits; some that are slightly too far among them, and itself
 */
@inline
function turnAll(count: i32, place: v128, along: v128, across: v128, scratch: usize): u64 {
  let near: u64 = 0;
  for (let first = 0; first < count; first += 4) {
    const offset = i16x8.sub(v128.load(scratch + POINTS + ((first as usize) << 2)), place);
    const u = i32x4.dot_i16x8_s(offset, along);
    const v = i32x4.dot_i16x8_s(offset, across);
    const to = scratch + TURNED + ((first as usize) << 3);
    v128.store(to, v128.shuffle<i32>(u, v, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<i32>(u, v, 2, 6, 3, 7), 16);
    const four = i32x4.le_s(i32x4.dot_i16x8_s(offset, offset), v128.load32_splat(FARTHEST_SQUARED_AT));
    near |= (i32x4.bitmask(four) as u64) << (first as u64);
  }
  return near & ((-1 as u64) >> ((64 - count) as u64));
}

/** Makes the cylinders of all minutiae, and writes the roots of each behind those of the one before. */
export function makeCylinders(finger: usize, count: i32, planes: usize, scratch: usize): void {
  memory.fill(scratch + CYLINDER, 0, (CELLS as usize) * PLACE);
  let end = scratch + ROOTS;
  for (let m = 0; m < count; m++) {
    end = makeCylinder(finger, count, m, angularRowsOf(planes), scratch, end);
    store<u32>(scratch + ENDS + ((m as usize) << 2), end as u32);
  }
}

/** Makes the cylinder of minutia `m`. @returns the end of its roots */
function makeCylinder(finger: usize, count: i32, m: i32, weights: usize, scratch: usize, out: usize): usize {
  const blocks = blocksOf(count);
  const angle = angleOf(finger, blocks, m);
  const c = cosineOf(angle);
  const s = cosineOf(angle - 64);
  const along = i32x4.splat((c & 0xffff) | (s << 16));
  const across = i32x4.splat((-s & 0xffff) | (c << 16));
  let near = turnAll(count, v128.load32_splat(scratch + POINTS + ((m as usize) << 2)), along, across, scratch);
  near &= ~((1 as u64) << (m as u64));
  let end = scratch + NEIGHBOURS;
  for (; near != 0; near &= near - 1) {
    const o = ctz<u64>(near) as i32;
    const turned = f64x2.convert_low_i32x4_s(v128.load64_zero(scratch + TURNED + ((o as usize) << 3)));
    const row = angularRow(weights, (angle - angleOf(finger, blocks, o)) & 255);
    reachOf(f64x2.mul(turned, v128.load64_splat(PIXELS_A_UNIT)), row, end);
    end += NEIGHBOUR;
  }
  let reached: u64 = 0;
  for (let neighbour = scratch + NEIGHBOURS; neighbour < end; neighbour += NEIGHBOUR) {
    reached |= addNeighbour(neighbour, scratch);
  }
  return writeRoots(reached & DISC_BITS, scratch, out);
}
