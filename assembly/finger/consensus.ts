/**
 * Which of the shortlisted pairs tell the same story: two pairs agree when the two minutiae lie in the same relation to
 * each other in both prints. Local greedy relaxation after Cappelli et al. 2010 (LSA-R).
 */
import {
  CONSENSUS,
  PAIRS,
  PAIR_AX,
  PAIR_AY,
  PAIR_BX,
  PAIR_BY,
  PAIR_COS,
  PAIR_KEY,
  PAIR_SIN,
  PAIR_STRENGTH,
  PAIR_SUPPORT,
  PAIR_WEIGHT,
  blocksOf,
  cosine,
  getB,
  getS,
  setS,
  sine,
  xOf,
  yOf,
} from './layout';
import { firstAt, secondAt } from './shortlist';

/** cos 30°: pairs whose rotations differ by more do not agree. */
export const COS_30: f64 = 0.8660254037844386;
const ROUNDS: i32 = 3;

function rowOf(scratch: usize, p: i32): usize {
  return scratch + CONSENSUS + (((p * PAIRS) as usize) << 2);
}

/** Brings the pairs' coordinates and rotations together, so that the inner loop reads them in a row. */
export function gatherPairs(first: usize, n: i32, second: usize, m: i32, size: i32, scratch: usize): i32 {
  const firstBlocks = blocksOf(n);
  const secondBlocks = blocksOf(m);
  for (let p = 0; p < size; p++) {
    const i = firstAt(scratch, p);
    const j = secondAt(scratch, p);
    setS(scratch + PAIR_AX, p, xOf(first, i) as f32);
    setS(scratch + PAIR_AY, p, yOf(first, firstBlocks, i) as f32);
    setS(scratch + PAIR_BX, p, xOf(second, j) as f32);
    setS(scratch + PAIR_BY, p, yOf(second, secondBlocks, j) as f32);
    const rotation = getB(scratch + PAIR_KEY, (p << 2) + 3);
    setS(scratch + PAIR_COS, p, cosine(rotation) as f32);
    setS(scratch + PAIR_SIN, p, sine(rotation) as f32);
  }
  // Up to a whole vector with pairs that agree with nobody.
  let padded = size;
  for (; (padded & 3) != 0; padded++) {
    setS(scratch + PAIR_AX, padded, 0);
    setS(scratch + PAIR_AY, padded, 0);
    setS(scratch + PAIR_BX, padded, 1e6);
    setS(scratch + PAIR_BY, padded, 1e6);
    setS(scratch + PAIR_COS, padded, 0);
    setS(scratch + PAIR_SIN, padded, 0);
    setS(scratch + PAIR_WEIGHT, padded, 0);
    setS(scratch + PAIR_STRENGTH, padded, 0);
  }
  return padded;
}

/** Sum of the four lanes, in this order everywhere. */
@inline
function sumOf(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) +
    f32x4.extract_lane(v, 1) +
    (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** Fills the agreement matrix and the first round of support. @returns the largest support */
export function firstSupport(size: i32, padded: i32, scratch: usize): f32 {
  const zero = f32x4.splat(0);
  const cos30 = f32x4.splat(COS_30 as f32);
  const end = (padded as usize) << 2;
  let largest: f32 = 0;
  for (let p = 0; p < size; p++) {
    const at = scratch + ((p as usize) << 2);
    const pc = v128.load32_splat(at, PAIR_COS);
    const ps = v128.load32_splat(at, PAIR_SIN);
    const ax = v128.load32_splat(at, PAIR_AX);
    const ay = v128.load32_splat(at, PAIR_AY);
    const bx = v128.load32_splat(at, PAIR_BX);
    const by = v128.load32_splat(at, PAIR_BY);
    const row = rowOf(scratch, p);
    let sum = zero;
    for (let q: usize = 0; q < end; q += 16) {
      const from = scratch + q;
      const qc = v128.load(from, PAIR_COS);
      const qs = v128.load(from, PAIR_SIN);
      const turn = f32x4.sub(f32x4.add(f32x4.mul(pc, qc), f32x4.mul(ps, qs)), cos30);
      const turned = f32x4.gt(turn, zero);
      if (!v128.any_true(turned)) {
        v128.store(row + q, zero);
        continue;
      }
      const dx = f32x4.sub(v128.load(from, PAIR_AX), ax);
      const dy = f32x4.sub(v128.load(from, PAIR_AY), ay);
      const ex = f32x4.sub(v128.load(from, PAIR_BX), bx);
      const ey = f32x4.sub(v128.load(from, PAIR_BY), by);
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
        v128.and(turned, apart),
        v128.and(f32x4.gt(stretch, zero), f32x4.gt(line, zero)),
      );
      let value = f32x4.mul(f32x4.mul(stretch, line), f32x4.mul(turn, f32x4.splat(37.32050807568877)));
      value = v128.and(f32x4.div(value, f32x4.mul(tolerance, lengths)), agree);
      v128.store(row + q, value);
      sum = f32x4.add(sum, f32x4.mul(value, v128.load(from, PAIR_STRENGTH)));
    }
    const total = sumOf(sum);
    setS(scratch + PAIR_SUPPORT, p, total);
    if (total > largest) largest = total;
  }
  return largest;
}

/** One more round: each pair is supported by those that agree with it, as strongly as they are now. */
function support(size: i32, padded: i32, scratch: usize): f32 {
  const end = (padded as usize) << 2;
  let largest: f32 = 0;
  for (let p = 0; p < size; p++) {
    const row = rowOf(scratch, p);
    let sum = f32x4.splat(0);
    for (let q: usize = 0; q < end; q += 16) {
      sum = f32x4.add(sum, f32x4.mul(v128.load(row + q), v128.load(scratch + q, PAIR_STRENGTH)));
    }
    const total = sumOf(sum) * getS(scratch + PAIR_WEIGHT, p);
    setS(scratch + PAIR_SUPPORT, p, total);
    if (total > largest) largest = total;
  }
  return largest;
}

/** The rounds after the first. Strengths end between 0 and 1. */
export function relax(size: i32, padded: i32, scratch: usize, firstLargest: f32): void {
  let largest = firstLargest;
  for (let round = 1; round <= ROUNDS; round++) {
    for (let p = 0; p < size; p++) {
      setS(scratch + PAIR_STRENGTH, p, largest > 0 ? getS(scratch + PAIR_SUPPORT, p) / largest : 0);
    }
    if (round < ROUNDS) largest = support(size, padded, scratch);
  }
}

export function agreementOf(scratch: usize, p: i32, q: i32): f32 {
  return getS(rowOf(scratch, p), q);
}
