import type { PartitionName } from '../../gallery/catalogue.ts';
import { MeasuredCost } from '../workers/search-costs.ts';

/**
 * Thread time of searching graphs. It grows with `ef`, and with the logarithm of the graph's size; the unit is the
 * product of both.
 */
export class GraphCosts {
  readonly #finger = new MeasuredCost(700, 5_000_000);
  readonly #face = new MeasuredCost(350, 5_000_000);

  /** @param busyMs - thread time of one search */
  note({ modality }: PartitionName, ef: number, places: number, busyMs: number): void {
    this.#of(modality).note(busyMs, units(ef, places));
  }

  /** Expected thread time of one search, in ms. */
  milliseconds({ modality }: PartitionName, ef: number, places: number): number {
    return this.#of(modality).milliseconds(units(ef, places));
  }

  #of(modality: PartitionName['modality']): MeasuredCost {
    return modality === 'finger' ? this.#finger : this.#face;
  }
}

function units(ef: number, places: number): number {
  return Math.min(ef, places) * Math.log2(places + 1);
}
