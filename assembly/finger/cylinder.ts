/**
 * The neighbourhood of a minutia as a cylinder of 8 × 8 places, of which 52 lie within the radius, and 6 directions:
 * Minutia Cylinder-Code, Cappelli, Ferrara, Maltoni, IEEE TPAMI 32(12), 2010. Sums are integers: the order of the minutiae
 * cannot matter. The largest sum, 63 minutiae in one place and of one direction, has thirty bits.
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
  PLACE_ROOTS,
  POINT_X,
  POINT_Y,
  ROOTS,
  SIDE,
  angleOf,
  blocksOf,
  cosine,
  getS,
  sine,
} from './layout';
import { SPATIAL_WEIGHTS } from './tables';

/** Pixels. */
const RADIUS: f64 = 70;
const CELL: f64 = 17.5;
/** Reach of a minutia's contribution, 3 σ: pixels, and their square. */
const REACH: f64 = 28;
const REACH_SQUARED: i32 = 784;
/** Upper bound, in cells, of what rounding squares to integers adds to the reach. */
const ROUNDING: f64 = 0.001;
/** Radius and reach together, squared, and a little more. */
const FARTHEST_SQUARED: f32 = 9604 * 1.01;
/** Largest root, and its square. Training makes sure that no cylinder's sums overflow thirty-two bits. */
const MAX_ROOT: i32 = 8191;
const MAX_SQUARE: i32 = MAX_ROOT * MAX_ROOT;
/** Bytes of the eight numbers of a place, two of them unused. */
const PLACE: usize = 32;
/** A double of 2⁵² or more is a whole number, and its lower half is that number's: adding 2⁵² rounds. */
const ROUND: f64 = 4503599627370496;
/** Half of the unit of a squared distance, 2⁻²⁸: a half is then rounded up, and nothing else changes. */
const HALVES_UP: f64 = 1.0 / 536870912;
/** Likewise for single precision, 2²³, and what these bits are above the number. */
const ROUND_SINGLE: f32 = 8388608;
const NUMBER_BITS: i32 = 0x7fffff;

/** Middle of row or column `i` of the base, in the minutia's own frame. */
@inline
function middleOf(i: i32): f64 {
  return ((i as f64) + 0.5) * CELL - RADIUS;
}

/** First and last row or column that a contribution at `u` can reach, before they are limited to the base. */
@inline
function firstReached(u: f64): i32 {
  return wholeOf(ceil<f64>((u - REACH + RADIUS) * (1 / CELL) - (0.5 + ROUNDING)));
}
@inline
function lastReached(u: f64): i32 {
  return wholeOf(floor<f64>((u + REACH + RADIUS) * (1 / CELL) - (0.5 - ROUNDING)));
}

/** A small whole number as an integer, without the checks of a conversion. */
@inline
function wholeOf(value: f64): i32 {
  return reinterpret<i64>(value + 1.5 * ROUND) as i32;
}

/** Adds products of sixteen-bit numbers, of which every second one is zero, to the numbers of a place. */
@inline
function addProducts(place: usize, weightAt: i32, front: v128, back: v128): void {
  const weight = v128.load16_splat(weightAt as usize);
  v128.store(place, i32x4.add(v128.load(place), i32x4.dot_i16x8_s(weight, front)));
  v128.store(place, i32x4.add(v128.load(place, 16), i32x4.dot_i16x8_s(weight, back)), 16);
}

/**
 * Adds the contribution of a minutia at (u, v) in the frame of the cylinder's minutia: to three or four columns of at
 * most four rows. Squared distances are whole multiples of 2⁻²⁸, and exact. There is no branch on whether a place is
 * reached, which is unpredictable: adding zero costs less than a misprediction.
 * @param row - of angular weights
 * @returns the places that are reached, as bits; corners outside the radius among them
 */
