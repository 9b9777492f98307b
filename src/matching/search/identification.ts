import type { Gallery } from '../../gallery/gallery.ts';
import type { Scope } from '../../gallery/scope.ts';
import {
  makeCandidateList,
  type CandidateList,
  type ListRules,
  type SampleScore,
  type Scores,
} from './candidate-list.ts';
import type { CandidateSource, CandidateWay, Proposal, SearchRun } from './candidate-source.ts';
import { explainScores, withExplanations } from './explain-scores.ts';
import { fpirOf, thresholdFor } from '../rates/fusion.ts';
import type { Probe } from './probe.ts';
import { compareSubjects, isNotable } from './sample-scores.ts';
import { SearchTasks } from './search-tasks.ts';
import { SearchView } from './search-view.ts';
import { STOP, StopSignal, type StopLevel } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** Tasks per thread that one search may have running or queued: one running, one ready. */
const TASKS_PER_THREAD = 2;

/** A 1:N search. */
export interface SearchRequest {
  readonly probes: readonly Probe[];
  readonly scope: Scope;
  readonly maxCandidates: number;
  readonly threshold: { readonly targetFpir: number } | { readonly maxLog10Fmr: number };
  /** The service's configured false positive identification rate. */
  readonly standardFpir: number;
  /** See ListRules. */
  readonly searchedWith?: ListRules['searchedWith'];
  /** Explain the finger scores of the candidates. */
  readonly explain?: boolean;
  /** Limits in time are compared with this instant, in ms since 1970; undefined: the start of the search. */
  readonly instantMs?: number | undefined;
  /** Deadline of the scan, in ms since 1970; undefined: none. The search then answers with what it has found. */
  readonly scanUntilMs?: number | undefined;
  /** Deadline of the comparison stage, in ms since 1970; undefined: none. */
  readonly compareUntilMs?: number | undefined;
  /** Undefined: only the complete list is wanted. */
  readonly firstHit?: FirstHit | undefined;
}

/** A wish for an early list of candidates. */
export interface FirstHit {
  /** A source to ask before the chosen one; undefined: none is quick enough. */
  readonly quick: (view: SearchView, chosen: CandidateSource) => CandidateSource | undefined;
  /**
   * Called at most once, with a list that has a strong candidate.
   * @returns whether it is enough: the search ends with it, and is not completed
   */
  readonly found: (early: SearchResult) => boolean;
}

export interface SearchResult extends CandidateList {
  readonly thresholdLog10: number;
  /** The FPIR of the threshold at this number of subjects. */
  readonly fpir: number;
  readonly mode: 'exact' | 'indexed';
  /** How an index proposed the subjects; undefined: mode `exact`. */
  readonly way: CandidateWay | undefined;
  /** The search was not completed: a stronger candidate may be missing. */
  readonly isEarly: boolean;
  readonly subjectsSearched: number;
  /** Limits in time were compared with this instant, in ms since 1970. */
  readonly instantMs: number;
  readonly galleryVersion: number;
  /** For each probe: the references that it was compared with. */
  readonly compared: readonly number[];
  /** For each probe: the references in scope that it can be compared with. */
  readonly inScope: readonly number[];
  /**
   * Share of the references in scope that was scanned; below 1 only when the time was up. Of an early list: the share of
   * the subjects in scope that was compared.
   */
  readonly searchedFraction: number;
  /** Share of the subjects in scope that was compared. */
  readonly penetration: number;
  /** See Proposal. */
  readonly faceDirections: string | undefined;
  /** Why the scope was empty; undefined where it was not. An empty list then says nothing about the subject. */
  readonly emptyScope: EmptyScope | undefined;
}

/** No subject is in scope, or none of them has a reference that any probe can be compared with. */
export type EmptyScope = 'no-subject' | 'no-reference';

/**
 * Finds the subjects whose references match the probes. A candidate source proposes subjects first. Every sample is
 * then compared with every comparable reference of these subjects: a subject found by one finger is judged by all
 * samples.
 * @param choose - chooses the source once the view is open
 * @param signal - aborts the search; the workers stop within a few milliseconds, and the promise settles after that
 * @param tasksInHand - see SearchTasks
 * @throws the signal's reason
 */
