/**
 * One probe against many references: distances, shortlist, consensus, alignment, pairing, evidence, score.
 *
 * The score is symmetric by definition: the two fingers are ordered, and all steps map the first to the second. The
 * first has fewer minutiae. With equal counts it is the one whose packed bytes, read as little-endian numbers of
 * sixty-four bits, are smaller.
 */
import { alignCluster, alignMatches, moveFirst, storeAlignment } from './alignment';
import { firstSupport, gatherPairs, relax } from './consensus';
import { measureDistances } from './distances';
import { weighEvidence } from './evidence';
import { FIXED_X, FIXED_Y, MASSES, MATCH_FIRST, MATCH_SECOND, MOVED_X, MOVED_Y, getB, packedBytes, setB } from './layout';
import { assignCandidates, fit, fixSecond, listCandidates, makeCluster } from './pairing';
import { scoreEvidence } from './score';
import { shortlistPairs } from './shortlist';
import { KNOT_COUNT } from './terms';

/** Score of a reference that was removed. */
export const REMOVED: i32 = i32.MIN_VALUE;
/** No alignment is tried if the largest support is below this. */
const MIN_SUPPORT: f32 = 0.9;
/** Smallest fit, relative to the overlap, with which the first alignment is refined: the fourth power of 2.1. */
const MIN_FIT: f64 = 19.4481;
const MIN_OVERLAP: f64 = 9;
/** Just below 2.1 times the root of MIN_OVERLAP: if the upper bound of the fit is lower, every overlap fails. */
const MIN_PROMISE: f64 = 6.29;
/** Smallest number of matches that makes an alignment. */
const MIN_MATCHES: i32 = 3;
const MIN_FOR_AFFINE: i32 = 5;
const PASSES: i32 = 3;

function isFirst(one: usize, n: i32, other: usize, m: i32): bool {
  if (n != m) return n < m;
  const length = packedBytes(n);
  for (let k: usize = 0; k < length; k += 8) {
    const a = load<u64>(one + k);
    const b = load<u64>(other + k);
    if (a != b) return a < b;
  }
  return true;
}

