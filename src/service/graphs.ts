import type { Configuration } from '../configuration.ts';
import type { CurrentGallery } from '../gallery/active-gallery.ts';
import type { IndexSettings } from '../index-files/index-switcher.ts';
import { CandidateGraphs } from '../matching/graph/candidate-graphs.ts';
import { savedGraphOf } from '../matching/graph/indexed-graphs.ts';
import type { Logger } from '../observability/logging.ts';

/** Smaller partitions get no graph: comparing this many references takes some milliseconds. */
const MIN_GRAPH_REFERENCES = 512;

/**
 * The graphs of the service. By the rule `graph` every partition that is not small gets one, by `auto` those for which
 * the index has one.
 * @returns undefined: no graph is used
 */
export function candidateGraphs(
  { candidates }: Pick<Configuration, 'candidates'>,
  served: CurrentGallery,
  log: Logger,
): CandidateGraphs | undefined {
  if (candidates !== 'graph' && candidates !== 'auto') return undefined;
  const isWanted = (_partition: unknown, references: number) =>
    candidates === 'graph' && references >= MIN_GRAPH_REFERENCES;
  return new CandidateGraphs(served, isWanted, (error) =>
    log.warn({ err: error }, 'a graph has failed; searches go on without it until it is built again'),
  );
}

/** Takes over the graphs of a loaded index; undefined: they are not used. */
export function adoption(graphs: CandidateGraphs | undefined): IndexSettings['onGraphs'] {
  if (graphs === undefined) return undefined;
  return (gallery, indexed) => {
    for (const one of indexed) graphs.adopt(gallery, one.partition, savedGraphOf(one));
  };
}
