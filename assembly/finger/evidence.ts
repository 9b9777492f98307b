/**
 * Evidence of an alignment, as values of the score's terms: for every pair of minutiae, for every unpaired minutia at a
 * place that the other print shows, and for the alignment as a whole.
 */
import {
  FIXED_X,
  FIXED_Y,
  HULL,
  LIMIT,
  MATCH_FIRST,
  MATCH_SECOND,
  MOVED_X,
  MOVED_Y,
  NEAREST_FIRST,
  NEAREST_SECOND,
  RESIDUAL_X,
  RESIDUAL_Y,
  USED_FIRST,
  USED_SECOND,
  angleOf,
  blocksOf,
  getB,
  getS,
  qualityOf,
  setS,
  typeOf,
} from './layout';
import { bending } from './alignment';
import { COS_30 } from './consensus';
import { distanceOf, findNearestCodes } from './distances';
import { makeHull, outsideHull } from './hull';
import { directionCosine } from './pairing';
import { meanDistance } from './shortlist';
import {
  ALL_BENT,
  ALL_CLOSE,
  ALL_DIRECTION,
  ALL_EDGES,
  ALL_MINUTIAE,
  ALL_PAIRED,
  ALL_SPREAD,
  ALL_TYPES,
  ALL_WORTH,
  CONSTANT,
  PAIRED_CODE,
  PAIRED_DIRECTION,
  PAIRED_FAR_EDGE,
  PAIRED_NEAR_EDGE,
  PAIRED_PLACE,
  PAIRED_QUALITY,
  PAIRED_QUALITY_STATED,
  PAIRED_TYPE,
  UNPAIRED_CODE,
  UNPAIRED_CROWD,
  UNPAIRED_NEAREST,
  UNPAIRED_PLACE,
  addTo,
  clearTerms,
  octaves,
} from './terms';

/** A code distance of this many times the mean of the shortlist adds no worth. */
const WORTHLESS_DISTANCE: f64 = 1.6;
/** A pair is close if its error is less than 6 pixels and 11.5°: squared pixels, cosine. */
const CLOSE_SQUARED: f64 = 36;
const CLOSE_COSINE: f64 = 0.98;
/** Squared distances from the other print's hull, in pixels, up to which a minutia is within, near, or counted at all. */
const WITHIN_SQUARED: f64 = 100;
const NEAR_SQUARED: f64 = 400;
/** Squared radius within which the other print's minutiae are counted, in pixels. */
const CROWD_SQUARED: f32 = 2500;
/** An overlap counts as if it held at least this many minutiae. */
const MIN_OVERLAP: f64 = 9;

// Sums over the pairs.
let worth: f64 = 0;
let turned: f64 = 0;
let sameTypes: i32 = 0;
let close: i32 = 0;

function whole(value: f64, most: i32): i32 {
  const v = floor<f64>(value);
  return v < (most as f64) ? (v as i32) : most;
}

/** Places, directions, codes, types and qualities of the pairs. */
function weighPairs(first: usize, n: i32, second: usize, m: i32, pairs: i32, scratch: usize): void {
  const firstBlocks = blocksOf(n);
  const secondBlocks = blocksOf(m);
  worth = 0;
  turned = 0;
  sameTypes = 0;
  close = 0;
  for (let z = 0; z < pairs; z++) {
    const i = getB(scratch + MATCH_FIRST, z);
    const j = getB(scratch + MATCH_SECOND, z);
    const residualX = getS(scratch + FIXED_X, j) - getS(scratch + MOVED_X, i);
    const residualY = getS(scratch + FIXED_Y, j) - getS(scratch + MOVED_Y, i);
    setS(scratch + RESIDUAL_X, z, residualX);
    setS(scratch + RESIDUAL_Y, z, residualY);
    const squared = (residualX * residualX + residualY * residualY) as f64;
    const place = squared / (getS(scratch + LIMIT, i) as f64);
    const cosine = directionCosine(angleOf(first, firstBlocks, i), angleOf(second, secondBlocks, j));
    // Rounding can raise the cosine of equal directions slightly above 1.
    const off: f64 = cosine < 1 ? (1 - cosine) / (1 - COS_30) : 0;
    const code = (distanceOf(scratch, i, j) as f64) / meanDistance;
    addTo(PAIRED_CODE, whole(code * 64, 127), scratch);
    addTo(PAIRED_PLACE, whole(sqrt<f64>(place) * 64, 64), scratch);
    addTo(PAIRED_DIRECTION, whole(sqrt<f64>(off) * 64, 64), scratch);
    if (code < WORTHLESS_DISTANCE) worth += (1 - code / WORTHLESS_DISTANCE) * (1 - place) * (1 - off);
    turned += off;
    if (squared < CLOSE_SQUARED && cosine > CLOSE_COSINE) close++;
    const type = typeOf(first, firstBlocks, i);
    const otherType = typeOf(second, secondBlocks, j);
    if (type == otherType) sameTypes++;
    addTo(PAIRED_TYPE, type == 0 || otherType == 0 ? 0 : type == otherType ? 2 : 1, scratch);
    const quality = qualityOf(first, firstBlocks, i) * qualityOf(second, secondBlocks, j);
    addTo(PAIRED_QUALITY_STATED, quality > 0 ? 1 : 0, scratch);
    if (quality > 0) addTo(PAIRED_QUALITY, whole(sqrt<f64>(quality as f64), 63), scratch);
  }
}

