/** One-to-one assignments: of the cluster's pairs, and of the minutiae that coincide after the alignment. */
import {
  CANDIDATE_COST,
  CANDIDATE_PAIR,
  CLUSTER,
  FIXED_X,
  FIXED_Y,
  LIMIT,
  MATCH_FIRST,
  MATCH_SECOND,
  MOVED_X,
  MOVED_Y,
  NEAR,
  PAIRS,
  PAIR_STRENGTH,
  SQUARE_BEYOND,
  SQUARE_X,
  SQUARE_Y,
  USED_FIRST,
  USED_SECOND,
  angleOf,
  blocksOf,
  columnOfAngles,
  columnOfX,
  columnOfY,
  cosine,
  getB,
  getS,
  setB,
  setS,
  sine,
  xOf,
  yOf,
} from './layout';
import { centreX, centreY, rotationCos, rotationInSteps, rotationSin } from './alignment';
import { COS_30, partnersOf } from './consensus';
import { distanceOf } from './distances';
import { firstAt, meanDistance, secondAt } from './shortlist';

/** Largest error of a match in pixels, and its increase for each pixel from the centre: skin stretches. */
const RADIUS: f64 = 14;
const RADIUS_PER_PIXEL: f64 = 0.05;
/** 30° in 256ths of a turn plus the error of the rotation, rounded up: it may be too wide, never too narrow. */
const BEYOND_TURN: i8 = 24;
/** Weight of the code distance relative to place and direction. */
const CODE_WEIGHT: f64 = 0.5;

/** The strongest of the pairs marked as bits; of equals, the first. */
function strongestOf(pairs: u32, scratch: usize): i32 {
  let strongest = ctz(pairs) as i32;
  let strength = getS(scratch + PAIR_STRENGTH, strongest);
  for (let rest = pairs & (pairs - 1); rest != 0; rest &= rest - 1) {
    const pair = ctz(rest) as i32;
    const other = getS(scratch + PAIR_STRENGTH, pair);
    strongest = select<i32>(pair, strongest, other > strength);
    strength = max<f32>(strength, other);
  }
  return strongest;
}

/** The strongest pair and those that agree with it, strongest first, each minutia once. @returns number of pairs */
export function makeCluster(size: i32, scratch: usize): i32 {
  let usedFirst: u64 = 0;
  let usedSecond: u64 = 0;
  let pair = strongestOf(u32.MAX_VALUE >> (PAIRS - size), scratch);
  // A pair does not agree with itself.
  let left = partnersOf(scratch, pair);
  let count = 0;
  while (true) {
    const i = (1 as u64) << firstAt(scratch, pair);
    const j = (1 as u64) << secondAt(scratch, pair);
    if (((usedFirst & i) | (usedSecond & j)) == 0) {
      usedFirst |= i;
      usedSecond |= j;
      setB(scratch + CLUSTER, count++, pair);
    }
    if (left == 0) return count;
    pair = strongestOf(left, scratch);
    left &= ~(1 << pair);
  }
}

/** Radius within which a moved minutia may be paired. */
@inline
function radiusAt(x: f64, y: f64): f64 {
  const dx = x - centreX;
  const dy = y - centreY;
  return RADIUS + RADIUS_PER_PIXEL * sqrt<f64>(dx * dx + dy * dy);
}

/** Cosine of the angle between a minutia of the first, turned, and one of the second. */
export function directionCosine(firstAngle: i32, secondAngle: i32): f64 {
  const pc = cosine(firstAngle);
  const ps = sine(firstAngle);
  const c = pc * rotationCos - ps * rotationSin;
  const s = ps * rotationCos + pc * rotationSin;
  return c * cosine(secondAngle) + s * sine(secondAngle);
}

/** Writes the second finger's places in single precision, four at a time. Lanes past the last are out of reach. */
export function fixSecond(second: usize, m: i32, scratch: usize): void {
  const blocks = blocksOf(m);
  for (let j = 0; j < m; j++) {
    setS(scratch + FIXED_X, j, xOf(second, j) as f32);
    setS(scratch + FIXED_Y, j, yOf(second, blocks, j) as f32);
  }
  for (let j = m; (j & 3) != 0; j++) {
    setS(scratch + FIXED_X, j, 1e6);
    setS(scratch + FIXED_Y, j, 1e6);
  }
}

