import type { SubjectEntry } from '../../gallery/catalogue.ts';
import { STOP } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { CandidateSource, Proposal, SearchRun, SearchTarget } from './candidate-source.ts';
import { countReferences } from '../../gallery/partition.ts';
import type { NearestSubjects } from './nearest-subjects.ts';
import type { Probe } from './probe.ts';
import { compareSubjects, isNotable } from './sample-scores.ts';
import type { SearchView } from './search-view.ts';

/** The effort of a graph search: hnswlib's ef, by modality of the probe. */
export interface GraphEffort {
  readonly face: number;
  readonly finger: number;
  /** Minimum for each candidate of the list: with less, the graph would decide the end of the list. */
  readonly perCandidate: number;
  /** Number of references from which on the effort grows in proportion to them. */
  readonly growsFrom: number;
}

/**
 * Finds 99.9 % of the mates that a scan of whole vectors ranks first, as measured among 100,000 subjects (figures:
 * docs/architecture.md). Among more, the same effort finds a smaller share. At equal share it grows with a power of
 * their number, of about 1.
 */
const COMPLETE_FACE_EF = 200;
const COMPLETE_FINGER_EF = 800;
const COMPLETE_EF_PER_CANDIDATE = 4;
const MEASURED_AMONG = 100_000;
export const COMPLETE_EFFORT: GraphEffort = {
  face: COMPLETE_FACE_EF,
  finger: COMPLETE_FINGER_EF,
  perCandidate: COMPLETE_EF_PER_CANDIDATE,
  growsFrom: MEASURED_AMONG,
};

/** Finds about 97 % of them among 100,000, in a fraction of the time: for early answers, which a complete search follows. */
const EARLY_FACE_EF = 50;
const EARLY_FINGER_EF = 100;
export const EARLY_EFFORT: GraphEffort = {
  face: EARLY_FACE_EF,
  finger: EARLY_FINGER_EF,
  perCandidate: 0,
  growsFrom: Infinity,
};

/**
 * Minimum share of the stored subjects in scope. A graph holds all subjects: with a smaller scope most of what it finds
 * would be dropped, and mates with it.
 */
const MIN_SCOPE_SHARE = 0.5;

/**
 * Compares the subjects that graphs of similar references find. Nothing is scanned, so the time hardly grows with the
 * gallery. A graph may miss any mate: the audit measures how often. Where subjects are masked, graphs are not used: they
 * link to each other references that only masked ones join, so what is found would follow from these.
 */
export class GraphSearch implements CandidateSource {
  readonly mode = 'indexed';
  readonly way = 'graph';
  readonly #pool: WorkerPool;
  readonly #graphs: NearestSubjects;
  readonly #effort: GraphEffort;
  readonly #otherwise: CandidateSource | undefined;

  /**
   * @param otherwise - searches where the graphs fail, e.g. because their thread has ended; undefined: nothing is found
   */
  constructor(pool: WorkerPool, graphs: NearestSubjects, effort = COMPLETE_EFFORT, otherwise?: CandidateSource) {
    this.#pool = pool;
    this.#graphs = graphs;
    this.#effort = effort;
    this.#otherwise = otherwise;
  }

