/**
 * Attackers of a face. Each has faces of other people by the same model, knows the service and its defences, and does
 * not know the target. They end by `Ended`, or when what they rebuilt passes.
 */
import { Matrix, solve } from 'ml-matrix';
import { WEAK_TO_ALARM } from '../../src/access/weak-answers.ts';
import type { Random } from '../../src/random.ts';
import type { AttackedService } from './attacked-service.ts';
import { combined, dot, naturalDirection, normalDirection, unit, type Vector } from './vectors.ts';

/** What an attacker has. */
export interface Attacker {
  readonly service: AttackedService;
  /** Faces of other people, of unit length. */
  readonly own: readonly Vector[];
  /** A face that already resembles the target, where the attacker has one. */
  readonly start: Vector | undefined;
  readonly random: Random;
}

export type Attack = (attacker: Attacker) => void;

/** Samples of a call. */
const SAMPLES = 16;
/** Of its equations, how far an attacker trusts the prior: that a face is near the mean of faces. */
const RIDGE = 0.02;
/** More equations than components add little. */
const MOST_EQUATIONS = 512;

/**
 * Reads the reference out by linear algebra: every score is an inner product. Where no scores are told, the rates of
 * unlike faces take their place: the mean of the faces that rate better than others points to the target.
 */
export const linear: Attack = ({ service, own, random }) => {
  const probes: Vector[] = [];
  const scores: number[] = [];
  const rates = new Trend(own[0].length);
  let samples = SAMPLES;
  for (;;) {
    const batch = Array.from({ length: samples }, () => mixture(own, random));
    const seen = service.verify(batch);
    if (seen === undefined) continue;
    if (seen.scores.length === 0) {
      // Further samples would only blur the one rate that is told.
      if (samples === 1) rates.add(batch[0], -seen.rate);
      samples = 1;
      const estimate = seen.rate < 0 ? rates.direction : undefined;
      if (estimate !== undefined && service.claim(estimate)) return;
      continue;
    }
    probes.push(...batch);
    scores.push(...seen.scores);
    if (service.claim(regression(probes.slice(-MOST_EQUATIONS), scores.slice(-MOST_EQUATIONS)))) return;
  }
};

/** Hill climbing on the rate: a step in a direction in which faces differ is kept if the rate is not worse. */
export const climb: Attack = (attacker) => climbBy(attacker, (probe) => attacker.service.verify([probe])?.rate);

/** The same by searches, with the laxest threshold. */
export const climbBySearches: Attack = (attacker) =>
  climbBy(attacker, (probe) => attacker.service.identify(probe, -0.01));

/** The same by a subject of the attacker's own, which it changes and asks for duplicates of. */
export const climbByDuplicates: Attack = (attacker) =>
  climbBy(attacker, (probe) => attacker.service.duplicates(probe, 0));

function climbBy({ service, own, start, random }: Attacker, rateOf: (probe: Vector) => number | undefined): void {
  let best = start ?? mixture(own, random);
  let [bestRate, step, equals] = [1, 0.5, 0];
  for (;;) {
    const tried = unit(combined([best, naturalDirection(own, random)], [1, step]));
    const probe = bestRate === 1 ? best : tried;
    const rate = rateOf(probe);
    if (rate === undefined) continue;
    equals = rate === bestRate ? equals + 1 : 0;
    if (rate <= bestRate) best = probe;
    step = Math.min(1, Math.max(0.05, step * (rate < bestRate ? 1.3 : 0.98)));
    bestRate = Math.min(bestRate, rate);
    if (service.claim(best)) return;
    // Nothing to climb on: from the start again, or from another face.
    if (bestRate === 0 && equals > 20) [best, bestRate, step, equals] = [start ?? mixture(own, random), 1, 0.5, 0];
  }
}

/** The gradient of the rate by random directions of all components. */
export const randomDirections: Attack = (attacker) =>
  gradient(attacker, ({ random, own }) => normalDirection(own[0].length, random));

/** The same by single components. */
export const coordinates: Attack = (attacker) => {
  let component = 0;
  gradient(attacker, ({ own }) => {
    const direction = new Float64Array(own[0].length);
    direction[component++ % direction.length] = 1;
    return direction;
  });
};

/** Directions of one gradient. */
const BLOCK = 128;
const REACH = 0.5;

