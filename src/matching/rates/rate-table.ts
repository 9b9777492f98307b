import { faceCalibration, fingerCalibration, type Calibration } from './calibration.ts';
import { scoreOfCosineOne } from '../kernels/similarity.ts';
import { REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import { faceScale } from '../kernels/similarity.ts';

/** Entries: the rates of all finger scores one by one, of face scores in steps that are finer than the calibration. */
const ENTRIES = 65_536;

/**
 * −1000 · log10 of the false match rate of every score: a search reads it once for each reference, and to look it up in
 * a calibration takes as long as comparing two faces.
 */
export class RateTable {
  readonly #values = new Int16Array(ENTRIES);
  readonly #lowest: number;
  readonly #step: number;

  /** @param largest - of the scores' absolute values that are told apart; beyond it they are taken for it */
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

const tables = new Map<string, RateTable>();

/** The table for a probe's scores, made once in each thread. */
export function rateTable(probe: PackedProbe): RateTable {
  const key = probe.modality === 'finger' ? 'finger' : nameOf(probe);
  let table = tables.get(key);
  if (table === undefined) {
    if (probe.modality === 'finger') table = new RateTable(fingerCalibration(), 0, ENTRIES - 1);
    else {
      const greatest = scoreOfCosineOne(probe.dimension);
      table = new RateTable(faceCalibration(probe.modelId, probe.dimension), -greatest, greatest);
    }
    tables.set(key, table);
  }
  return table;
}

const bySimilarity = new Map<string, Int16Array>();

/**
 * −1000 · log10 of the false match rate of every similarity of two faces, see similarity.ts; that of −32768 first. What
 * was removed stays so.
 */
export function faceRates(kind: FaceKind): Int16Array {
  const key = nameOf(kind);
  let rates = bySimilarity.get(key);
  if (rates === undefined) {
    const calibration = faceCalibration(kind.modelId, kind.dimension);
    const scale = faceScale(kind.dimension) / 2 ** 24;
    rates = Int16Array.from({ length: ENTRIES }, (_, i) => {
      const similarity = i + REMOVED_SIMILARITY;
      return Math.round(-1000 * calibration.rate(similarity / scale).log10Fmr);
    });
    rates[0] = REMOVED_SIMILARITY;
    bySimilarity.set(key, rates);
  }
  return rates;
}

function nameOf({ modelId, dimension }: FaceKind): string {
  return `${modelId}:${dimension}`;
}
