/** One-to-one assignments: of the cluster's pairs, and of the minutiae that lie on each other after the alignment. */
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
  PAIRS,
  PAIR_STRENGTH,
  USED_FIRST,
  USED_SECOND,
  angleOf,
  blocksOf,
  cosine,
  getB,
  getS,
  setB,
  setS,
  sine,
  xOf,
  yOf,
} from './layout';
import { centreX, centreY, rotationCos, rotationSin } from './alignment';
import { COS_30, partnersOf } from './consensus';
import { distanceOf } from './distances';
import { firstAt, meanDistance, secondAt } from './shortlist';

/** Pixels that a match may be off, and how much more for each pixel from the middle: skin stretches. */
const RADIUS: f64 = 14;
const RADIUS_PER_PIXEL: f64 = 0.05;
/** Weight of the code distance against place and direction. */
const CODE_WEIGHT: f64 = 0.5;

function clearUse(scratch: usize): void {
  memory.fill(scratch + USED_FIRST, 0, 128);
}

/** The strongest of some pairs, each a bit; of equal ones the first. */
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

/** The strongest pair and those that agree with it, strongest first, each minutia once. @returns how many */
export function makeCluster(size: i32, scratch: usize): i32 {
  clearUse(scratch);
  let pair = strongestOf(u32.MAX_VALUE >> (PAIRS - size), scratch);
  // A pair does not agree with itself.
  let left = partnersOf(scratch, pair);
  let count = 0;
  while (true) {
    const i = firstAt(scratch, pair);
    const j = secondAt(scratch, pair);
    if (getB(scratch + USED_FIRST, i) == 0 && getB(scratch + USED_SECOND, j) == 0) {
      setB(scratch + USED_FIRST, i, 1);
      setB(scratch + USED_SECOND, j, 1);
      setB(scratch + CLUSTER, count++, pair);
    }
    if (left == 0) return count;
    pair = strongestOf(left, scratch);
    left &= ~(1 << pair);
  }
}

/** Squared radius within which a moved minutia may find its mate. */
function radiusSquared(x: f64, y: f64): f64 {
  const dx = x - centreX;
  const dy = y - centreY;
  const radius = RADIUS + RADIUS_PER_PIXEL * sqrt<f64>(dx * dx + dy * dy);
  return radius * radius;
}

/** Cosine of the angle between a minutia of the first, turned, and one of the second. */
export function directionCosine(firstAngle: i32, secondAngle: i32): f64 {
  const pc = cosine(firstAngle);
  const ps = sine(firstAngle);
  const c = pc * rotationCos - ps * rotationSin;
  const s = ps * rotationCos + pc * rotationSin;
  return c * cosine(secondAngle) + s * sine(secondAngle);
}

/** Writes the second finger's places in single precision, four by four; behind the last they are out of reach. */
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

/** Pairs moved minutiae of the first with minutiae of the second, cheapest first, each once. @returns how many */
export function pairMinutiae(first: usize, n: i32, second: usize, m: i32, scratch: usize): i32 {
  const firstBlocks = blocksOf(n);
  const secondBlocks = blocksOf(m);
  let candidates = 0;
  for (let i = 0; i < n; i++) {
    const x = getS(scratch + MOVED_X, i);
    const y = getS(scratch + MOVED_Y, i);
    const limit = radiusSquared(x, y) as f32;
    setS(scratch + LIMIT, i, limit);
    const angle = angleOf(first, firstBlocks, i);
    const xs = f32x4.splat(x);
    const ys = f32x4.splat(y);
    const limits = f32x4.splat(limit);
    for (let from = 0; from < m; from += 4) {
      const at = scratch + ((from as usize) << 2);
      const dx = f32x4.sub(v128.load(at, FIXED_X), xs);
      const dy = f32x4.sub(v128.load(at, FIXED_Y), ys);
      let near = i32x4.bitmask(f32x4.lt(f32x4.add(f32x4.mul(dx, dx), f32x4.mul(dy, dy)), limits));
      while (near != 0) {
        const j = from + ctz(near);
        near &= near - 1;
        const cosineOf = directionCosine(angle, angleOf(second, secondBlocks, j));
        if (cosineOf <= COS_30) continue;
        const ex = getS(scratch + FIXED_X, j) - x;
        const ey = getS(scratch + FIXED_Y, j) - y;
        const squared = (ex * ex + ey * ey) as f64;
        const cost =
          squared / (limit as f64) +
          (1 - cosineOf) / (1 - COS_30) +
          (CODE_WEIGHT * (distanceOf(scratch, i, j) as f64)) / meanDistance;
        setS(scratch + CANDIDATE_COST, candidates, cost as f32);
        store<u16>(scratch + CANDIDATE_PAIR + ((candidates as usize) << 1), ((i << 8) | j) as u16);
        candidates++;
      }
    }
  }
  return assign(candidates, scratch);
}

/** How well the matches of the last pairing lie on each other: the sum of what each is cheaper than CHEAP. */
export let fit: f64 = 0;
const CHEAP: f64 = 2;

/** Candidates that are left after the last choice. */
let left: i32 = 0;

/** Drops candidates whose minutiae are in use, keeping the order. @returns the cheapest left, the first of equals; -1 */
function cheapestLeft(scratch: usize): i32 {
  let best = -1;
  let kept = 0;
  for (let c = 0; c < left; c++) {
    const pair = load<u16>(scratch + CANDIDATE_PAIR + ((c as usize) << 1)) as i32;
    if (getB(scratch + USED_FIRST, pair >> 8) != 0 || getB(scratch + USED_SECOND, pair & 255) != 0) continue;
    const cost = getS(scratch + CANDIDATE_COST, c);
    setS(scratch + CANDIDATE_COST, kept, cost);
    store<u16>(scratch + CANDIDATE_PAIR + ((kept as usize) << 1), pair as u16);
    if (best < 0 || cost < getS(scratch + CANDIDATE_COST, best)) best = kept;
    kept++;
  }
  left = kept;
  return best;
}

/** Repeated choice of the cheapest: at most 64 rounds over what is left, so a crowd of candidates costs no sorting. */
function assign(total: i32, scratch: usize): i32 {
  clearUse(scratch);
  left = total;
  let matches = 0;
  fit = 0;
  let choice = cheapestLeft(scratch);
  while (choice >= 0) {
    const cost = getS(scratch + CANDIDATE_COST, choice) as f64;
    if (cost < CHEAP) fit += CHEAP - cost;
    const pair = load<u16>(scratch + CANDIDATE_PAIR + ((choice as usize) << 1)) as i32;
    setB(scratch + USED_FIRST, pair >> 8, 1);
    setB(scratch + USED_SECOND, pair & 255, 1);
    setB(scratch + MATCH_FIRST, matches, pair >> 8);
    setB(scratch + MATCH_SECOND, matches, pair & 255);
    matches++;
    choice = cheapestLeft(scratch);
  }
  return matches;
}