function gradient(attacker: Attacker, direction: (attacker: Attacker) => Vector): void {
  const { service, own, start, random } = attacker;
  let at = start ?? mixture(own, random);
  for (;;) {
    const values: number[] = [];
    const directions: Vector[] = [];
    while (directions.length < BLOCK) {
      const along = direction(attacker);
      const signed = random.uniform() < 0.5 ? along.map((value) => -value) : along;
      const seen = service.verify([unit(combined([at, signed], [1, REACH]))]);
      if (seen === undefined) continue;
      directions.push(signed);
      values.push(-seen.rate);
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const slopes = values.map((value) => value - mean);
    if (slopes.every((slope) => slope === 0)) {
      at = start ?? mixture(own, random);
      continue;
    }
    at = unit(combined([at, unit(combined(directions, slopes))], [1, 0.5]));
    if (service.claim(at)) return;
  }
}

/**
 * Searches only, with the laxest threshold. The faces that find the target better than others are averaged; once one has,
 * further ones are drawn around the estimate, far enough from each other not to look alike.
 */
export const identifyOnly: Attack = ({ service, own, start, random }) => {
  const found = new Trend(own[0].length);
  let centre = start;
  let asked = 0;
  for (;;) {
    // One probe in forty near the centre: the window forgets in between, or counts to its limit.
    const isNear = centre !== undefined && asked++ % 40 === 0;
    const probe = isNear
      ? unit(combined([centre ?? own[0], naturalDirection(own, random)], [1, 0.9]))
      : mixture(own, random);
    const rate = service.identify(probe, -0.01);
    if (rate === undefined) continue;
    found.add(probe, -rate);
    if (rate === 0) continue;
    const estimate = found.direction;
    if (estimate === undefined) continue;
    centre = estimate;
    if (service.claim(estimate)) return;
  }
};

/**
 * Knows every limit and has time. Until a rate is told, it shows unlike faces; then it asks for the side of a boundary
 * between two rates on which faces at some distance lie: each answer is one bit about the direction to the target, and a
 * few hundred point there. It waits as it is told, and so that alike probes of a day stay below the alarm.
 */
export const patient: Attack = (attacker) => patientBy(attacker, Infinity);

/** The same, which also knows how many weak answers raise the alarm about spent budgets, and gets one fewer in 30 days. */
export const careful: Attack = (attacker) => patientBy(attacker, WEAK_TO_ALARM - 1);

const MONTH_MS = 30 * 86_400_000;
/** Windows count whole hours. */
const HOUR_MS = 3_600_000;

function patientBy({ service, own, start, random }: Attacker, answersAMonth: number): void {
  let answers = 0;
  const ask = (probe: Vector) => {
    const seen = service.verify([probe]);
    if (seen !== undefined && ++answers % answersAMonth === 0) service.wait(MONTH_MS + HOUR_MS);
    return seen;
  };
  const bits = new Trend(own[0].length);
  let base: Vector | undefined;
  for (;;) {
    if (base === undefined) {
      const probe =
        start === undefined ? mixture(own, random) : unit(combined([start, naturalDirection(own, random)], [1, 0.2]));
      const seen = ask(probe);
      if (seen !== undefined && seen.rate < 0) base = probe;
      continue;
    }
    const along = naturalDirection(own, random);
    const seen = ask(unit(combined([base, along], [1, 0.7])));
    if (seen === undefined) continue;
    bits.add(along, -seen.rate);
    const slope = bits.direction;
    if (slope === undefined) continue;
    // The estimate lies between the base and where the bits point.
    for (const share of [0.5, 1, 2]) if (service.claim(unit(combined([base, slope], [1, share])))) return;
  }
}

/** The direction along which a value rises, from vectors and their values. */
class Trend {
  readonly #vectors: Vector;
  readonly #weighted: Vector;
  #values = 0;
  #count = 0;

  constructor(dimension: number) {
    this.#vectors = new Float64Array(dimension);
    this.#weighted = new Float64Array(dimension);
  }

  add(vector: Vector, value: number): void {
    for (let k = 0; k < vector.length; k++) {
      this.#vectors[k] += vector[k];
      this.#weighted[k] += value * vector[k];
    }
    this.#values += value;
    this.#count++;
  }

  /** Of unit length; undefined while all values are the same. */
  get direction(): Vector | undefined {
    const slope = combined([this.#weighted, this.#vectors], [1, -this.#values / this.#count]);
    return dot(slope, slope) > 1e-12 ? unit(slope) : undefined;
  }
}

/** A face of nobody: between a few people. */
function mixture(own: readonly Vector[], random: Random): Vector {
  const count = 1 + random.below(3);
  const picked = Array.from({ length: count }, () => own[random.below(own.length)]);
  return unit(
    combined(
      picked,
      picked.map(() => 0.5 + random.uniform()),
    ),
  );
}

/** The combination of the probes that explains the values best (ridge regression, by the probes' inner products). */
function regression(probes: readonly Vector[], values: readonly number[]): Vector {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const products = Matrix.zeros(probes.length, probes.length);
  probes.forEach((a, i) => {
    for (let j = 0; j <= i; j++) {
      const product = dot(a, probes[j]) + (i === j ? RIDGE : 0);
      products.set(i, j, product);
      products.set(j, i, product);
    }
  });
  const centred = Matrix.columnVector(values.map((value) => value - mean));
  return unit(combined(probes, solve(products, centred).getColumn(0)));
}
