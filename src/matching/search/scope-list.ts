import { countReferences } from '../../gallery/partition.ts';
import type { CandidateSource, Proposal, SearchRun, SearchTarget } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import { compareSubjects, isNotable } from './sample-scores.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** Main thread time per listed reference, in ms. A scan leaves nearly all of that work to the workers. */
const LISTING_MS = 0.004;

/**
 * For small galleries in a large store: compares all samples with each subject's references directly. The cost depends
 * on the gallery, not on the store. The answer equals that of an exact search.
 */
export class ScopeList implements CandidateSource {
  readonly mode = 'exact';
  readonly #pool: WorkerPool;

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  /** Infinity where the subjects are not listed. */
  expectedMs(probes: readonly Probe[], view: SearchView): number {
    if (view.listed === undefined) return Infinity;
    const { finger, face } = this.#pool.costs;
    return probes.reduce((sum, probe) => {
      if (probe.packed === undefined) return sum;
      const references = countReferences(view.rangesFor(probe)) * view.scopeShare;
      const compare = probe.packed.modality === 'finger' ? finger : face;
      return sum + compare.milliseconds(references) + LISTING_MS * references;
    }, 0);
  }

  async propose(probes: readonly Probe[], _target: SearchTarget, run: SearchRun): Promise<Proposal> {
    const { view, stop, signal } = run;
    const subjects = view.listed;
    if (subjects === undefined) throw new Error('the subjects in scope are not listed');
    const meant = probes.map((probe) =>
      probe.packed === undefined
        ? 0
        : subjects.reduce((sum, subject) => sum + view.referencesFor(probe, subject).length, 0),
    );
    const found = await compareSubjects(probes, subjects, run, this.#pool, { until: stop.scan });
    signal.throwIfAborted();
    const [all, made] = [meant, found.compared].map((counts) => counts.reduce((sum, count) => sum + count, 0));
    const searchedFraction = all === 0 ? 1 : made / all;
    const { compared } = found;
    const facts = { compared, penetration: searchedFraction, mode: this.mode, searchedFraction } as const;
    if (made === all) return { ...facts, subjects, complete: found };
    // Subjects found by a stopped scan are compared with all samples, like those of an ExactScan.
    return { ...facts, subjects: subjects.filter((subject) => isNotable(found.scored.get(subject))) };
  }
}
