import type { Sample } from './vector-set.ts';

/** The references of a gallery as the service keeps them. Of two fingers the similarities are added, negatives as 0. */
export interface References {
  /** Reads every whole vector. @returns the row of the most similar reference */
  search(probe: Sample): number;
  /** @returns the number of other rows that are as similar as a row, or more */
  othersBefore(probe: Sample, row: number): number;
  /** @param rows - ascending @returns the most similar of listed rows, by their whole vectors; undefined without any */
  mostSimilar(probe: Sample, rows: Uint32Array): number | undefined;
  /** Removes and overwrites a row. */
  expunge(row: number): void;
}
