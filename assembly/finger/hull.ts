/** Convex hull of the minutiae: a cylinder knows nothing of places far outside the print. */
import { getB, HULL, ORDER, setB, blocksOf, xOf, yOf } from './layout';

/** Corners of the hull, in scratch. */
let corners: i32 = 0;

function turn(finger: usize, blocks: usize, o: i32, a: i32, b: i32): f64 {
  const ox = xOf(finger, o);
  const oy = yOf(finger, blocks, o);
  return (xOf(finger, a) - ox) * (yOf(finger, blocks, b) - oy) - (yOf(finger, blocks, a) - oy) * (xOf(finger, b) - ox);
}

function before(finger: usize, blocks: usize, a: i32, b: i32): bool {
  const dx = xOf(finger, a) - xOf(finger, b);
  return dx != 0 ? dx < 0 : yOf(finger, blocks, a) < yOf(finger, blocks, b);
}

/** Andrew's monotone chain, counter-clockwise. Corners are minutia numbers in scratch at HULL. */
export function makeHull(finger: usize, count: i32, scratch: usize): void {
  const blocks = blocksOf(count);
  const order = scratch + ORDER;
  const hull = scratch + HULL;
  for (let i = 0; i < count; i++) {
    let at = i;
    while (at > 0 && before(finger, blocks, i, getB(order, at - 1))) {
      setB(order, at, getB(order, at - 1));
      at--;
    }
    setB(order, at, i);
  }
  let size = 0;
  for (let i = 0; i < count; i++) {
    const next = getB(order, i);
    while (size >= 2 && turn(finger, blocks, getB(hull, size - 2), getB(hull, size - 1), next) <= 0) size--;
    setB(hull, size++, next);
  }
  const lower = size + 1;
  for (let i = count - 2; i >= 0; i--) {
    const next = getB(order, i);
    while (size >= lower && turn(finger, blocks, getB(hull, size - 2), getB(hull, size - 1), next) <= 0) size--;
    setB(hull, size++, next);
  }
  corners = size - 1;
}

/** Squared distance of a point to the hull; 0 inside. */
export function outsideHull(finger: usize, blocks: usize, scratch: usize, x: f64, y: f64): f64 {
  const hull = scratch + HULL;
  let inside = corners >= 3;
  let best: f64 = 1e18;
  for (let i = 0; i < corners; i++) {
    const a = getB(hull, i);
    const b = getB(hull, i + 1 == corners ? 0 : i + 1);
    const ax = xOf(finger, a);
    const ay = yOf(finger, blocks, a);
    const ex = xOf(finger, b) - ax;
    const ey = yOf(finger, blocks, b) - ay;
    const px = x - ax;
    const py = y - ay;
    if (ex * py - ey * px < 0) inside = false;
    const length = ex * ex + ey * ey;
    let along: f64 = length > 0 ? (ex * px + ey * py) / length : 0;
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    const dx = px - along * ex;
    const dy = py - along * ey;
    const d = dx * dx + dy * dy;
    if (d < best) best = d;
  }
  return inside ? 0 : best;
}