  /** Infinity where the graphs do not cover the search, subjects are masked, or most are out of scope. */
  expectedMs(probes: readonly Probe[], view: SearchView): number {
    if (view.isMasked || view.scopeShare < MIN_SCOPE_SHARE || !this.#graphs.covers(probes, view)) return Infinity;
    const lists = this.#lists(probes, view, 0);
    if (lists.length === 0) return Infinity;
    const { finger, face } = this.#pool.costs;
    // A list of each probe and partition. The subjects found are compared with all probes.
    const found = lists.reduce(
      (sum, list) => list.probes.reduce((all, probe) => all + list.ef * view.partitionCountFor(probe), sum),
      0,
    );
    const looking = lists.reduce((sum, list) => sum + this.#graphs.expectedMs(list.probes, view, list.ef), 0);
    return probes.reduce((sum, probe) => {
      if (probe.packed === undefined) return sum;
      const compare = probe.packed.modality === 'finger' ? finger : face;
      const references = countReferences(view.rangesFor(probe));
      // A finger of unknown position is compared with all of a subject's.
      const each = Math.max(1, references / Math.max(1, view.ordinals));
      return sum + compare.milliseconds(Math.min(found * each, references));
    }, looking);
  }

  async propose(probes: readonly Probe[], target: SearchTarget, run: SearchRun): Promise<Proposal> {
    const { view, stop, signal } = run;
    signal.throwIfAborted();
    const looked = view.isMasked ? 'failed' : await this.#look(probes, target, run);
    signal.throwIfAborted();
    if (looked === 'failed' && this.#otherwise !== undefined) return this.#otherwise.propose(probes, target, run);
    if (typeof looked === 'string') return nothing(probes);
    // Subjects expunged meanwhile have no references.
    const counts = looked.map((subject) => referencesOf(probes, view, subject));
    const found = await compareSubjects(probes, looked, run, this.#pool, { until: stop.compare });
    signal.throwIfAborted();
    const meant = counts.reduce((sum, count) => sum + count, 0);
    const made = found.compared.reduce((sum, count) => sum + count, 0);
    const share = meant === 0 ? 1 : made / meant;
    const comparable = counts.filter((count) => count > 0).length;
    // In a small scope a graph lists everybody, and no mate can be missed.
    const isAll = comparable >= view.subjectsInScope;
    const facts = {
      compared: found.compared,
      penetration: share * Math.min(1, comparable / Math.max(1, view.subjectsInScope)),
      searchedFraction: share,
      ...(isAll ? ({ mode: 'exact' } as const) : ({ mode: 'indexed', way: 'graph' } as const)),
    };
    if (made === meant) return { ...facts, subjects: looked, complete: found };
    // Subjects found by a stopped comparison are compared with all samples, as in the other sources.
    return { ...facts, subjects: looked.filter((subject) => isNotable(found.scored.get(subject))) };
  }

  /** @returns the subjects, each once; `late`: the time was up before the graphs had answered */
  async #look(
    probes: readonly Probe[],
    { maxCandidates }: SearchTarget,
    { view, stop, signal }: SearchRun,
  ): Promise<readonly SubjectEntry[] | 'late' | 'failed'> {
    const timeIsUp = stop.abortedAt(STOP.scan);
    if (timeIsUp.aborted) return 'late';
    const until = AbortSignal.any([signal, timeIsUp]);
    const lists = this.#lists(probes, view, maxCandidates);
    // All settle: no graph reads the view after the search.
    const looks = await Promise.allSettled(
      lists.map(async (list) => this.#graphs.nearest(list.probes, view, list.ef, until)),
    );
    const found = looks.flatMap((look) => (look.status === 'fulfilled' ? [look.value] : []));
    if (found.length === looks.length) return [...new Set(found.flat())];
    return timeIsUp.aborted ? 'late' : 'failed';
  }

  /** The probes that can be compared, by modality: each has an effort of its own. */
  #lists(
    probes: readonly Probe[],
    view: SearchView,
    maxCandidates: number,
  ): { readonly probes: readonly Probe[]; readonly ef: number }[] {
    const { perCandidate, growsFrom, ...byModality } = this.#effort;
    return (['finger', 'face'] as const).flatMap((modality) => {
      const own = probes.filter(({ packed }) => packed?.modality === modality);
      const references = Math.max(0, ...own.map((probe) => countReferences(view.rangesFor(probe))));
      // A finger of unknown position is looked for in the graphs of all positions: about one of a subject is in each.
      const growth = Math.max(1, Math.min(references, view.ordinals) / growsFrom);
      const ef = Math.ceil(growth * Math.max(byModality[modality], perCandidate * maxCandidates));
      return own.length === 0 ? [] : [{ probes: own, ef }];
    });
  }
}

/** References of a subject that any probe is compared with; each probe counts. */
function referencesOf(probes: readonly Probe[], view: SearchView, subject: SubjectEntry): number {
  return probes.reduce(
    (sum, probe) => (probe.packed === undefined ? sum : sum + view.referencesFor(probe, subject).length),
    0,
  );
}

function nothing(probes: readonly Probe[]): Proposal {
  const compared = probes.map(() => 0);
  return { subjects: [], compared, penetration: 0, mode: 'indexed', way: 'graph', searchedFraction: 0 };
}
