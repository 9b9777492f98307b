import type { Configuration } from '../configuration.ts';
import type { CurrentGallery } from '../gallery/active-gallery.ts';
import { CandidateGraphs } from '../matching/graph/candidate-graphs.ts';
import type { Logger } from '../observability/logging.ts';

/** Smaller partitions get no graph: comparing this many references takes some milliseconds. */
const MIN_GRAPH_REFERENCES = 512;

/**
 * The graphs of the service. By the rule `graph` every partition that is not small gets one.
 * @returns undefined: no graph is built
 */
export function candidateGraphs(
  { candidates }: Pick<Configuration, 'candidates'>,
  served: CurrentGallery,
  log: Logger,
): CandidateGraphs | undefined {
  if (candidates !== 'graph') return undefined;
  const isWanted = (_partition: unknown, references: number) => references >= MIN_GRAPH_REFERENCES;
  return new CandidateGraphs(served, isWanted, (error) =>
    log.warn({ err: error }, 'a graph has failed; searches go on without it until it is built again'),
  );
}
