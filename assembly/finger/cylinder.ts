/**
 * The neighbourhood of a minutia as a cylinder of 8 × 8 places, of which 52 lie within the radius, and 6 directions:
 * Minutia Cylinder-Code, Cappelli, Ferrara, Maltoni, IEEE TPAMI 32(12), 2010. Its sums are whole numbers in double
 * precision, so the order of the minutiae cannot matter.
 */
import {
  CELLS,
  CYLINDER,
  CYLINDER_SIZE,
  SIDE,
  TURN_CELLS,
  VALID_CELLS,
  angleOf,
  blocksOf,
  cosine,
  getB,
  getF,
  setB,
  setF,
  sine,
  xOf,
  yOf,
} from './layout';
import { outsideHull } from './hull';
import { ANGULAR_WEIGHTS, SPATIAL_WEIGHTS } from './tables';

/** Pixels. */
const RADIUS: f64 = 70;
const CELL: f64 = 17.5;
/** Cells further than this outside the hull say nothing: squared pixels. */
const HULL_MARGIN_SQUARED: f64 = 2500;
/** Where a minutia's contribution ends, 3 σ: pixels, and their square. */
const REACH: f64 = 28;
const REACH_SQUARED: i32 = 784;
/** Radius and reach together, squared. */
const FARTHEST_SQUARED: f64 = 9604;
/** Fractions of a turn that ANGULAR_WEIGHTS counts in: three to a 256th, 128 to a cell. */
const TURN: i32 = 768;

/** Middle of row or column `i` of the base, in the minutia's own frame. */
function middleOf(i: i32): f64 {
  return ((i as f64) + 0.5) * CELL - RADIUS;
}

/** How much of a difference of directions, in 256ths, falls into angular cell `k`. */
function angularWeight(difference: i32, k: i32): f64 {
  // The first cell begins at minus half a turn.
  let distance = k * (TURN / TURN_CELLS) - (TURN - TURN / TURN_CELLS) / 2 - 3 * difference;
  while (distance < -TURN / 2) distance += TURN;
  if (distance < 0) distance = -distance;
  return load<i16>(ANGULAR_WEIGHTS + ((distance as usize) << 1)) as f64;
}

/** Which cells of the base of a minutia at (mx, my) say something. The hull has been made. */
function markCells(mx: f64, my: f64, c: f64, s: f64, valid: usize): void {
  for (let cell = 0; cell < CELLS; cell++) {
    const u = middleOf(cell / SIDE);
    const v = middleOf(cell % SIDE);
    const within =
      u * u + v * v <= RADIUS * RADIUS &&
      outsideHull(mx + c * u - s * v, my + s * u + c * v) <= HULL_MARGIN_SQUARED;
    setB(valid, cell, within ? 1 : 0);
  }
}

/** Adds to one number of the cylinder. */
function add(cylinder: usize, at: i32, contribution: f64): void {
  setF(cylinder, at, getF(cylinder, at) + contribution);
}

/** First, and last, row or column that a contribution at `u` can reach: REACH away, and one more for the rounding. */
function firstReached(u: f64): i32 {
  return max(0, floor<f64>((u - REACH + RADIUS) / CELL - 0.5) as i32);
}
function lastReached(u: f64): i32 {
  return min(SIDE - 1, ceil<f64>((u + REACH + RADIUS) / CELL - 0.5) as i32);
}

/** Adds the contribution of a minutia at (u, v) in the middle one's frame: to a dozen of the 64 cells at most. */
function addMinutia(u: f64, v: f64, difference: i32, scratch: usize): void {
  const cylinder = scratch + CYLINDER;
  const w0 = angularWeight(difference, 0);
  const w1 = angularWeight(difference, 1);
  const w2 = angularWeight(difference, 2);
  const w3 = angularWeight(difference, 3);
  const w4 = angularWeight(difference, 4);
  const w5 = angularWeight(difference, 5);
  const lastRow = lastReached(u);
  const firstColumn = firstReached(v);
  const lastColumn = lastReached(v);
  for (let row = firstReached(u); row <= lastRow; row++) {
    const du = middleOf(row) - u;
    for (let column = firstColumn; column <= lastColumn; column++) {
      const cell = row * SIDE + column;
      if (getB(scratch + VALID_CELLS, cell) == 0) continue;
      const dv = middleOf(column) - v;
      const squared = floor<f64>(du * du + dv * dv + 0.5) as i32;
      if (squared > REACH_SQUARED) continue;
      const weight = load<i16>(SPATIAL_WEIGHTS + ((squared as usize) << 1)) as f64;
      add(cylinder, cell, weight * w0);
      add(cylinder, cell + CELLS, weight * w1);
      add(cylinder, cell + 2 * CELLS, weight * w2);
      add(cylinder, cell + 3 * CELLS, weight * w3);
      add(cylinder, cell + 4 * CELLS, weight * w4);
      add(cylinder, cell + 5 * CELLS, weight * w5);
    }
  }
}

/** Fills the cylinder of minutia `m` and marks its valid cells. */
export function makeCylinder(finger: usize, count: i32, m: i32, scratch: usize): void {
  const blocks = blocksOf(count);
  const angle = angleOf(finger, blocks, m);
  const c = cosine(angle);
  const s = sine(angle);
  markCells(xOf(finger, m), yOf(finger, blocks, m), c, s, scratch + VALID_CELLS);
  memory.fill(scratch + CYLINDER, 0, (CYLINDER_SIZE as usize) << 3);
  for (let o = 0; o < count; o++) {
    if (o == m) continue;
    const dx = xOf(finger, o) - xOf(finger, m);
    const dy = yOf(finger, blocks, o) - yOf(finger, blocks, m);
    const u = c * dx + s * dy;
    const v = c * dy - s * dx;
    if (u * u + v * v > FARTHEST_SQUARED) continue;
    addMinutia(u, v, (angle - angleOf(finger, blocks, o)) & 255, scratch);
  }
}
