/**
 * Convex hull of minutiae: a minutia outside the other print's hull is not expected to have a mate there.
 *
 * Scratch: u8 [64] points from left to right, u8 [128] corners of the hull as point numbers, with room for the chain.
 */
import { getB, getS, setB } from './layout';

const CORNERS: usize = 64;

/** Corners of the last hull, and the addresses of its points. */
let corners: i32 = 0;
let xs: usize = 0;
let ys: usize = 0;
let hull: usize = 0;

// Functions get the addresses of the points as arguments: engines read a global again at every use.

function x(pointX: usize, i: i32): f64 {
  return getS(pointX, i) as f64;
}
function y(pointY: usize, i: i32): f64 {
  return getS(pointY, i) as f64;
}

function turn(pointX: usize, pointY: usize, o: i32, a: i32, b: i32): f64 {
  const ox = x(pointX, o);
  const oy = y(pointY, o);
  return (x(pointX, a) - ox) * (y(pointY, b) - oy) - (y(pointY, a) - oy) * (x(pointX, b) - ox);
}

/** Andrew's monotone chain, counter-clockwise. @param pointX - f32 for each; must not change while the hull is used */
export function makeHull(pointX: usize, pointY: usize, count: i32, scratch: usize): void {
  xs = pointX;
  ys = pointY;
  const corner = scratch + CORNERS;
  hull = corner;
  const order = scratch;
  for (let i = 0; i < count; i++) {
    const xi = getS(pointX, i);
    const yi = getS(pointY, i);
    let at = i;
    for (; at > 0; at--) {
      const other = getB(order, at - 1);
      const xo = getS(pointX, other);
      if (xo < xi || (xo == xi && getS(pointY, other) <= yi)) break;
      setB(order, at, other);
    }
    setB(order, at, i);
  }
  let size = 0;
  for (let i = 0; i < count; i++) {
    const next = getB(order, i);
    while (size >= 2 && turn(pointX, pointY, getB(corner, size - 2), getB(corner, size - 1), next) <= 0) size--;
    setB(corner, size++, next);
  }
  const lower = size + 1;
  for (let i = count - 2; i >= 0; i--) {
    const next = getB(order, i);
    while (size >= lower && turn(pointX, pointY, getB(corner, size - 2), getB(corner, size - 1), next) <= 0) size--;
    setB(corner, size++, next);
  }
  corners = size - 1;
}

/**
 * Squared distance of a point to the last hull; 0 inside. Only edges with the point on their outer side can be nearest:
 * most points therefore take two products per edge and no division. A hull that is a line or a point has no inside.
 */
export function outsideHull(px: f64, py: f64): f64 {
  const pointX = xs;
  const pointY = ys;
  const corner = hull;
  const count = corners;
  const flat = count < 3;
  let inside = !flat;
  let best: f64 = 1e18;
  let ax = count > 0 ? x(pointX, getB(corner, count - 1)) : 0;
  let ay = count > 0 ? y(pointY, getB(corner, count - 1)) : 0;
  for (let i = 0; i < count; i++) {
    const b = getB(corner, i);
    const bx = x(pointX, b);
    const by = y(pointY, b);
    const ex = bx - ax;
    const ey = by - ay;
    const fx = px - ax;
    const fy = py - ay;
    ax = bx;
    ay = by;
    if (ex * fy - ey * fx >= 0 && !flat) continue;
    inside = false;
    const length = ex * ex + ey * ey;
    let along: f64 = length > 0 ? (ex * fx + ey * fy) / length : 0;
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    const dx = fx - along * ex;
    const dy = fy - along * ey;
    const d = dx * dx + dy * dy;
    if (d < best) best = d;
  }
  return inside ? 0 : best;
}
