/** One comparison of two captures of a synthetic finger, with what the kernel forgets on the way. */
import { createPerson } from '../../fixtures/person.ts';
import type { FingerModel } from '../../src/matching/model/finger-model.ts';
import { FIRST_KNOTS, SCORE_TERMS, WEIGHTS_PER_POINT, WHOLE } from '../../src/matching/model/score-terms.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { alignCluster, alignMatches, type Alignment } from '../../src/matching/oracle/alignment.ts';
import {
  clusterOf,
  measureAgreements,
  relax,
  shortlist,
  supportOf,
  type StrongPair,
} from '../../src/matching/oracle/consensus.ts';
import { weighEvidence } from '../../src/matching/oracle/evidence.ts';
import { compareFingersReference } from '../../src/matching/oracle/finger-comparison.ts';
import {
  convexHull,
  encodeFingerReference,
  rootsOf,
  type Directed,
} from '../../src/matching/oracle/finger-encoding.ts';
import {
  unpackFinger,
  type Comparison,
  type Finger,
  type Pair,
  type ShortlistedPair,
} from '../../src/matching/oracle/finger.ts';
import { geometryOf, pairMinutiae } from '../../src/matching/oracle/pairing.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { decodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';

const [SEED, PERSON, POSITION] = [0x6b65, 5, 2] as const;

export interface Step {
  readonly alignment: Alignment;
  readonly matches: readonly Pair[];
}

export interface DrawnComparison {
  readonly a: Finger;
  readonly b: Finger;
  readonly distances: Comparison['distances'];
  readonly pairs: readonly (ShortlistedPair & { readonly strength: number })[];
  readonly cluster: readonly StrongPair[];
  /** The fit to the cluster, and the last one. */
  readonly first: Step;
  readonly last: Step;
  /** Squared radius within which each match of the last step had to lie. */
  readonly limits: readonly number[];
  readonly terms: readonly { readonly name: string; readonly points: number }[];
  readonly score: number;
  /** The roots of the cylinder of a minutia of either: [direction × place]. */
  rootsOf(finger: Finger, index: number): Int16Array;
}

function templateOf(impression: number): FingerTemplate {
  const record = decodeIso197942(createPerson(SEED, PERSON).fingerRecord(POSITION, impression, 1));
  return toFingerTemplate(record, record.views[0]);
}

function packedOf(impression: number): Uint8Array {
  const packed = encodeFingerReference(templateOf(impression));
  if (packed === undefined) throw new Error('the print of the pictures has too few minutiae');
  return packed;
}

export function directedOf({ x, y, angle }: Finger): Directed[] {
  return x.map((value, i) => ({ x: value, y: y[i], angle: angle[i] }));
}

/** @throws Error when the steps as they are taken here give another score than the kernel's reference */
export function compareForPictures(model: FingerModel = shippedFingerModel()): DrawnComparison {
  const packed = [packedOf(0), packedOf(1)].sort((p, q) => p[0] - q[0]);
  const [a, b] = packed.map(unpackFinger);
  const distances = a.codes.map((p) => b.codes.map((q) => bitsOf(p, q)));
  const { pairs, meanDistance } = shortlist(a, b, distances);
  const comparison = { a, b, distances, meanDistance };
  const agreements = measureAgreements(pairs);
  const weights = pairs.map(({ weight }) => weight);
  const strengths = relax(
    agreements,
    weights,
    agreements.map((row) => supportOf(row, weights)),
  );
  const cluster = clusterOf(pairs, agreements, strengths);
  const step = (alignment: Alignment) => ({ alignment, ...pairMinutiae(comparison, alignment) });
  const first = step(alignCluster(cluster));
  const second = step(alignMatches(a, b, first.matches, false));
  const last = step(alignMatches(a, b, second.matches, second.matches.length >= 5));
  const masses = weighEvidence(comparison, last.alignment, last.matches);
  const terms = SCORE_TERMS.map(({ name, knots }, t) => {
    let points = 0;
    for (let k = FIRST_KNOTS[t]; k < FIRST_KNOTS[t] + knots; k++) points += masses[k] * model.weights[k];
    return { name, points: points / (WHOLE * WEIGHTS_PER_POINT) };
  });
  const score = Math.floor(terms.reduce((sum, { points }) => sum + points, 0));
  const right = compareFingersReference(packed[0], packed[1], model);
  if (score !== right) throw new Error(`the pictures show a score of ${score}, the comparison gives ${right}`);
  const limits = last.matches.map((match) => geometryOf(comparison, last.alignment, match).limit);
  return {
    ...{ a, b, distances, cluster, first, last, limits, terms, score },
    pairs: pairs.map((pair, p) => ({ ...pair, strength: strengths[p] })),
    rootsOf: (finger, index) => {
      const all = directedOf(finger);
      return rootsOf(all[index], all, convexHull(all));
    },
  };
}

function bitsOf(p: Uint8Array, q: Uint8Array): number {
  let bits = 0;
  p.forEach((byte, k) => {
    for (let rest = byte ^ q[k]; rest !== 0; rest &= rest - 1) bits++;
  });
  return bits;
}
