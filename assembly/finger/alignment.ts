/** The transformation that lays the probe over the reference: rigid first, then bent a little. */
import {
  CLUSTER,
  MATCH_PROBE,
  MATCH_REFERENCE,
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
  getF,
  setF,
  xOf,
  yOf,
} from './layout';

/** Weight of a direction against a position, squared pixels: a direction counts like a lever of 20 pixels. */
const LEVER_SQUARED: f64 = 400;
/** How strongly the affine part is pulled to the rotation: squared pixels. */
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
/** Where the matches are centred in the reference. */
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

/** Rigid fit to the pairs of the cluster, by their strength. */
export function alignCluster(size: i32, scratch: usize): void {
  let weight: f64 = 0;
  let ax: f64 = 0;
  let ay: f64 = 0;
  let bx: f64 = 0;
  let by: f64 = 0;
  for (let z = 0; z < size; z++) {
    const p = getB(scratch + CLUSTER, z);
    const w = getF(scratch + PAIR_STRENGTH, p) + 0.01;
    weight += w;
    ax += w * getF(scratch + PAIR_AX, p);
    ay += w * getF(scratch + PAIR_AY, p);
    bx += w * getF(scratch + PAIR_BX, p);
    by += w * getF(scratch + PAIR_BY, p);
  }
  ax /= weight;
  ay /= weight;
  bx /= weight;
  by /= weight;
  let c: f64 = 0;
  let s: f64 = 0;
  for (let z = 0; z < size; z++) {
    const p = getB(scratch + CLUSTER, z);
    const w = getF(scratch + PAIR_STRENGTH, p) + 0.01;
    const dx = getF(scratch + PAIR_AX, p) - ax;
    const dy = getF(scratch + PAIR_AY, p) - ay;
    const ex = getF(scratch + PAIR_BX, p) - bx;
    const ey = getF(scratch + PAIR_BY, p) - by;
    c += w * (dx * ex + dy * ey + LEVER_SQUARED * getF(scratch + PAIR_COS, p));
    s += w * (dx * ey - dy * ex + LEVER_SQUARED * getF(scratch + PAIR_SIN, p));
  }
  turnTo(c, s);
  setRigid(ax, ay, bx, by);
}

/** Fit to the matched minutiae; affine, held near the rotation, where there are enough of them. */
export function alignMatches(
  probe: usize,
  n: i32,
  reference: usize,
  m: i32,
  matches: i32,
  affine: bool,
  scratch: usize,
): void {
  const probeBlocks = blocksOf(n);
  const referenceBlocks = blocksOf(m);
  let ax: f64 = 0;
  let ay: f64 = 0;
  let bx: f64 = 0;
  let by: f64 = 0;
  for (let z = 0; z < matches; z++) {
    const i = getB(scratch + MATCH_PROBE, z);
    const j = getB(scratch + MATCH_REFERENCE, z);
    ax += xOf(probe, i);
    ay += yOf(probe, probeBlocks, i);
    bx += xOf(reference, j);
    by += yOf(reference, referenceBlocks, j);
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
    const i = getB(scratch + MATCH_PROBE, z);
    const j = getB(scratch + MATCH_REFERENCE, z);
    const dx = xOf(probe, i) - ax;
    const dy = yOf(probe, probeBlocks, i) - ay;
    const ex = xOf(reference, j) - bx;
    const ey = yOf(reference, referenceBlocks, j) - by;
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

/** Where the probe's minutiae come to lie in the reference. */
export function moveProbe(probe: usize, n: i32, scratch: usize): void {
  const blocks = blocksOf(n);
  for (let i = 0; i < n; i++) {
    const x = xOf(probe, i);
    const y = yOf(probe, blocks, i);
    setF(scratch + MOVED_X, i, xx * x + xy * y + x0);
    setF(scratch + MOVED_Y, i, yx * x + yy * y + y0);
  }
}
