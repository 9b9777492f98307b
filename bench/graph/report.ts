import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import type { DeletionFigures } from './deletion.ts';
import type { GraphShape } from './graph-shape.ts';
import type { GrowthRow } from './growth-rows.ts';
import type { SearchFigures } from './searches.ts';
import type { GraphCost } from './vector-graph.ts';
import type { Modality } from './vector-set.ts';

/** Figures of one size of the gallery. */
export interface SizeFigures {
  readonly subjects: number;
  /** Share of the variance that the components in the graph hold. */
  readonly variance: number;
  readonly graph: GraphCost;
  /** Thread time for the codes of a subject; undefined: there are none. */
  readonly codeMicroseconds: number | undefined;
  readonly figures: readonly SearchFigures[];
}

export interface GraphReport {
  readonly modality: Modality;
  readonly vectors: string;
  readonly subjects: number;
  readonly kernels: KernelBuild;
  /** Bytes of a subject: whole vectors, and their codes. */
  readonly vectorBytes: number;
  readonly codeBytes: number;
  /** With the number of components of a vector in the graph. */
  readonly graph: GraphShape & { readonly dimensions: number };
  /** Ascending; the last is the whole gallery. */
  readonly sizes: readonly SizeFigures[];
  readonly growth: readonly GrowthRow[];
  readonly deletion: DeletionFigures;
}