/** Difference of the edge between two pairs in the two prints, in 32nds of what skin stretches: 4 pixels plus a tenth. */
function edgeError(z: i32, o: i32, lengthSquared: f32, scratch: usize): i32 {
  const dx = getS(scratch + RESIDUAL_X, z) - getS(scratch + RESIDUAL_X, o);
  const dy = getS(scratch + RESIDUAL_Y, z) - getS(scratch + RESIDUAL_Y, o);
  const error = sqrt<f64>((dx * dx + dy * dy) as f64);
  return whole((32 * error) / (4 + 0.1 * sqrt<f64>(lengthSquared as f64)), 64);
}

/** An edge is sound if its error is below this. */
const SOUND_EDGE: i32 = 24;

/**
 * Edges from each pair to the two nearest pairs. Stretched skin moves neighbours together: in mated prints the edges agree
 * even where the alignment is wrong. @returns the number of sound edges
 */
function weighEdges(pairs: i32, scratch: usize): i32 {
  let sound = 0;
  for (let z = 0; z < pairs; z++) {
    const j = getB(scratch + MATCH_SECOND, z);
    const x = getS(scratch + FIXED_X, j);
    const y = getS(scratch + FIXED_Y, j);
    let near = -1;
    let next = -1;
    let nearSquared: f32 = Infinity;
    let nextSquared: f32 = Infinity;
    for (let o = 0; o < pairs; o++) {
      if (o == z) continue;
      const k = getB(scratch + MATCH_SECOND, o);
      const dx = getS(scratch + FIXED_X, k) - x;
      const dy = getS(scratch + FIXED_Y, k) - y;
      const squared = dx * dx + dy * dy;
      if (squared < nearSquared) {
        nextSquared = nearSquared;
        next = near;
        nearSquared = squared;
        near = o;
      } else if (squared < nextSquared) {
        nextSquared = squared;
        next = o;
      }
    }
    const one = edgeError(z, near, nearSquared, scratch);
    const other = edgeError(z, next, nextSquared, scratch);
    if (one < SOUND_EDGE) sound++;
    if (other < SOUND_EDGE) sound++;
    addTo(PAIRED_NEAR_EDGE, one < other ? one : other, scratch);
    addTo(PAIRED_FAR_EDGE, one < other ? other : one, scratch);
  }
  return sound;
}

let nearestSquared: f32 = 0;
let crowd: i32 = 0;

/**
 * Finds the point nearest to a place and counts the points around it, four at a time. Lanes past the last point are out of
 * reach.
 */
function lookAround(x: f32, y: f32, xs: usize, ys: usize, count: i32): void {
  const atX = f32x4.splat(x);
  const atY = f32x4.splat(y);
  const near = f32x4.splat(CROWD_SQUARED);
  let smallest = f32x4.splat(Infinity);
  let counts = i32x4.splat(0);
  const end = (count as usize) << 2;
  for (let at: usize = 0; at < end; at += 16) {
    const dx = f32x4.sub(v128.load(xs + at), atX);
    const dy = f32x4.sub(v128.load(ys + at), atY);
    const squared = f32x4.add(f32x4.mul(dx, dx), f32x4.mul(dy, dy));
    smallest = f32x4.pmin(smallest, squared);
    counts = i32x4.sub(counts, f32x4.lt(squared, near));
  }
  nearestSquared = min<f32>(
    min<f32>(f32x4.extract_lane(smallest, 0), f32x4.extract_lane(smallest, 1)),
    min<f32>(f32x4.extract_lane(smallest, 2), f32x4.extract_lane(smallest, 3)),
  );
  crowd =
    i32x4.extract_lane(counts, 0) +
    i32x4.extract_lane(counts, 1) +
    (i32x4.extract_lane(counts, 2) + i32x4.extract_lane(counts, 3));
}

