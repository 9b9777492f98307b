import type { Gallery } from '../../src/gallery/gallery.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { identify, type SearchRequest, type SearchResult } from '../../src/matching/search/identification.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import type { SearchView } from '../../src/matching/search/search-view.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

/** Searches the whole gallery. @param changes - to the defaults: ten candidates, no threshold */
export function searchAll(
  gallery: Gallery,
  pool: WorkerPool,
  probes: readonly Probe[],
  choose: (view: SearchView) => CandidateSource,
  changes: Partial<SearchRequest> = {},
): Promise<SearchResult> {
  const request = {
    probes,
    scope: EVERYTHING,
    maxCandidates: 10,
    threshold: { maxLog10Fmr: 0 },
    standardFpir: 0.01,
    ...changes,
  };
  return identify(gallery, choose, pool, request, new AbortController().signal);
}