/** A moved coordinate in whole pixels, clamped to sixteen bits. Clamping only brings it nearer to the others. */
@inline
function wholePixels(value: f32): i16 {
  return nearest<f32>(max<f32>(-32768, min<f32>(32767, value))) as i32 as i16;
}

/** For each moved minutia, the circle within which it may be paired and, in whole pixels, an enclosing square. */
function findReaches(n: i32, scratch: usize): void {
  for (let i = 0; i < n; i++) {
    const x = getS(scratch + MOVED_X, i);
    const y = getS(scratch + MOVED_Y, i);
    const radius = radiusAt(x, y);
    setS(scratch + LIMIT, i, (radius * radius) as f32);
    const at = scratch + ((i as usize) << 1);
    store<i16>(at, wholePixels(x), SQUARE_X);
    store<i16>(at, wholePixels(y), SQUARE_Y);
    // The margin covers rounding of the place: the square may be too large, never too small.
    store<i16>(at, (radius as i32) + 3, SQUARE_BEYOND);
  }
}

/** Lanes that are less than `beyond` from a place in both coordinates. */
@inline
function inSquare(xs: usize, ys: usize, x: v128, y: v128, beyond: v128): v128 {
  const dx = i16x8.abs(i16x8.sub_sat_s(v128.load(xs), x));
  const dy = i16x8.abs(i16x8.sub_sat_s(v128.load(ys), y));
  return i16x8.gt_s(beyond, i16x8.max_s(dx, dy));
}

/** Marks for each moved minutia, as bits, the second finger's minutiae in its square that have a similar direction. */
function findNear(first: usize, n: i32, second: usize, m: i32, scratch: usize): void {
  const blocks = blocksOf(m);
  const columnX = columnOfX(second);
  const columnY = columnOfY(second, blocks);
  const angles = columnOfAngles(second, blocks);
  const firstAngles = columnOfAngles(first, blocksOf(n));
  const rotation = i8x16.splat(rotationInSteps() as i8);
  const beyondTurn = i8x16.splat(BEYOND_TURN);
  // The packed finger holds zeros past the last minutia.
  const valid = u64.MAX_VALUE >> (64 - m);
  for (let i: usize = 0; i < (n as usize); i++) {
    const at = scratch + (i << 1);
    const x = v128.load16_splat(at, SQUARE_X);
    const y = v128.load16_splat(at, SQUARE_Y);
    const beyond = v128.load16_splat(at, SQUARE_BEYOND);
    const angle = i8x16.add(v128.load8_splat(firstAngles + i), rotation);
    let near: u64 = 0;
    for (let block: usize = 0; block < blocks; block++) {
      const xs = columnX + (block << 5);
      const ys = columnY + (block << 5);
      const low = inSquare(xs, ys, x, y, beyond);
      const high = inSquare(xs + 16, ys + 16, x, y, beyond);
      const turn = i8x16.abs(i8x16.sub(v128.load(angles + (block << 4)), angle));
      const pointing = i8x16.gt_s(beyondTurn, turn);
      near |= (i8x16.bitmask(v128.and(i8x16.narrow_i16x8_s(low, high), pointing)) as u64) << (block << 4);
    }
    store<u64>(scratch + (i << 3), near & valid, NEAR);
  }
}

/**
 * Lists moved minutiae of the first with the minutiae of the second that they may be paired with, row by row. Sixteen are
 * filtered in one step, in whole pixels and whole 256ths of a turn; the few that pass are measured.
 * @returns an upper bound of `fit`: its value if every row got its cheapest candidate
 */
