import { FLOOR_LOG10_FMR } from '../rates/fusion.ts';
import { fusedRank } from '../workers/shortlister.ts';

/** The notable rates of comparison scores, by subject and instance. */
export class InstanceRates {
  /** By ordinal: the best −1000 · log10 of each instance. Rates of 1, those of most non-mates, are left out. */
  readonly #rates = new Map<number, Map<number, number>>();

  /** @param rate - −1000 · log10 of a false match rate */
  note(ordinal: number, instance: number, rate: number): void {
    if (rate <= 0) return;
    let rates = this.#rates.get(ordinal);
    if (rates === undefined) this.#rates.set(ordinal, (rates = new Map<number, number>()));
    if (rate > (rates.get(instance) ?? 0)) rates.set(instance, rate);
  }

  /** Whether one of a subject's rates is low enough for a candidate. */
  isNotable(ordinal: number): boolean {
    const rates = this.#rates.get(ordinal);
    return rates !== undefined && Math.max(...rates.values()) >= -1000 * FLOOR_LOG10_FMR;
  }

  /**
   * The subjects with the lowest fused rates, including all that tie with the last of them.
   * @param minSum - minimum sum of a subject's rates
   */
  best(most: number, minSum: number): number[] {
    const ranked: { readonly ordinal: number; readonly rank: number }[] = [];
    for (const [ordinal, rates] of this.#rates) {
      let sum = 0;
      for (const rate of rates.values()) sum += rate;
      if (sum >= minSum) ranked.push({ ordinal, rank: fusedRank(sum, rates.size) });
    }
    ranked.sort((a, b) => b.rank - a.rank);
    const least = ranked[Math.min(most, ranked.length) - 1]?.rank ?? 0;
    return ranked.filter(({ rank }) => rank >= least).map(({ ordinal }) => ordinal);
  }
}