export async function identify(
  gallery: Gallery,
  choose: (view: SearchView) => CandidateSource,
  pool: WorkerPool,
  request: SearchRequest,
  signal: AbortSignal,
  tasksInHand = TASKS_PER_THREAD * pool.size,
): Promise<SearchResult> {
  signal.throwIfAborted();
  const stop = new StopSignal();
  const abandon = () => stop.raise(STOP.all);
  signal.addEventListener('abort', abandon, { once: true });
  const timers = [raiseAt(stop, STOP.scan, request.scanUntilMs), raiseAt(stop, STOP.compare, request.compareUntilMs)];
  const view = new SearchView(gallery, request.probes, request.scope, request.instantMs);
  try {
    const { probes, maxCandidates, firstHit } = request;
    const source = choose(view);
    const subjectsSearched = view.subjectsInScope;
    const standardThresholdLog10 = thresholdFor(request.standardFpir, subjectsSearched);
    const thresholdLog10 =
      'targetFpir' in request.threshold
        ? thresholdFor(request.threshold.targetFpir, subjectsSearched)
        : request.threshold.maxLog10Fmr;
    const { searchedWith } = request;
    const of = { subjectsSearched, instantMs: view.instantMs, searchedWith };
    const rules = { maxCandidates, thresholdLog10, standardThresholdLog10, ...of };
    const run: SearchRun = { view, tasks: new SearchTasks(tasksInHand), stop, signal };
    const conclude = (proposal: Proposal, isEarly: boolean) => concluded(request, proposal, rules, run, pool, isEarly);
    let early: SearchResult | undefined;
    const tell = async (proposal: Proposal) => {
      if (firstHit === undefined || early !== undefined || proposal.subjects.length === 0) return false;
      const list = await conclude(proposal, true);
      if (list.band !== 'strong-candidate') return false;
      early = list;
      return firstHit.found(list);
    };
    const quick = firstHit?.quick(view, source);
    if (quick !== undefined) {
      const proposal = await quick.propose(probes, rules, run);
      // In a small scope the quick source, too, has compared every subject.
      if (isComplete(proposal)) return await conclude(proposal, false);
      if ((await tell(proposal)) && early !== undefined) return early;
    }
    let isEnough = false;
    const proposal = await source.propose(probes, rules, {
      ...run,
      early: firstHit && (async (first) => (isEnough = await tell(first))),
    });
    return isEnough && early !== undefined ? early : await conclude(proposal, false);
  } finally {
    timers.forEach(clearTimeout);
    signal.removeEventListener('abort', abandon);
    view.close();
  }
}

/** Compares the proposed subjects with all samples, and lists the candidates among them. */
async function concluded(
  request: SearchRequest,
  proposal: Proposal,
  rules: ListRules,
  run: SearchRun,
  pool: WorkerPool,
  isEarly: boolean,
): Promise<SearchResult> {
  const { probes } = request;
  const { view, signal } = run;
  const { thresholdLog10, subjectsSearched } = rules;
  signal.throwIfAborted();
  const { scored, compared } =
    proposal.complete ?? (await compareSubjects(probes, proposal.subjects, run, pool, { known: proposal.known }));
  signal.throwIfAborted();
  const listNow = () => {
    const present = [...scored].filter(([subject, scores]) => isNotable(scores) && view.isPresent(subject));
    return makeCandidateList(
      present.map(([subject, scores]) => ({ subject, scores: inProbeOrder(probes, scores) })),
      rules,
    );
  };
  // The first stage has made most of these comparisons already. They are not counted twice.
  const made = proposal.compared.map((count, p) => Math.max(count, compared[p]));
  const list = request.explain === true ? await explained(listNow, view, pool) : listNow();
  signal.throwIfAborted();
  const searchedFraction = isEarly ? proposal.penetration : proposal.searchedFraction;
  return {
    ...list,
    thresholdLog10,
    fpir: fpirOf(thresholdLog10, subjectsSearched),
    mode: proposal.mode,
    way: proposal.way,
    isEarly,
    subjectsSearched,
    instantMs: view.instantMs,
    galleryVersion: view.version,
    compared: made,
    inScope: probes.map((probe, p) => (isComplete(proposal) ? made[p] : view.referenceCountFor(probe))),
    searchedFraction,
    penetration: proposal.penetration,
    faceDirections: proposal.faceDirections,
    emptyScope: emptyScope(subjectsSearched, made, searchedFraction),
  };
}

function isComplete({ mode, searchedFraction }: Proposal): boolean {
  return mode === 'exact' && searchedFraction === 1;
}

function emptyScope(subjects: number, compared: readonly number[], fraction: number): EmptyScope | undefined {
  if (subjects === 0) return 'no-subject';
  return fraction === 1 && compared.every((count) => count === 0) ? 'no-reference' : undefined;
}

/** @param at - milliseconds since 1970; undefined: never */
function raiseAt(stop: StopSignal, level: StopLevel, at = Infinity): NodeJS.Timeout | undefined {
  const wait = at - Date.now();
  if (wait <= 0) stop.raise(level);
  return wait > 0 && wait < 2 ** 31 ? setTimeout(() => stop.raise(level), wait) : undefined;
}

/**
 * Maximum of explained scores in an answer, best candidates first: 500 candidates of 32 views would be 50 megabytes.
 */
const MAX_EXPLAINED = 500;

/** The list with explanations. It is rebuilt after explaining: a subject expunged meanwhile must not appear. */
async function explained(listNow: () => CandidateList, view: SearchView, pool: WorkerPool): Promise<CandidateList> {
  const scored = listNow().candidates.flatMap(({ subject, scores }) =>
    scores.flatMap((score) => (score.probe.packed?.modality === 'finger' ? [{ subject, score }] : [])),
  );
  const wanted = scored.slice(0, MAX_EXPLAINED).map(({ subject, score }) => {
    const references = view.referencesFor(score.probe, subject);
    return { score, reference: references.find(({ referenceId }) => referenceId === score.referenceId) };
  });
  const explanations = await explainScores(pool, wanted);
  const list = listNow();
  const candidates = list.candidates.map((candidate) => ({
    ...candidate,
    scores: withExplanations(candidate.scores, explanations),
  }));
  return { ...list, candidates };
}

function inProbeOrder(probes: readonly Probe[], scores: Scores): SampleScore[] {
  return probes.flatMap((probe) => scores.get(probe) ?? []);
}