@inline
function smallestOf(v: v128): f32 {
  return min<f32>(
    min<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    min<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

@inline
function largestOf(v: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/**
 * Counts the points within the bounding box of other points, four at a time. The last four of the other points are read
 * back from the end, overlapping the four before: the lanes past the last point hold no points.
 */
function inBox(xs: usize, ys: usize, count: i32, boxXs: usize, boxYs: usize, boxCount: i32): i32 {
  const last = ((boxCount - 4) as usize) << 2;
  let left = v128.load(boxXs + last);
  let right = left;
  let lower = v128.load(boxYs + last);
  let upper = lower;
  for (let at: usize = 0; at < last; at += 16) {
    const x = v128.load(boxXs + at);
    const y = v128.load(boxYs + at);
    left = f32x4.pmin(left, x);
    right = f32x4.pmax(right, x);
    lower = f32x4.pmin(lower, y);
    upper = f32x4.pmax(upper, y);
  }
  left = f32x4.splat(smallestOf(left));
  right = f32x4.splat(largestOf(right));
  lower = f32x4.splat(smallestOf(lower));
  upper = f32x4.splat(largestOf(upper));
  let inside = 0;
  const end = (count as usize) << 2;
  // Places past the last point are out of reach.
  for (let at: usize = 0; at < end; at += 16) {
    const x = v128.load(xs + at);
    const y = v128.load(ys + at);
    const inX = v128.and(f32x4.ge(x, left), f32x4.le(x, right));
    const inY = v128.and(f32x4.ge(y, lower), f32x4.le(y, upper));
    inside += popcnt(i32x4.bitmask(v128.and(inX, inY)));
  }
  return inside;
}

/** Whether the first alignment is good enough to refine. Ends 94 of 100 non-mated comparisons. */
function fits(n: i32, m: i32, scratch: usize): bool {
  const reached = fit * fit * (fit * fit);
  // Most fail even for the smallest overlap.
  if (reached < MIN_FIT * MIN_OVERLAP * MIN_OVERLAP) return false;
  const movedX = scratch + MOVED_X;
  const movedY = scratch + MOVED_Y;
  const fixedX = scratch + FIXED_X;
  const fixedY = scratch + FIXED_Y;
  const a = max<f64>(MIN_OVERLAP, inBox(movedX, movedY, n, fixedX, fixedY, m) as f64);
  const b = max<f64>(MIN_OVERLAP, inBox(fixedX, fixedY, m, movedX, movedY, n) as f64);
  return reached >= MIN_FIT * a * b;
}

/** Matches of the last comparison that was scored. */
let matches: i32 = 0;

/**
 * @param minSupport - the comparison ends when the largest support is below it: MIN_SUPPORT, or more
 * @returns 0 when no alignment is found, or 1 to MAX_SCORE
 */
function compareOrdered(first: usize, n: i32, second: usize, m: i32, minSupport: f32, scratch: usize): i32 {
  matches = 0;
  measureDistances(first, n, second, m, scratch);
  const size = shortlistPairs(first, n, second, m, scratch);
  gatherPairs(first, n, second, m, size, scratch);
  const largest = firstSupport(size, scratch);
  if (largest < minSupport) return 0;
  relax(size, scratch, largest);
  alignCluster(makeCluster(size, scratch), scratch);
  fixSecond(second, m, scratch);
  let found = 0;
  for (let pass = 0; pass < PASSES; pass++) {
    if (pass > 0) alignMatches(first, n, second, m, found, pass > 1 && found >= MIN_FOR_AFFINE, scratch);
    moveFirst(first, n, scratch);
    const promise = listCandidates(first, n, second, m, scratch);
    if (pass == 0 && promise < MIN_PROMISE) return 0;
    found = assignCandidates(scratch);
    if (found < MIN_MATCHES || (pass == 0 && !fits(n, m, scratch))) return 0;
  }
  matches = found;
  weighEvidence(first, n, second, m, found, scratch);
  return scoreEvidence(scratch);
}

function compareFinger(probe: usize, reference: usize, minSupport: f32, scratch: usize): i32 {
  const n = load<u8>(probe) as i32;
  const m = load<u8>(reference) as i32;
  if (isFirst(probe, n, reference, m)) return compareOrdered(probe, n, reference, m, minSupport, scratch);
  return compareOrdered(reference, m, probe, n, minSupport, scratch);
}

/** Address of reference r; 0: removed. */
@inline
function addressAt(directory: usize, r: usize): usize {
  return (load<u32>(directory + (r << 2)) as usize) << 4;
}

/**
 * Reads a byte of each cache line of a reference: references chosen by an index are scattered, and their lines arrive
 * while another one is compared. WebAssembly has no prefetch.
 */
@inline
function touch(reference: usize): u32 {
  const end = reference + packedBytes(load<u8>(reference));
  let bytes: u32 = 0;
  for (let at = reference + 64; at < end; at += 64) bytes |= load<u8>(at);
  return bytes;
}

/**
 * Compares a packed probe with `count` packed references in one call.
 * @param directory - u32 address / 16 of each reference; 0: removed
 * @param scores - i32 for each: 0 to 65535, or REMOVED
 */
export function compareFingers(probe: usize, directory: usize, count: i32, scores: usize, scratch: usize): void {
  screenFingers(probe, directory, count, MIN_SUPPORT, scores, scratch);
}

/**
 * Like compareFingers, but ends earlier: 0 instead of a score when the largest support is below `minSupport`. All other
 * scores are those of compareFingers.
 * @param minSupport - MIN_SUPPORT or more
 */
export function screenFingers(
  probe: usize,
  directory: usize,
  count: i32,
  minSupport: f32,
  scores: usize,
  scratch: usize,
): void {
  const end = count as usize;
  for (let r: usize = 0; r < end; r++) {
    const address = addressAt(directory, r);
    const next = r + 1 < end ? addressAt(directory, r + 1) : 0;
    // Stored, so that the reads are not optimised away; the score overwrites it.
    if (next != 0) store<u32>(scores + (r << 2), touch(next));
    store<i32>(scores + (r << 2), address == 0 ? REMOVED : compareFinger(probe, address, minSupport, scratch));
  }
}

// Output of explainFingers, offsets in bytes.
const EXPLAINED_COUNT: usize = 4;
/** f64 [6]: x' = a x + b y + c, y' = d x + e y + f from the probe to the reference. */
const EXPLAINED_ALIGNMENT: usize = 8;
/** i32 for each knot. */
const EXPLAINED_MASSES: usize = 56;
/** u8 [64] each: paired minutiae of probe and reference. */
const EXPLAINED_PROBE: usize = 912;
const EXPLAINED_REFERENCE: usize = 976;
export const EXPLANATION: usize = 1040;

/**
 * Compares two packed fingers and explains the score.
 * @param out - i32 score, i32 number of pairs; if not 0: the alignment, the masses of the terms' knots, the pairs
 */
export function explainFingers(probe: usize, reference: usize, out: usize, scratch: usize): void {
  memory.fill(out, 0, EXPLANATION);
  store<i32>(out, compareFinger(probe, reference, MIN_SUPPORT, scratch));
  store<i32>(out, matches, EXPLAINED_COUNT);
  if (matches == 0) return;
  const straight = isFirst(probe, load<u8>(probe), reference, load<u8>(reference));
  storeAlignment(out + EXPLAINED_ALIGNMENT, straight);
  memory.copy(out + EXPLAINED_MASSES, scratch + MASSES, (KNOT_COUNT as usize) << 2);
  for (let z = 0; z < matches; z++) {
    const i = getB(scratch + MATCH_FIRST, z);
    const j = getB(scratch + MATCH_SECOND, z);
    setB(out + EXPLAINED_PROBE, z, straight ? i : j);
    setB(out + EXPLAINED_REFERENCE, z, straight ? j : i);
  }
}