/** Quality class: 0 not stated, 1 to 4 from worst to best. */
function qualityClass(quality: i32): i32 {
  return quality == 0 ? 0 : 1 + (quality >> 4);
}

/**
 * Weighs the unpaired minutiae of one finger that are covered by the hull of the other's minutiae.
 * @returns the number of the one finger's minutiae, paired or not, within the other's hull
 */
function weighUnpaired(
  finger: usize,
  count: i32,
  xs: usize,
  ys: usize,
  used: usize,
  nearestCodes: usize,
  otherXs: usize,
  otherYs: usize,
  otherCount: i32,
  scratch: usize,
): i32 {
  const blocks = blocksOf(count);
  makeHull(otherXs, otherYs, otherCount, scratch + HULL);
  let within = 0;
  for (let i = 0; i < count; i++) {
    const x = getS(xs, i);
    const y = getS(ys, i);
    const outside = outsideHull(x as f64, y as f64);
    if (outside <= WITHIN_SQUARED) within++;
    if (outside > NEAR_SQUARED || getB(used, i) != 0) continue;
    const where = outside > WITHIN_SQUARED ? 2 : outside > 0 ? 1 : 0;
    addTo(UNPAIRED_PLACE, where * 5 + qualityClass(qualityOf(finger, blocks, i)), scratch);
    lookAround(x, y, otherXs, otherYs, otherCount);
    addTo(UNPAIRED_NEAREST, whole(sqrt<f64>(nearestSquared as f64), 64), scratch);
    addTo(UNPAIRED_CODE, whole(((getB(nearestCodes, i) as f64) * 64) / meanDistance, 127), scratch);
    addTo(UNPAIRED_CROWD, crowd, scratch);
  }
  return within;
}

/** Area that the pairs cover, in square pixels: the root of the determinant of their covariance. */
function spread(pairs: i32, scratch: usize): f64 {
  let sx: f64 = 0;
  let sy: f64 = 0;
  let sxx: f64 = 0;
  let sxy: f64 = 0;
  let syy: f64 = 0;
  for (let z = 0; z < pairs; z++) {
    const j = getB(scratch + MATCH_SECOND, z);
    const x = getS(scratch + FIXED_X, j) as f64;
    const y = getS(scratch + FIXED_Y, j) as f64;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
    syy += y * y;
  }
  // Integers up to here; the division comes last.
  const count = pairs as f64;
  const determinant = (count * sxx - sx * sx) * (count * syy - sy * sy) - (count * sxy - sx * sy) * (count * sxy - sx * sy);
  return determinant > 0 ? sqrt<f64>(determinant) / (count * count) : 0;
}

/** Fills the terms. @param pairs - at least three */
export function weighEvidence(first: usize, n: i32, second: usize, m: i32, pairs: i32, scratch: usize): void {
  clearTerms(scratch);
  addTo(CONSTANT, 0, scratch);
  weighPairs(first, n, second, m, pairs, scratch);
  const sound = weighEdges(pairs, scratch);
  findNearestCodes(n, m, scratch);
  const movedX = scratch + MOVED_X;
  const movedY = scratch + MOVED_Y;
  const fixedX = scratch + FIXED_X;
  const fixedY = scratch + FIXED_Y;
  const a = weighUnpaired(
    first, n, movedX, movedY, scratch + USED_FIRST, scratch + NEAREST_FIRST, fixedX, fixedY, m, scratch,
  );
  const b = weighUnpaired(
    second, m, fixedX, fixedY, scratch + USED_SECOND, scratch + NEAREST_SECOND, movedX, movedY, n, scratch,
  );
  const count = pairs as f64;
  const overlap = sqrt<f64>(max<f64>(MIN_OVERLAP, a as f64) * max<f64>(MIN_OVERLAP, b as f64));
  addTo(ALL_PAIRED, pairs, scratch);
  addTo(ALL_WORTH, octaves(whole((64 * worth * worth) / overlap, 1 << 24)), scratch);
  addTo(ALL_MINUTIAE, n < m ? n : m, scratch);
  addTo(ALL_EDGES, (sound * 32) / pairs, scratch);
  addTo(ALL_CLOSE, (close * 64) / pairs, scratch);
  addTo(ALL_SPREAD, octaves(whole(spread(pairs, scratch) / 16, 1 << 24)), scratch);
  addTo(ALL_DIRECTION, whole((turned * 128) / count, 127), scratch);
  addTo(ALL_TYPES, (sameTypes * 64) / pairs, scratch);
  addTo(ALL_BENT, whole(bending() * 100, 64), scratch);
}
