/**
 * The neighbourhood of a minutia as a cylinder of 8 × 8 places, of which 52 lie within the radius, and 6 directions:
 * Minutia Cylinder-Code, Cappelli, Ferrara, Maltoni, IEEE TPAMI 32(12), 2010. Sums are integers: the order of the minutiae
 * cannot matter. The largest sum, 63 minutiae in one place and of one direction, has thirty bits.
 *
 * MCC ignores places more than 50 pixels outside the hull of the minutiae. Here no check is needed: a cell that is not
 * empty is within 28 pixels of a minutia, and therefore of the hull.
 */
import {
  CELLS,
  CYLINDER,
  PLACES,
  POINT_X,
  POINT_Y,
  ROOTS,
  ROOTS_ROW,
  SIDE,
  TURN_CELLS,
  angleOf,
  blocksOf,
  cosine,
  getB,
  sine,
  xOf,
  yOf,
} from './layout';
import { ANGULAR_WEIGHTS, DISC, SPATIAL_WEIGHTS } from './tables';

/** Pixels. */
const RADIUS: f64 = 70;
const CELL: f64 = 17.5;
/** Reach of a minutia's contribution, 3 σ: pixels, and their square. */
const REACH: f64 = 28;
const REACH_SQUARED: i32 = 784;
/** Upper bound, in cells, of what rounding squares to integers adds to the reach. */
const ROUNDING: f64 = 0.001;
/** Radius and reach together, squared. */
const FARTHEST_SQUARED: f64 = 9604;
/** Unit of ANGULAR_WEIGHTS: 768ths of a turn, three to a 256th, 128 to a cell. */
const TURN: i32 = 768;
/** Largest root. Training makes sure that no cylinder's sums overflow thirty-two bits. */
const MAX_ROOT: i16 = 8191;
/** Bytes of the eight numbers of a place, two of them unused, and of their six roots. */
const PLACE: usize = 32;
const ROOTS_PLACE: usize = 12;

/** Middle of row or column `i` of the base, in the minutia's own frame. */
function middleOf(i: i32): f64 {
  return ((i as f64) + 0.5) * CELL - RADIUS;
}

/**
 * Share of a difference of directions that falls into an angular cell.
 * @param distance - from the cell's middle, 0 to TURN, in either direction
 */
@inline
function angularWeight(distance: i32): i32 {
  const way = min<i32>(distance, TURN - distance);
  return load<i16>(ANGULAR_WEIGHTS + ((way as usize) << 1)) as i32;
}

/** Reduces an angle of less than two turns to less than one. */
@inline
function withinTurn(angle: i32): i32 {
  return angle >= TURN ? angle - TURN : angle;
}

/** First and last row or column that a contribution at `u` can reach. */
@inline
function firstReached(u: f64): i32 {
  return max<i32>(0, ceil<f64>((u - REACH + RADIUS) * (1 / CELL) - (0.5 + ROUNDING)) as i32);
}
@inline
function lastReached(u: f64): i32 {
  return min<i32>(SIDE - 1, floor<f64>((u + REACH + RADIUS) * (1 / CELL) - (0.5 - ROUNDING)) as i32);
}

/** Adds products of sixteen-bit numbers, held in the lower halves of 32-bit lanes, to four numbers of a place. */
@inline
function addProducts(place: usize, weight: v128, weights: v128): void {
  v128.store(place, i32x4.add(v128.load(place), i32x4.dot_i16x8_s(weight, weights)));
}

/**
 * Adds the contribution of a minutia at (u, v) in the frame of the cylinder's minutia: to at most twelve of the 64 cells.
 * @param difference - of its direction, in 256ths of a turn, 0 to 255
 */
