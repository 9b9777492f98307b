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
  PAIR_PROBE,
  PAIR_REFERENCE,
  PAIR_SIN,
  PAIR_STRENGTH,
  PAIR_SUPPORT,
  PAIR_WEIGHT,
  angleOf,
  blocksOf,
  cosine,
  getB,
  getF,
  setF,
  sine,
  xOf,
  yOf,
} from './layout';

/** cos 30°: pairs whose rotations differ by more do not agree. */
export const COS_30: f64 = 0.8660254037844386;
/** Directions of the connecting lines may differ by as much as this cosine says. */
const LEAST_COSINE: f64 = 0.8;
/** Minutiae at one place have no direction to each other: squared pixels. */
const NEAREST_SQUARED: f64 = 16;
const ROUNDS: i32 = 3;

function at(p: i32, q: i32): i32 {
  return p * PAIRS + q;
}

/** Brings the pairs' coordinates and rotations together, so that the inner loop reads them in a row. */
export function gatherPairs(probe: usize, n: i32, reference: usize, m: i32, size: i32, scratch: usize): void {
  const probeBlocks = blocksOf(n);
  const referenceBlocks = blocksOf(m);
  for (let p = 0; p < size; p++) {
    const i = getB(scratch + PAIR_PROBE, p);
    const j = getB(scratch + PAIR_REFERENCE, p);
    setF(scratch + PAIR_AX, p, xOf(probe, i));
    setF(scratch + PAIR_AY, p, yOf(probe, probeBlocks, i));
    setF(scratch + PAIR_BX, p, xOf(reference, j));
    setF(scratch + PAIR_BY, p, yOf(reference, referenceBlocks, j));
    const rotation = (angleOf(reference, referenceBlocks, j) - angleOf(probe, probeBlocks, i)) & 255;
    setF(scratch + PAIR_COS, p, cosine(rotation));
    setF(scratch + PAIR_SIN, p, sine(rotation));
  }
}

/** Agreement of two pairs, 0 to 1; symmetric. */
function agreement(p: i32, q: i32, scratch: usize): f64 {
  const pc = getF(scratch + PAIR_COS, p);
  const ps = getF(scratch + PAIR_SIN, p);
  const qc = getF(scratch + PAIR_COS, q);
  const qs = getF(scratch + PAIR_SIN, q);
  const sameTurn = pc * qc + ps * qs;
  if (sameTurn <= COS_30) return 0;
  const dx = getF(scratch + PAIR_AX, q) - getF(scratch + PAIR_AX, p);
  const dy = getF(scratch + PAIR_AY, q) - getF(scratch + PAIR_AY, p);
  const ex = getF(scratch + PAIR_BX, q) - getF(scratch + PAIR_BX, p);
  const ey = getF(scratch + PAIR_BY, q) - getF(scratch + PAIR_BY, p);
  const a2 = dx * dx + dy * dy;
  const b2 = ex * ex + ey * ey;
  if (a2 <= NEAREST_SQUARED || b2 <= NEAREST_SQUARED) return 0;
  const la = sqrt<f64>(a2);
  const lb = sqrt<f64>(b2);
  const tolerance = 12 + 0.03 * (la + lb);
  const stretch = la > lb ? la - lb : lb - la;
  if (stretch >= tolerance) return 0;
  const dot = dx * ex + dy * ey;
  const cross = dx * ey - dy * ex;
  const byP = pc * dot + ps * cross;
  const byQ = qc * dot + qs * cross;
  const sameLine = (byP < byQ ? byP : byQ) / (la * lb);
  if (sameLine <= LEAST_COSINE) return 0;
  return (
    (1 - stretch / tolerance) * ((sameLine - LEAST_COSINE) / (1 - LEAST_COSINE)) * ((sameTurn - COS_30) / (1 - COS_30))
  );
}

/** Fills the agreement matrix and the first round of support. @returns the largest support */
export function firstSupport(size: i32, scratch: usize): f64 {
  const consensus = scratch + CONSENSUS;
  for (let p = 0; p < size; p++) {
    setF(consensus, at(p, p), 0);
    for (let q = p + 1; q < size; q++) {
      const value = agreement(p, q, scratch);
      setF(consensus, at(p, q), value);
      setF(consensus, at(q, p), value);
    }
  }
  return support(size, scratch, false);
}

/** One round: each pair is supported by those that agree with it, as strongly as they are now. */
function support(size: i32, scratch: usize, weighted: bool): f64 {
  let largest: f64 = 0;
  for (let p = 0; p < size; p++) {
    let sum: f64 = 0;
    for (let q = 0; q < size; q++) {
      sum += getF(scratch + CONSENSUS, at(p, q)) * getF(scratch + PAIR_STRENGTH, q);
    }
    if (weighted) sum *= getF(scratch + PAIR_WEIGHT, p);
    setF(scratch + PAIR_SUPPORT, p, sum);
    if (sum > largest) largest = sum;
  }
  return largest;
}

/** The rounds after the first. Strengths end between 0 and 1. */
export function relax(size: i32, scratch: usize, firstLargest: f64): void {
  let largest = firstLargest;
  for (let round = 1; round <= ROUNDS; round++) {
    for (let p = 0; p < size; p++) {
      setF(scratch + PAIR_STRENGTH, p, largest > 0 ? getF(scratch + PAIR_SUPPORT, p) / largest : 0);
    }
    if (round < ROUNDS) largest = support(size, scratch, true);
  }
}

export function agreementOf(scratch: usize, p: i32, q: i32): f64 {
  return getF(scratch + CONSENSUS, at(p, q));
}
