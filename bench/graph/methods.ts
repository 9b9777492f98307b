/** Ways to find the references most similar to a probe. Each ends with the kernels' similarities of whole vectors. */
import type { FingerReferences } from './finger-references.ts';
import type { References } from './references.ts';
import type { Sample } from './vector-set.ts';
import { projected, searchGraphs, type PositionGraph } from './vector-graph.ts';

export interface Found {
  /** Listed rows, ascending. */
  readonly rows: Uint32Array;
  /** The most similar of them. */
  readonly first: number | undefined;
}

export interface ListMethod {
  /** ef of the graph, or the share of the subjects that the codes choose. */
  readonly setting: number;
  /** Prepares the probe. @returns its search */
  prepare(probe: Sample): () => Found;
}

/**
 * The graph of each position, the union of the lists, ranked anew. The projection of the probe counts as preparation: as
 * a kernel it would take a few microseconds.
 */
export function graphMethod(references: References, graphs: readonly PositionGraph[], ef: number): ListMethod {
  return {
    setting: ef,
    prepare: (probe) => {
      const vectors = projected(graphs, probe);
      return () => {
        const rows = searchGraphs(graphs, vectors, ef);
        return { rows, first: references.mostSimilar(probe, rows) };
      };
    },
  };
}

/** The tables of the probe, the scan of all codes, the choice of a share of the subjects, ranked anew. */
export function codeMethod(references: FingerReferences, subjects: number, share: number): ListMethod {
  return {
    setting: share,
    prepare: (probe) => () => {
      const rows = references.chooseByCodes(probe, Math.ceil(share * subjects));
      return { rows, first: references.mostSimilar(probe, rows) };
    },
  };
}
