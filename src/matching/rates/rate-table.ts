import { REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import { faceScale, scoreOfCosineOne } from '../kernels/similarity.ts';
import type { Calibration } from './calibration.ts';

/** Entries: one per finger score; for face scores, steps finer than the calibration. */
const ENTRIES = 65_536;

/**
 * −1000 · log10 of the false match rate of every score. A search reads it once per reference: a lookup in a calibration
 * would take as long as comparing two faces.
 */
export class RateTable {
  readonly #values = new Int16Array(ENTRIES);
  readonly #lowest: number;
  readonly #step: number;

  /** @param largest - largest absolute score with an entry; larger scores share it */
  constructor(calibration: Calibration, lowest: number, largest: number) {
    this.#lowest = lowest;
    this.#step = Math.max(1, Math.ceil((largest - lowest) / (ENTRIES - 1)));
    for (let i = 0; i < ENTRIES; i++) {
      this.#values[i] = Math.round(-1000 * calibration.rate(lowest + i * this.#step).log10Fmr);
    }
  }

  at(score: number): number {
    const entry = Math.floor((score - this.#lowest) / this.#step);
    return this.#values[Math.max(0, Math.min(ENTRIES - 1, entry))];
  }
}

/** The rates of all finger scores. */
export function fingerRateTable(calibration: Calibration): RateTable {
  return new RateTable(calibration, 0, ENTRIES - 1);
}

/** The rates of all scores of two faces. @param dimension - components of the embeddings */
export function faceRateTable(calibration: Calibration, dimension: number): RateTable {
  const greatest = scoreOfCosineOne(dimension);
  return new RateTable(calibration, -greatest, greatest);
}

/**
 * −1000 · log10 of the false match rate of every similarity of two faces, see similarity.ts; index 0 is −32768. Removed
 * references stay removed.
 * @param dimension - components of the embeddings
 */
export function faceRates(calibration: Calibration, dimension: number): Int16Array {
  const scale = faceScale(dimension) / 2 ** 24;
  const rates = Int16Array.from({ length: ENTRIES }, (_, i) => {
    const similarity = i + REMOVED_SIMILARITY;
    return Math.round(-1000 * calibration.rate(similarity / scale).log10Fmr);
  });
  rates[0] = REMOVED_SIMILARITY;
  return rates;
}
