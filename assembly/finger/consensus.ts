/**
 * Which of the shortlisted pairs tell the same story: two pairs agree when the two minutiae lie in the same relation to
 * each other in both prints. Local greedy relaxation after Cappelli et al. 2010 (LSA-R).
 */
import {
  AGREEING,
  AGREEMENT,
  FOURS,
  FOURS_AGREEING,
  FOURS_VALUES,
  PAIR_AX,
  PAIR_AY,
  PAIR_BX,
  PAIR_BY,
  PAIR_COS,
  PAIR_SIN,
  PAIR_STRENGTH,
  PAIR_SUPPORT,
  PAIR_WEIGHT,
  SUPPORT_LANES,
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
import { firstAt, rotationAt, secondAt } from './shortlist';

/** cos 30°: pairs whose rotations differ by more do not agree. */
export const COS_30: f64 = 0.8660254037844386;
/** The same in 256ths of a turn: the cosine of 21 is above cos 30° and that of 22 below, by far more than rounding. */
const WIDEST_TURN: i32 = 21;
const ROUNDS: i32 = 3;

/** Brings the pairs' coordinates and rotations together, so that the inner loop reads them in a row. */
export function gatherPairs(first: usize, n: i32, second: usize, m: i32, size: i32, scratch: usize): void {
  const firstBlocks = blocksOf(n);
  const secondBlocks = blocksOf(m);
  for (let p = 0; p < size; p++) {
    const i = firstAt(scratch, p);
    const j = secondAt(scratch, p);
    setS(scratch + PAIR_AX, p, xOf(first, i) as f32);
    setS(scratch + PAIR_AY, p, yOf(first, firstBlocks, i) as f32);
    setS(scratch + PAIR_BX, p, xOf(second, j) as f32);
    setS(scratch + PAIR_BY, p, yOf(second, secondBlocks, j) as f32);
    const rotation = rotationAt(scratch, p);
    setS(scratch + PAIR_COS, p, cosine(rotation) as f32);
    setS(scratch + PAIR_SIN, p, sine(rotation) as f32);
  }
}

/** How many agreements there are. */
let agreements: i32 = 0;

/**
 * Lists what has to be looked at to find the agreements of every two pairs p < q: p and the first of four q in a row.
 *
 * Agreement is mutual to the last bit, so half of the matrix will do, and of that what lies near the diagonal: pairs are
 * in the order of their rotations, and those that may agree with p and come behind it are the ones that follow it
 * closely and, for a turn ends where it began, the last ones of all.
 * @returns how many
 */
function listFours(size: i32, scratch: usize): i32 {
  const last = rotationAt(scratch, size - 1);
  let count = 0;
  let far = 0;
  for (let p = 0; p < size; p++) {
    const rotation = rotationAt(scratch, p);
    let q = p + 1;
    for (; q < size && rotationAt(scratch, q) - rotation <= WIDEST_TURN; q += 4) {
      store<u16>(scratch + FOURS + ((count as usize) << 1), ((p << 8) | q) as u16);
      count++;
    }
    if (last - rotation < 256 - WIDEST_TURN) continue;
    while (rotationAt(scratch, far) - rotation < 256 - WIDEST_TURN) far++;
    for (q = max<i32>(q, far); q < size; q += 4) {
      store<u16>(scratch + FOURS + ((count as usize) << 1), ((p << 8) | q) as u16);
      count++;
    }
  }
  return count;
}

/**
 * Measures the agreements of all fours. Without a branch, whether any agrees or not: one that is guessed wrong has to
 * wait for the roots before the next four can begin.
 */
function measureFours(fours: i32, size: i32, scratch: usize): void {
  const zero = f32x4.splat(0);
  for (let k = 0; k < fours; k++) {
    const both = load<u16>(scratch + FOURS + ((k as usize) << 1)) as i32;
    const q = both & 255;
    const at = scratch + (((both >> 8) as usize) << 2);
    const from = scratch + ((q as usize) << 2);
    const pc = v128.load32_splat(at, PAIR_COS);
    const ps = v128.load32_splat(at, PAIR_SIN);
    const qc = v128.load(from, PAIR_COS);
    const qs = v128.load(from, PAIR_SIN);
    const turn = f32x4.sub(f32x4.add(f32x4.mul(pc, qc), f32x4.mul(ps, qs)), f32x4.splat(COS_30 as f32));
    const dx = f32x4.sub(v128.load(from, PAIR_AX), v128.load32_splat(at, PAIR_AX));
    const dy = f32x4.sub(v128.load(from, PAIR_AY), v128.load32_splat(at, PAIR_AY));
    const ex = f32x4.sub(v128.load(from, PAIR_BX), v128.load32_splat(at, PAIR_BX));
    const ey = f32x4.sub(v128.load(from, PAIR_BY), v128.load32_splat(at, PAIR_BY));
    const a2 = f32x4.add(f32x4.mul(dx, dx), f32x4.mul(dy, dy));
    const b2 = f32x4.add(f32x4.mul(ex, ex), f32x4.mul(ey, ey));
    const apart = v128.and(f32x4.gt(a2, f32x4.splat(16)), f32x4.gt(b2, f32x4.splat(16)));
    const la = f32x4.sqrt(a2);
    const lb = f32x4.sqrt(b2);
    const tolerance = f32x4.add(f32x4.splat(12), f32x4.mul(f32x4.splat(0.03), f32x4.add(la, lb)));
    const stretch = f32x4.sub(tolerance, f32x4.abs(f32x4.sub(la, lb)));
    const dot = f32x4.add(f32x4.mul(dx, ex), f32x4.mul(dy, ey));
    const cross = f32x4.sub(f32x4.mul(dx, ey), f32x4.mul(dy, ex));
    const byP = f32x4.add(f32x4.mul(pc, dot), f32x4.mul(ps, cross));
    const byQ = f32x4.add(f32x4.mul(qc, dot), f32x4.mul(qs, cross));
    const lengths = f32x4.mul(la, lb);
    const line = f32x4.sub(f32x4.pmin(byP, byQ), f32x4.mul(f32x4.splat(0.8), lengths));
    const agree = v128.and(
      v128.and(f32x4.gt(turn, zero), apart),
      v128.and(f32x4.gt(stretch, zero), f32x4.gt(line, zero)),
    );
    // Behind the last pair is what happens to lie there.
    const agreeing = i32x4.bitmask(agree) & ((1 << (size - q)) - 1);
    const values = f32x4.div(
      f32x4.mul(f32x4.mul(stretch, line), f32x4.mul(turn, f32x4.splat(37.32050807568877))),
      f32x4.mul(tolerance, lengths),
    );
    setB(scratch + FOURS_AGREEING, k, agreeing);
    v128.store(scratch + FOURS_VALUES + ((k as usize) << 4), values);
  }
}

/** Lists the agreements of every two pairs p < q, p by p and q by q. Few agree, so no matrix is kept. */
function findAgreements(size: i32, scratch: usize): void {
  const fours = listFours(size, scratch);
  measureFours(fours, size, scratch);
  let count = 0;
  for (let k = 0; k < fours; k++) {
    let agreeing = getB(scratch + FOURS_AGREEING, k);
    const both = load<u16>(scratch + FOURS + ((k as usize) << 1)) as i32;
    const values = scratch + FOURS_VALUES + ((k as usize) << 4);
    for (; agreeing != 0; agreeing &= agreeing - 1) {
      const lane = ctz(agreeing);
      setS(scratch + AGREEMENT, count, getS(values, lane));
      store<u16>(scratch + AGREEING + ((count as usize) << 1), (both + lane) as u16);
      count++;
    }
  }
  agreements = count;
}

/** The pairs that agree with a pair, each a bit. */
export function partnersOf(scratch: usize, pair: i32): u32 {
  let partners: u32 = 0;
  for (let k = 0; k < agreements; k++) {
    const both = load<u16>(scratch + AGREEING + ((k as usize) << 1)) as i32;
    const p = both >> 8;
    const q = both & 255;
    partners |= ((p == pair) as u32) << q;
    partners |= ((q == pair) as u32) << p;
  }
  return partners;
}

/** Where the sum for pair p of all pairs q of one remainder by four is. */
@inline
function laneOf(scratch: usize, p: i32, q: i32): usize {
  return scratch + SUPPORT_LANES + (((q & 3) as usize) << 7) + ((p as usize) << 2);
}

@inline
function addSupport(lane: usize, value: f32): void {
  store<f32>(lane, load<f32>(lane) + value);
}

/**
 * Each pair is supported by those that agree with it, as strongly as they are now.
 *
 * Single precision makes the order of the sums part of the result: every fourth pair together in ascending order, then
 * the four sums. The list is in that order for both pairs of an agreement: to pair r come first those of p < r, p by p,
 * then those of q > r.
 * @param weighed - whether support counts by the pair's own weight
 * @returns the largest support
 */
function sumSupport(size: i32, weighed: bool, scratch: usize): f32 {
  for (let at: usize = 0; at < 512; at += 16) v128.store(scratch + SUPPORT_LANES + at, f32x4.splat(0));
  for (let k = 0; k < agreements; k++) {
    const both = load<u16>(scratch + AGREEING + ((k as usize) << 1)) as i32;
    const p = both >> 8;
    const q = both & 255;
    const value = getS(scratch + AGREEMENT, k);
    addSupport(laneOf(scratch, p, q), value * getS(scratch + PAIR_STRENGTH, q));
    addSupport(laneOf(scratch, q, p), value * getS(scratch + PAIR_STRENGTH, p));
  }
  let largest = f32x4.splat(0);
  const end = scratch + ((size as usize) << 2);
  // Up to a whole vector: behind the last pair nothing is larger than zero.
  for (let at = scratch; at < end; at += 16) {
    const low = f32x4.add(v128.load(at, SUPPORT_LANES), v128.load(at, SUPPORT_LANES + 128));
    const high = f32x4.add(v128.load(at, SUPPORT_LANES + 256), v128.load(at, SUPPORT_LANES + 384));
    let total = f32x4.add(low, high);
    if (weighed) total = f32x4.mul(total, v128.load(at, PAIR_WEIGHT));
    v128.store(at, total, PAIR_SUPPORT);
    largest = f32x4.pmax(largest, total);
  }
  return max<f32>(
    max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max<f32>(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
}

/** Finds the agreements, and the first round of support. @returns the largest support */
export function firstSupport(size: i32, scratch: usize): f32 {
  findAgreements(size, scratch);
  return sumSupport(size, false, scratch);
}

/** The rounds after the first. Strengths end between 0 and 1. */
export function relax(size: i32, scratch: usize, firstLargest: f32): void {
  let largest = firstLargest;
  const end = scratch + ((size as usize) << 2);
  for (let round = 1; round <= ROUNDS; round++) {
    const divisor = f32x4.splat(largest);
    for (let at = scratch; at < end; at += 16) {
      const strengths = largest > 0 ? f32x4.div(v128.load(at, PAIR_SUPPORT), divisor) : f32x4.splat(0);
      v128.store(at, strengths, PAIR_STRENGTH);
    }
    if (round < ROUNDS) largest = sumSupport(size, true, scratch);
  }
}
