/** The transformation that maps the first finger onto the second: first rigid, then affine. */
import {
  CLUSTER,
  MATCH_FIRST,
  MATCH_SECOND,
  MOVED_X,
  MOVED_Y,
  PAIR_AX,
  PAIR_AY,
  PAIR_BX,
  PAIR_BY,
  PAIR_COS,
  PAIR_SIN,
  PAIR_STRENGTH,
  blocksOf,
  getB,
  getS,
  setS,
  xOf,
  yOf,
} from './layout';

/** Weight of a direction relative to a position, in squared pixels: a direction counts like a lever of 20 pixels. */
const LEVER_SQUARED: f64 = 400;
/** Ridge of the affine fit, which pulls it to the rotation, in squared pixels. */
const RIDGE: f64 = 7500;

/** x' = xx x + xy y + x0; y' = yx x + yy y + y0. */
let xx: f64 = 1;
let xy: f64 = 0;
let yx: f64 = 0;
let yy: f64 = 1;
let x0: f64 = 0;
let y0: f64 = 0;
/** The rotation alone. */
export let rotationCos: f64 = 1;
export let rotationSin: f64 = 0;
/** Centre of the matches in the second finger. */
export let centreX: f64 = 0;
export let centreY: f64 = 0;

function setRigid(ax: f64, ay: f64, bx: f64, by: f64): void {
  xx = rotationCos;
  xy = -rotationSin;
  yx = rotationSin;
  yy = rotationCos;
  place(ax, ay, bx, by);
}

function place(ax: f64, ay: f64, bx: f64, by: f64): void {
  x0 = bx - xx * ax - xy * ay;
  y0 = by - yx * ax - yy * ay;
  centreX = bx;
  centreY = by;
}

function turnTo(c: f64, s: f64): void {
  const length = sqrt<f64>(c * c + s * s);
  rotationCos = length > 0 ? c / length : 1;
  rotationSin = length > 0 ? s / length : 0;
}

/** Rigid fit to the pairs of the cluster, weighted by their strength. */
export function alignCluster(size: i32, scratch: usize): void {
  let weight: f64 = 0;
  let ax: f64 = 0;
  let ay: f64 = 0;
  let bx: f64 = 0;
  let by: f64 = 0;
  for (let z = 0; z < size; z++) {
    const p = getB(scratch + CLUSTER, z);
    const w = (getS(scratch + PAIR_STRENGTH, p) as f64) + 0.01;
    weight += w;
    ax += w * (getS(scratch + PAIR_AX, p) as f64);
    ay += w * (getS(scratch + PAIR_AY, p) as f64);
    bx += w * (getS(scratch + PAIR_BX, p) as f64);
    by += w * (getS(scratch + PAIR_BY, p) as f64);
  }
  ax /= weight;
  ay /= weight;
  bx /= weight;
  by /= weight;
  let c: f64 = 0;
  let s: f64 = 0;
  for (let z = 0; z < size; z++) {
    const p = getB(scratch + CLUSTER, z);
    const w = (getS(scratch + PAIR_STRENGTH, p) as f64) + 0.01;
    const dx = (getS(scratch + PAIR_AX, p) as f64) - ax;
    const dy = (getS(scratch + PAIR_AY, p) as f64) - ay;
    const ex = (getS(scratch + PAIR_BX, p) as f64) - bx;
    const ey = (getS(scratch + PAIR_BY, p) as f64) - by;
    c += w * (dx * ex + dy * ey + LEVER_SQUARED * (getS(scratch + PAIR_COS, p) as f64));
    s += w * (dx * ey - dy * ex + LEVER_SQUARED * (getS(scratch + PAIR_SIN, p) as f64));
  }
  turnTo(c, s);
  setRigid(ax, ay, bx, by);
}