export function listCandidates(first: usize, n: i32, second: usize, m: i32, scratch: usize): f64 {
  const firstBlocks = blocksOf(n);
  const secondBlocks = blocksOf(m);
  // Separate loops: a misprediction in the last one then does not wait for a root.
  findReaches(n, scratch);
  findNear(first, n, second, m, scratch);
  candidates = 0;
  let promise: f64 = 0;
  for (let i = 0; i < n; i++) {
    let near = load<u64>(scratch + ((i as usize) << 3), NEAR);
    if (near == 0) continue;
    const x = getS(scratch + MOVED_X, i);
    const y = getS(scratch + MOVED_Y, i);
    const limit = getS(scratch + LIMIT, i);
    const angle = angleOf(first, firstBlocks, i);
    let cheapest = CHEAP as f32;
    for (; near != 0; near &= near - 1) {
      const j = ctz(near) as i32;
      const cosineOf = directionCosine(angle, angleOf(second, secondBlocks, j));
      if (cosineOf <= COS_30) continue;
      const ex = getS(scratch + FIXED_X, j) - x;
      const ey = getS(scratch + FIXED_Y, j) - y;
      const squared = ex * ex + ey * ey;
      if (squared >= limit) continue;
      const cost = (
        (squared as f64) / (limit as f64) +
        (1 - cosineOf) / (1 - COS_30) +
        (CODE_WEIGHT * (distanceOf(scratch, i, j) as f64)) / meanDistance
      ) as f32;
      setS(scratch + CANDIDATE_COST, candidates, cost);
      store<u16>(scratch + CANDIDATE_PAIR + ((candidates as usize) << 1), ((i << 8) | j) as u16);
      candidates++;
      cheapest = min<f32>(cheapest, cost);
    }
    promise += CHEAP - (cheapest as f64);
  }
  return promise;
}

/** Fit of the last pairing: the sum over its matches of CHEAP minus the match's cost. */
export let fit: f64 = 0;
const CHEAP: f64 = 2;

/** Number of candidates: those listed, later those left after the last choice. */
let candidates: i32 = 0;

/**
 * Drops candidates whose minutiae are in use (marked as bits), keeping the order.
 * @returns the cheapest one left, of equals the first; -1 if none is left
 */
function cheapestLeft(usedFirst: u64, usedSecond: u64, scratch: usize): i32 {
  let best = -1;
  let cheapest: f32 = Infinity;
  let kept = 0;
  for (let c = 0; c < candidates; c++) {
    const pair = load<u16>(scratch + CANDIDATE_PAIR + ((c as usize) << 1)) as i32;
    const cost = getS(scratch + CANDIDATE_COST, c);
    setS(scratch + CANDIDATE_COST, kept, cost);
    store<u16>(scratch + CANDIDATE_PAIR + ((kept as usize) << 1), pair as u16);
    const free = (((usedFirst >> (pair >> 8)) | (usedSecond >> (pair & 255))) & 1) == 0;
    const better = i32(free) & i32(cost < cheapest);
    best = select<i32>(kept, best, better);
    cheapest = select<f32>(cost, cheapest, better);
    kept += i32(free);
  }
  candidates = kept;
  return best;
}

function markUsed(marks: usize, used: u64): void {
  for (; used != 0; used &= used - 1) setB(marks, ctz(used) as i32, 1);
}

/**
 * Pairs the listed minutiae, cheapest first, each once. Repeatedly chooses the cheapest: at most 64 rounds over the
 * candidates left, without sorting. @returns number of pairs
 */
export function assignCandidates(scratch: usize): i32 {
  let usedFirst: u64 = 0;
  let usedSecond: u64 = 0;
  let matches = 0;
  fit = 0;
  let choice = cheapestLeft(usedFirst, usedSecond, scratch);
  while (choice >= 0) {
    const cost = getS(scratch + CANDIDATE_COST, choice) as f64;
    if (cost < CHEAP) fit += CHEAP - cost;
    const pair = load<u16>(scratch + CANDIDATE_PAIR + ((choice as usize) << 1)) as i32;
    usedFirst |= (1 as u64) << (pair >> 8);
    usedSecond |= (1 as u64) << (pair & 255);
    setB(scratch + MATCH_FIRST, matches, pair >> 8);
    setB(scratch + MATCH_SECOND, matches, pair & 255);
    matches++;
    choice = cheapestLeft(usedFirst, usedSecond, scratch);
  }
  memory.fill(scratch + USED_FIRST, 0, 128);
  markUsed(scratch + USED_FIRST, usedFirst);
  markUsed(scratch + USED_SECOND, usedSecond);
  return matches;
}