@inline
function addMinutia(u: f64, v: f64, weights: usize, scratch: usize): u64 {
  const six = v128.load(weights);
  const front = i32x4.extend_low_i16x8_u(six);
  const back = i32x4.extend_high_i16x8_u(six);
  const firstColumn = min<i32>(SIDE - 3, max<i32>(0, firstReached(v)));
  const fourth = min<i32>(SIDE - 1, lastReached(v)) - firstColumn >= 3;
  const columns = fourth ? 15 : 7;
  const lastRow = min<i32>(SIDE - 1, lastReached(u));
  const dv = f64x2.splat(middleOf(firstColumn) - v);
  const dv0 = f64x2.add(dv, f64x2(0, CELL));
  const dv2 = f64x2.add(dv, f64x2(2 * CELL, 3 * CELL));
  const squares0 = f64x2.mul(dv0, dv0);
  const squares2 = f64x2.mul(dv2, dv2);
  let reached: u64 = 0;
  for (let row = max<i32>(0, firstReached(u)); row <= lastRow; row++) {
    const du = middleOf(row) - u;
    const square = f64x2.splat(du * du + HALVES_UP);
    const round = f64x2.splat(ROUND);
    const low = f64x2.add(f64x2.add(squares0, square), round);
    const high = f64x2.add(f64x2.add(squares2, square), round);
    const squared = i32x4.min_s(v128.shuffle<i32>(low, high, 0, 2, 4, 6), i32x4.splat(REACH_SQUARED + 1));
    const within = i32x4.bitmask(i32x4.le_s(squared, i32x4.splat(REACH_SQUARED))) & columns;
    const cell = row * SIDE + firstColumn;
    reached |= (within as u64) << (cell as u64);
    const at = i32x4.add(i32x4.add(squared, squared), i32x4.splat(SPATIAL_WEIGHTS as i32));
    const place = scratch + CYLINDER + (cell as usize) * PLACE;
    addProducts(place, i32x4.extract_lane(at, 0), front, back);
    addProducts(place + PLACE, i32x4.extract_lane(at, 1), front, back);
    addProducts(place + 2 * PLACE, i32x4.extract_lane(at, 2), front, back);
    if (fourth) addProducts(place + 3 * PLACE, i32x4.extract_lane(at, 3), front, back);
  }
  return reached;
}

/**
 * Square roots of four numbers, rounded down, at most MAX_ROOT: a cluster of minutiae does not dominate a single one.
 * The root in single precision is wrong by less than a thousandth. Rounded, it is the right one or the next, and an
 * integer comparison decides.
 */
@inline
function fourRoots(numbers: v128): v128 {
  const limited = i32x4.min_s(numbers, i32x4.splat(MAX_SQUARE));
  const rounded = f32x4.add(f32x4.sqrt(f32x4.convert_i32x4_s(limited)), f32x4.splat(ROUND_SINGLE));
  const root = v128.and(rounded, i32x4.splat(NUMBER_BITS));
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

/** Which of four minutiae may reach the cylinder of one at (mx, my), as bits. Includes some that are slightly too far. */
@inline
function nearOf(first: i32, mx: f32, my: f32, scratch: usize): i32 {
  const dx = f32x4.sub(v128.load(scratch + POINT_X + ((first as usize) << 2)), f32x4.splat(mx));
  const dy = f32x4.sub(v128.load(scratch + POINT_Y + ((first as usize) << 2)), f32x4.splat(my));
  const squared = f32x4.add(f32x4.mul(dx, dx), f32x4.mul(dy, dy));
  return i32x4.bitmask(f32x4.le(squared, f32x4.splat(FARTHEST_SQUARED)));
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
  const c = cosine(angle);
  const s = sine(angle);
  const mx = getS(scratch + POINT_X, m);
  const my = getS(scratch + POINT_Y, m);
  let near: u64 = 0;
  for (let first = 0; first < count; first += 4) near |= (nearOf(first, mx, my, scratch) as u64) << (first as u64);
  near &= ~((1 as u64) << (m as u64)) & (<u64>-1 >> ((64 - count) as u64));
  let reached: u64 = 0;
  for (; near != 0; near &= near - 1) {
    const o = ctz<u64>(near) as i32;
    const dx = (getS(scratch + POINT_X, o) - mx) as f64;
    const dy = (getS(scratch + POINT_Y, o) - my) as f64;
    const row = angularRow(weights, (angle - angleOf(finger, blocks, o)) & 255);
    reached |= addMinutia(c * dx + s * dy, c * dy - s * dx, row, scratch);
  }
  return writeRoots(reached & DISC_BITS, scratch, out);
}
