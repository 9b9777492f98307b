/**
 * Hill climbing on minutiae (Uludag and Jain, "Attacks on biometric systems: a case study in fingerprints", SPIE 5306,
 * 2004): the best of some random prints is changed one minutia at a time, and a change is kept if the answer is better.
 */
import { createPerson } from '../../fixtures/person.ts';
import { Modality } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { FingerBatch } from '../../src/matching/kernels/finger-batch.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { vectorOf } from '../../src/matching/kernels/similarity.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import type { Random } from '../../src/random.ts';
import type { FingerTemplate, Minutia } from '../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { SEEDS } from '../harness/seeds.ts';
import { Attempt, Ended, type Outcome } from './attempt.ts';
import { ServicePath, type Seen } from './service-path.ts';

/** Random prints before the climb. */
const GUESSES = 100;
const MINUTIAE = 35;
/** Extent of a print, in pixels at 500 dpi. */
const [WIDTH, HEIGHT] = [260, 340];
/** Calls without a better answer after which the climb begins anew. */
const PATIENCE = 3000;

export function fingerClimb(
  limits: { readonly calls: number; readonly days: number },
  isDefended: boolean,
  subjects: number,
  random: Random,
  target: number,
): Outcome {
  const attempt = new Attempt({ ...limits, clients: 1, agencies: 1 });
  const service = new AttackedFinger(new ServicePath(attempt, subjects, isDefended), attempt, target);
  try {
    while (!climbOnce(service, random));
  } catch (thrown) {
    if (!(thrown instanceof Ended)) throw thrown;
  }
  return attempt.outcome;
}

/** @returns whether the print passes; false: the climb is stuck */
function climbOnce(service: AttackedFinger, random: Random): boolean {
  let best: readonly Minutia[] = [];
  let bestValue = -Infinity;
  for (let call = 0, idle = 0; idle < PATIENCE; call++) {
    const tried = call < GUESSES ? Array.from({ length: MINUTIAE }, () => drawn(random)) : changed(best, random);
    const seen = service.verify(tried);
    if (seen === undefined) continue;
    const value = seen.scores.at(0) ?? -seen.rate;
    idle = value > bestValue ? 0 : idle + 1;
    // Equal answers let the print drift where rates are coarse.
    if (value >= bestValue) [best, bestValue] = [tried, value];
    if (service.claim(best)) return true;
  }
  return false;
}

function changed(minutiae: readonly Minutia[], random: Random): readonly Minutia[] {
  const at = random.below(minutiae.length);
  const move = (value: number, by: number) => value + random.below(2 * by + 1) - by;
  switch (random.below(4)) {
    case 0:
      return minutiae.with(at, { ...minutiae[at], x: move(minutiae[at].x, 12), y: move(minutiae[at].y, 12) });
    case 1:
      return minutiae.with(at, { ...minutiae[at], angle: (move(minutiae[at].angle, 20) + 256) % 256 });
    case 2:
      return minutiae.length < 60 ? [...minutiae, drawn(random)] : minutiae.toSpliced(at, 1);
    default:
      return minutiae.length > 15 ? minutiae.with(at, drawn(random)) : [...minutiae, drawn(random)];
  }
}

function drawn(random: Random): Minutia {
  const type = random.uniform() < 0.5 ? 1 : 2;
  return { x: random.below(WIDTH), y: random.below(HEIGHT), angle: random.below(256), type, quality: 0 };
}

class AttackedFinger {
  readonly #path: ServicePath;
  readonly #attempt: Attempt;
  readonly #encoder = new ReferenceEncoder();
  readonly #target: Uint8Array;

  constructor(path: ServicePath, attempt: Attempt, target: number) {
    this.#path = path;
    this.#attempt = attempt;
    const record = createPerson(SEEDS.attacks, target).fingerImpression(2, 0);
    const packed = this.#encoder.encode(toFingerTemplate(record, record.views[0]));
    if (packed === undefined) throw new Error('the target has too few minutiae');
    this.#target = packed;
  }

  verify(minutiae: readonly Minutia[]): Seen | undefined {
    return this.#attempt.call((caller) => {
      const packed = this.#encode(minutiae);
      this.#path.admit(caller, packed === undefined ? [] : [{ trait: 'finger', vector: vectorOf(packed) }]);
      return this.#path.verify(caller, () => [this.#score(packed)]);
    });
  }

  /** Of the best print so far. Similarity is the share of the threshold's rate in decades. */
  claim(minutiae: readonly Minutia[]): boolean {
    const { log10Fmr } = this.#score(this.#encode(minutiae));
    this.#attempt.noteRebuilt(log10Fmr / this.#path.threshold, log10Fmr <= this.#path.threshold);
    return this.#attempt.isRebuilt;
  }

  #encode(minutiae: readonly Minutia[]): Uint8Array | undefined {
    const places = new Map(minutiae.map((minutia) => [`${minutia.x} ${minutia.y}`, minutia]));
    const template: FingerTemplate = { modality: 'finger', position: 2, quality: 0, minutiae: [...places.values()] };
    return this.#encoder.encode(template);
  }

  #score(packed: Uint8Array | undefined) {
    const [score] = packed === undefined ? [0] : new FingerBatch([packed, this.#target]).compare(0, 1);
    return { modality: Modality.FINGER, score, ...SHIPPED_CALIBRATIONS.finger.rate(score) };
  }
}
