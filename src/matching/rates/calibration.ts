import { roundLog10 } from './fusion.ts';

/** A comparison score as a false match rate. */
export interface CalibratedScore {
  /** log10 of the estimated false match rate of one comparison, SMALLEST to 0, in thousandths. */
  readonly log10Fmr: number;
  /** The score lies beyond the data of the table. */
  readonly extrapolated: boolean;
}

/** Measured rates. Made by calibration-table.ts. */
export interface CalibrationTable {
  readonly version: string;
  /** Scores ascending. */
  readonly scores: readonly number[];
  /** log10 of the share of non-mated comparisons that scored at least this, in thousandths; descending. */
  readonly milliLog10Fmr: readonly number[];
  /** Rates of higher scores are extrapolated, both in the table and beyond it. */
  readonly measuredTo: number;
  /** Thousandths of log10 per score step beyond the last entry; negative. */
  readonly milliLog10PerStep: number;
}

/** Lowest rate claimed for a single comparison: there is no data below it. */
const MIN_LOG10_FMR = -12;

/**
 * Maps comparison scores to false match rates. The map is monotone and linear between the entries of the table. Beyond
 * the last entry it follows the measured slope, marked as extrapolated.
 */
export class Calibration {
  readonly #table: CalibrationTable;
  readonly #scale: number;
  readonly #alwaysExtrapolated: boolean;

  /**
   * @param scale - factor from a comparison score to the unit of the table
   * @param alwaysExtrapolated - the table was measured with another model's scores
   */
  constructor(table: CalibrationTable, scale = 1, alwaysExtrapolated = false) {
    this.#table = table;
    this.#scale = scale;
    this.#alwaysExtrapolated = alwaysExtrapolated;
  }

  get version(): string {
    return this.#table.version;
  }

  /** log10 of the lowest measured rate: lower ones are extrapolated. 0 where nothing was measured. */
  get measuredLog10(): number {
    return this.#alwaysExtrapolated ? 0 : this.rate(this.#table.measuredTo / this.#scale).log10Fmr;
  }

  rate(score: number): CalibratedScore {
    const { scores, milliLog10Fmr, milliLog10PerStep, measuredTo } = this.#table;
    const x = score * this.#scale;
    const last = scores.length - 1;
    const first = scores[0] ?? 0;
    if (x <= first) return { log10Fmr: 0, extrapolated: this.#alwaysExtrapolated };
    const end = scores[last] ?? 0;
    if (x > end) {
      const beyond = (milliLog10Fmr[last] ?? 0) + (x - end) * milliLog10PerStep;
      return { log10Fmr: roundLog10(Math.max(MIN_LOG10_FMR, beyond / 1000)), extrapolated: true };
    }
    let low = 0;
    let high = last;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((scores[middle] ?? 0) <= x) low = middle;
      else high = middle;
    }
    const [x0, x1] = [scores[low] ?? 0, scores[high] ?? 0];
    const [y0, y1] = [milliLog10Fmr[low] ?? 0, milliLog10Fmr[high] ?? 0];
    const y = x1 === x0 ? y1 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
    const extrapolated = this.#alwaysExtrapolated || x > measuredTo;
    return { log10Fmr: roundLog10(Math.max(MIN_LOG10_FMR, y / 1000)), extrapolated };
  }

  /** The lowest integer score whose rate is at most `log10Fmr`. */
  scoreAt(log10Fmr: number): number {
    let low = -(2 ** 31);
    let high = 2 ** 31 - 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.rate(middle).log10Fmr <= log10Fmr) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