/** Fit to the matched minutiae: affine, held near the rotation, if there are enough of them. */
export function alignMatches(
  first: usize,
  n: i32,
  second: usize,
  m: i32,
  matches: i32,
  affine: bool,
  scratch: usize,
): void {
  const firstBlocks = blocksOf(n);
  const secondBlocks = blocksOf(m);
  let ax: f64 = 0;
  let ay: f64 = 0;
  let bx: f64 = 0;
  let by: f64 = 0;
  for (let z = 0; z < matches; z++) {
    const i = getB(scratch + MATCH_FIRST, z);
    const j = getB(scratch + MATCH_SECOND, z);
    ax += xOf(first, i);
    ay += yOf(first, firstBlocks, i);
    bx += xOf(second, j);
    by += yOf(second, secondBlocks, j);
  }
  const count = matches as f64;
  ax /= count;
  ay /= count;
  bx /= count;
  by /= count;
  let sxx: f64 = 0;
  let sxy: f64 = 0;
  let syy: f64 = 0;
  let exx: f64 = 0;
  let exy: f64 = 0;
  let eyx: f64 = 0;
  let eyy: f64 = 0;
  for (let z = 0; z < matches; z++) {
    const i = getB(scratch + MATCH_FIRST, z);
    const j = getB(scratch + MATCH_SECOND, z);
    const dx = xOf(first, i) - ax;
    const dy = yOf(first, firstBlocks, i) - ay;
    const ex = xOf(second, j) - bx;
    const ey = yOf(second, secondBlocks, j) - by;
    sxx += dx * dx;
    sxy += dx * dy;
    syy += dy * dy;
    exx += ex * dx;
    exy += ex * dy;
    eyx += ey * dx;
    eyy += ey * dy;
  }
  turnTo(exx + eyy, eyx - exy);
  if (!affine) {
    setRigid(ax, ay, bx, by);
    return;
  }
  const a = sxx + RIDGE;
  const d = syy + RIDGE;
  const determinant = a * d - sxy * sxy;
  const rxx = exx + RIDGE * rotationCos;
  const rxy = exy - RIDGE * rotationSin;
  const ryx = eyx + RIDGE * rotationSin;
  const ryy = eyy + RIDGE * rotationCos;
  xx = (rxx * d - rxy * sxy) / determinant;
  xy = (rxy * a - rxx * sxy) / determinant;
  yx = (ryx * d - ryy * sxy) / determinant;
  yy = (ryy * a - ryx * sxy) / determinant;
  place(ax, ay, bx, by);
}

/** Maps the first finger's minutiae into the second; pads to a whole vector with places out of reach. */
export function moveFirst(first: usize, n: i32, scratch: usize): void {
  const blocks = blocksOf(n);
  for (let i = 0; i < n; i++) {
    const x = xOf(first, i);
    const y = yOf(first, blocks, i);
    setS(scratch + MOVED_X, i, (xx * x + xy * y + x0) as f32);
    setS(scratch + MOVED_Y, i, (yx * x + yy * y + y0) as f32);
  }
  for (let i = n; (i & 3) != 0; i++) {
    setS(scratch + MOVED_X, i, 1e6);
    setS(scratch + MOVED_Y, i, 1e6);
  }
}

/**
 * The rotation in 256ths of a turn, with an error of at most 0.7. The arctangent up to 1 is nearly a parabola, and the
 * other seven octants are its reflections.
 */
export function rotationInSteps(): i32 {
  const c = abs<f64>(rotationCos);
  const s = abs<f64>(rotationSin);
  const tangent = min<f64>(c, s) / max<f64>(c, s);
  let steps = tangent * (32 + 11.12 * (1 - tangent));
  if (s > c) steps = 64 - steps;
  if (rotationCos < 0) steps = 128 - steps;
  if (rotationSin < 0) steps = -steps;
  return nearest<f64>(steps) as i32;
}

/** How far the transformation deviates from a rotation. */
export function bending(): f64 {
  return abs<f64>(xx * yy - xy * yx - 1) + abs<f64>(xx - rotationCos) + abs<f64>(xy + rotationSin);
}

/** Writes the six numbers of the transformation, or of its inverse. */
export function storeAlignment(out: usize, straight: bool): void {
  const determinant = straight ? 1 : xx * yy - xy * yx;
  const a = straight ? xx : yy / determinant;
  const b = straight ? xy : -xy / determinant;
  const d = straight ? yx : -yx / determinant;
  const e = straight ? yy : xx / determinant;
  store<f64>(out, a);
  store<f64>(out, b, 8);
  store<f64>(out, straight ? x0 : -(a * x0 + b * y0), 16);
  store<f64>(out, d, 24);
  store<f64>(out, e, 32);
  store<f64>(out, straight ? y0 : -(d * x0 + e * y0), 40);
}