function addMinutia(u: f64, v: f64, difference: i32, scratch: usize): void {
  // The first cell begins at minus half a turn.
  const d0 = withinTurn(2 * TURN - (TURN - TURN / TURN_CELLS) / 2 - 3 * difference);
  const d1 = withinTurn(d0 + TURN / TURN_CELLS);
  const d2 = withinTurn(d1 + TURN / TURN_CELLS);
  const d3 = withinTurn(d2 + TURN / TURN_CELLS);
  const d4 = withinTurn(d3 + TURN / TURN_CELLS);
  const d5 = withinTurn(d4 + TURN / TURN_CELLS);
  let front = i32x4.splat(angularWeight(d0));
  front = i32x4.replace_lane(front, 1, angularWeight(d1));
  front = i32x4.replace_lane(front, 2, angularWeight(d2));
  front = i32x4.replace_lane(front, 3, angularWeight(d3));
  let back = i32x4.replace_lane(i32x4.splat(0), 0, angularWeight(d4));
  back = i32x4.replace_lane(back, 1, angularWeight(d5));
  const lastRow = lastReached(u);
  const firstColumn = firstReached(v);
  const lastColumn = lastReached(v);
  for (let row = firstReached(u); row <= lastRow; row++) {
    const du = middleOf(row) - u;
    for (let column = firstColumn; column <= lastColumn; column++) {
      const dv = middleOf(column) - v;
      const squared = (du * du + dv * dv + 0.5) as i32;
      // No branch: whether a corner place is reached is unpredictable, and adding zero costs less than a misprediction.
      const share = load<i16>(SPATIAL_WEIGHTS + ((min<i32>(squared, REACH_SQUARED) as usize) << 1)) as i32;
      const weight = i32x4.splat(select<i32>(share, 0, squared <= REACH_SQUARED));
      const place = scratch + CYLINDER + ((row * SIDE + column) as usize) * PLACE;
      addProducts(place, weight, front);
      addProducts(place + 16, weight, back);
    }
  }
}

/** Square roots of two of four numbers, rounded down: a cluster of minutiae does not dominate a single one. */
@inline
function twoRoots(numbers: v128): v128 {
  return i32x4.trunc_sat_f64x2_s_zero(f64x2.sqrt(f64x2.convert_low_i32x4_s(numbers)));
}

/** Writes the roots of the cylinder, place by place: twelve bytes each, and four that the next place overwrites. */
function flatten(scratch: usize, out: usize): void {
  const largest = i16x8.splat(MAX_ROOT);
  for (let n = 0; n < PLACES; n++) {
    const place = scratch + CYLINDER + (getB(DISC, n) as usize) * PLACE;
    const front = v128.load(place);
    const four = v128.shuffle<i64>(twoRoots(front), twoRoots(v128.shuffle<i64>(front, front, 1, 0)), 0, 2);
    const six = i16x8.min_s(i16x8.narrow_i32x4_s(four, twoRoots(v128.load(place + 16))), largest);
    v128.store(out + (n as usize) * ROOTS_PLACE, six);
  }
}

/** Which of four minutiae may reach the cylinder of one at (mx, my), as bits. Includes some that are slightly too far. */
@inline
function nearOf(first: i32, mx: f32, my: f32, scratch: usize): i32 {
  const dx = f32x4.sub(v128.load(scratch + POINT_X + ((first as usize) << 2)), f32x4.splat(mx));
  const dy = f32x4.sub(v128.load(scratch + POINT_Y + ((first as usize) << 2)), f32x4.splat(my));
  const squared = f32x4.add(f32x4.mul(dx, dx), f32x4.mul(dy, dy));
  return i32x4.bitmask(f32x4.le(squared, f32x4.splat(FARTHEST_SQUARED as f32 * 1.01)));
}

/** Makes the cylinder of minutia `m`, and writes its roots. */
export function makeCylinder(finger: usize, count: i32, m: i32, scratch: usize): void {
  const blocks = blocksOf(count);
  const angle = angleOf(finger, blocks, m);
  const c = cosine(angle);
  const s = sine(angle);
  const mx = xOf(finger, m);
  const my = yOf(finger, blocks, m);
  memory.fill(scratch + CYLINDER, 0, (CELLS as usize) * PLACE);
  for (let first = 0; first < count; first += 4) {
    let four = nearOf(first, mx as f32, my as f32, scratch);
    if (count - first < 4) four &= (1 << (count - first)) - 1;
    if (m - first < 4 && m >= first) four &= ~(1 << (m - first));
    for (; four != 0; four &= four - 1) {
      const o = first + ctz<i32>(four);
      const dx = xOf(finger, o) - mx;
      const dy = yOf(finger, blocks, o) - my;
      const u = c * dx + s * dy;
      const v = c * dy - s * dx;
      if (u * u + v * v > FARTHEST_SQUARED) continue;
      addMinutia(u, v, (angle - angleOf(finger, blocks, o)) & 255, scratch);
    }
  }
  flatten(scratch, scratch + ROOTS + (m as usize) * ROOTS_ROW);
}
