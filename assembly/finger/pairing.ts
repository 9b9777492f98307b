/** One-to-one assignments: of the cluster's pairs, and of the minutiae that lie on each other after the alignment. */
import {
  CANDIDATE_COST,
  CANDIDATE_PAIR,
  CLUSTER,
  MATCH_PROBE,
  MATCH_REFERENCE,
  MOVED_X,
  MOVED_Y,
  PAIR_PROBE,
  PAIR_REFERENCE,
  PAIR_STRENGTH,
  USED_PROBE,
  USED_REFERENCE,
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
import { centreX, centreY, rotationCos, rotationSin } from './alignment';
import { COS_30, agreementOf } from './consensus';
import { distanceOf, meanDistance } from './shortlist';

/** Pixels that a match may be off, and how much more for each pixel from the middle: skin stretches. */
const RADIUS: f64 = 14;
const RADIUS_PER_PIXEL: f64 = 0.05;
/** Weight of the code distance against place and direction. */
const CODE_WEIGHT: f64 = 0.5;

function clearUse(scratch: usize): void {
  memory.fill(scratch + USED_PROBE, 0, 128);
}

/** The strongest pair; of equal ones the first. */
function strongest(size: i32, scratch: usize): i32 {
  let seed = 0;
  for (let p = 1; p < size; p++) {
    if (getF(scratch + PAIR_STRENGTH, p) > getF(scratch + PAIR_STRENGTH, seed)) seed = p;
  }
  return seed;
}

/** The strongest pair that agrees with the seed and is not taken yet; -1: none. */
function strongestLeft(seed: i32, taken: u32, size: i32, scratch: usize): i32 {
  let best = -1;
  for (let p = 0; p < size; p++) {
    if ((taken & (1 << p)) != 0) continue;
    if (p != seed && agreementOf(scratch, seed, p) <= 0) continue;
    if (best < 0 || getF(scratch + PAIR_STRENGTH, p) > getF(scratch + PAIR_STRENGTH, best)) best = p;
  }
  return best;
}

/** The strongest pair and those that agree with it, strongest first, each minutia once. @returns how many */
export function makeCluster(size: i32, scratch: usize): i32 {
  const seed = strongest(size, scratch);
  clearUse(scratch);
  let taken: u32 = 0;
  let count = 0;
  let pair = seed;
  while (pair >= 0) {
    taken |= 1 << pair;
    const i = getB(scratch + PAIR_PROBE, pair);
    const j = getB(scratch + PAIR_REFERENCE, pair);
    if (getB(scratch + USED_PROBE, i) == 0 && getB(scratch + USED_REFERENCE, j) == 0) {
      setB(scratch + USED_PROBE, i, 1);
      setB(scratch + USED_REFERENCE, j, 1);
      setB(scratch + CLUSTER, count++, pair);
    }
    pair = strongestLeft(seed, taken, size, scratch);
  }
  return count;
}

/** Squared radius within which a moved probe minutia may find its match. */
export function radiusSquared(i: i32, scratch: usize): f64 {
  const dx = getF(scratch + MOVED_X, i) - centreX;
  const dy = getF(scratch + MOVED_Y, i) - centreY;
  const radius = RADIUS + RADIUS_PER_PIXEL * sqrt<f64>(dx * dx + dy * dy);
  return radius * radius;
}

/** Cosine of the angle between a probe minutia, turned, and a reference minutia. */
export function directionCosine(probeAngle: i32, referenceAngle: i32): f64 {
  const pc = cosine(probeAngle);
  const ps = sine(probeAngle);
  const c = pc * rotationCos - ps * rotationSin;
  const s = ps * rotationCos + pc * rotationSin;
  return c * cosine(referenceAngle) + s * sine(referenceAngle);
}

/** Pairs moved probe minutiae with reference minutiae, cheapest first, each once. @returns how many */
export function pairMinutiae(probe: usize, n: i32, reference: usize, m: i32, scratch: usize): i32 {
  const probeBlocks = blocksOf(n);
  const referenceBlocks = blocksOf(m);
  let candidates = 0;
  for (let i = 0; i < n; i++) {
    const x = getF(scratch + MOVED_X, i);
    const y = getF(scratch + MOVED_Y, i);
    const limit = radiusSquared(i, scratch);
    const angle = angleOf(probe, probeBlocks, i);
    for (let j = 0; j < m; j++) {
      const dx = xOf(reference, j) - x;
      const dy = yOf(reference, referenceBlocks, j) - y;
      const squared = dx * dx + dy * dy;
      if (squared >= limit) continue;
      const cosineOf = directionCosine(angle, angleOf(reference, referenceBlocks, j));
      if (cosineOf <= COS_30) continue;
      const cost =
        squared / limit + (1 - cosineOf) / (1 - COS_30) + (CODE_WEIGHT * distanceOf(scratch, i, j)) / meanDistance;
      setF(scratch + CANDIDATE_COST, candidates, cost);
      store<u16>(scratch + CANDIDATE_PAIR + ((candidates as usize) << 1), ((i << 8) | j) as u16);
      candidates++;
    }
  }
  return assign(candidates, scratch);
}

/** Candidates that are left after the last choice. */
let left: i32 = 0;

/** Drops candidates whose minutiae are in use, keeping the order. @returns the cheapest left, the first of equals; -1 */
function cheapestLeft(scratch: usize): i32 {
  let best = -1;
  let kept = 0;
  for (let c = 0; c < left; c++) {
    const pair = load<u16>(scratch + CANDIDATE_PAIR + ((c as usize) << 1)) as i32;
    if (getB(scratch + USED_PROBE, pair >> 8) != 0 || getB(scratch + USED_REFERENCE, pair & 255) != 0) continue;
    const cost = getF(scratch + CANDIDATE_COST, c);
    setF(scratch + CANDIDATE_COST, kept, cost);
    store<u16>(scratch + CANDIDATE_PAIR + ((kept as usize) << 1), pair as u16);
    if (best < 0 || cost < getF(scratch + CANDIDATE_COST, best)) best = kept;
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
  let choice = cheapestLeft(scratch);
  while (choice >= 0) {
    const pair = load<u16>(scratch + CANDIDATE_PAIR + ((choice as usize) << 1)) as i32;
    setB(scratch + USED_PROBE, pair >> 8, 1);
    setB(scratch + USED_REFERENCE, pair & 255, 1);
    setB(scratch + MATCH_PROBE, matches, pair >> 8);
    setB(scratch + MATCH_REFERENCE, matches, pair & 255);
    matches++;
    choice = cheapestLeft(scratch);
  }
  return matches;
}
