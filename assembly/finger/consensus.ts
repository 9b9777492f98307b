/**
 * Consensus of the shortlisted pairs: two pairs agree when their minutiae have the same relative position and direction
 * in both prints. Local greedy relaxation after Cappelli et al. 2010 (LSA-R).
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
/** 30° in 256ths of a turn: cos 21 is above cos 30° and cos 22 is below it, both by far more than rounding. */
const WIDEST_TURN: i32 = 21;
const ROUNDS: i32 = 3;

/** Gathers the pairs' coordinates and rotations in columns: the inner loop then reads them sequentially. */
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

/** Number of agreements found. */
let agreements: i32 = 0;

/**
 * Lists the comparisons that find every agreement of two pairs p < q. An entry is p and the first of four consecutive q.
 *
 * Agreement is symmetric to the last bit: half of the matrix is enough. Pairs are sorted by rotation. Pairs after p that
 * can agree with it follow it closely or, because angles wrap around, are at the end of the list.
 * @returns number of entries
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
 * Measures the agreements of all fours, without branches: after a misprediction the next four would wait for the roots.
 *
 * Two pairs p and q agree when all of these hold. `a` is the segment from p to q in the first print, `b` in the second.
 * - `turn`: their rotations differ by less than 30°.
 * - `apart`: both segments are longer than 4 pixels (16 = 4², the smallest squared length of a segment).
 * - `stretch`: their lengths differ by less than 12 pixels + 0.03 (la + lb), the tolerance.
 * - `line`: `a`, turned by the rotation of p and by that of q, makes an angle with `b` whose cosine is above 0.8.
 *
 * The agreement is the product of the three margins, each divided by its largest value: 1 − cos 30° for `turn`,
 * 0.2 la lb for `line`, the tolerance for `stretch`. 37.32050807568877 = 1 / ((1 − cos 30°) (1 − 0.8)).
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
    // Lanes past the last pair hold stale data: mask them.
    const agreeing = i32x4.bitmask(agree) & ((1 << (size - q)) - 1);
    const values = f32x4.div(
      f32x4.mul(f32x4.mul(stretch, line), f32x4.mul(turn, f32x4.splat(37.32050807568877))),
      f32x4.mul(tolerance, lengths),
    );
    setB(scratch + FOURS_AGREEING, k, agreeing);
    v128.store(scratch + FOURS_VALUES + ((k as usize) << 4), values);
  }
}

/** Lists the agreements of every two pairs p < q, in the order of p, then q. Few agree: a list is smaller than a matrix. */
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

/** The pairs that agree with a pair, as bits. */
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

/** Address of the partial sum for pair p over the pairs q with the same q mod 4. */
@inline
function laneOf(scratch: usize, p: i32, q: i32): usize {
  return scratch + SUPPORT_LANES + (((q & 3) as usize) << 7) + ((p as usize) << 2);
}

@inline
function addSupport(lane: usize, value: f32): void {
  store<f32>(lane, load<f32>(lane) + value);
}

/**
 * The support of a pair is the sum of its agreements, each times the present strength of the other pair.
 *
 * In single precision the order of additions is part of the result: four sums, one for each q mod 4, in ascending order
 * of q, then the sum of the four. The list has that order for both pairs of an agreement: pair r meets all p < r first,
 * ascending, then all q > r.
 * @param weighed - whether support is multiplied by the pair's own weight
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
  // Whole vectors: lanes past the last pair are not above zero.
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

/** Finds the agreements and sums the first round of support. @returns the largest support */
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
