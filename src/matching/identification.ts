import type { ReferenceLocation, SubjectEntry, SubjectSegment } from '../gallery/catalogue.ts';
import type { Gallery } from '../gallery/gallery.ts';
import {
  fuse,
  makeCandidateList,
  sampleScore,
  traitOf,
  type CandidateList,
  type SampleScore,
} from './candidate-list.ts';
import type { CandidateSource, Proposal } from './candidate-source.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import { explainScores, withExplanations } from './explain-scores.ts';
import { fpirOf, thresholdFor } from './fusion.ts';
import { REMOVED_SCORE } from './kernels.ts';
import type { Probe } from './probe.ts';
import { SearchView } from './search-view.ts';
import type { WorkerPool } from './worker-pool.ts';

/** A 1:N search. */
export interface SearchRequest {
  readonly probes: readonly Probe[];
  /** Galleries to search; empty: all. */
  readonly galleries: ReadonlySet<string>;
  readonly maxCandidates: number;
  readonly threshold: { readonly targetFpir: number } | { readonly maxLog10Fmr: number };
  /** False positive identification rate that the service is set to. */
  readonly standardFpir: number;
  /** Tell what the finger scores of the candidates come from. */
  readonly explain?: boolean;
}

export interface SearchResult extends CandidateList {
  readonly thresholdLog10: number;
  /** The rate that the threshold stands for at this number of subjects. */
  readonly fpir: number;
  readonly mode: 'exact' | 'indexed';
  readonly subjectsSearched: number;
  readonly galleryVersion: number;
  /** For each probe: references it was compared with in the first stage. */
  readonly compared: readonly number[];
}

/** Subjects carried into the second stage: enough that the end of a list is not decided by the first stage. */
const SMALLEST_SHORTLIST = 200;
const SHORTLIST_PER_CANDIDATE = 4;

type Scores = Map<Probe, SampleScore>;

/**
 * Finds the subjects whom the probes resemble. First the candidate source proposes references for each probe; the
 * proposals are merged by subject; then every sample is compared with every reference of the shortlisted subjects, so
 * that a subject found by one finger is judged by all samples.
 * @param signal - aborts the search; the workers stop within a few milliseconds
 * @throws the signal's reason
 */
export async function identify(
  gallery: Gallery,
  source: CandidateSource,
  pool: WorkerPool,
  request: SearchRequest,
  signal: AbortSignal,
): Promise<SearchResult> {
  signal.throwIfAborted();
  const control = new SharedArrayBuffer(4);
  const stop = () => void Atomics.store(new Int32Array(control), 0, 1);
  signal.addEventListener('abort', stop, { once: true });
  const view = new SearchView(gallery, request.probes, request.galleries, Date.now());
  try {
    const proposals = await Promise.all(request.probes.map((probe) => source.propose(probe, view, control)));
    signal.throwIfAborted();
    const scored = mergeBySubject(request.probes, proposals, view);
    const shortlist = takeBest(scored, Math.max(SMALLEST_SHORTLIST, SHORTLIST_PER_CANDIDATE * request.maxCandidates));
    await compareMissing(request.probes, shortlist, view, pool);
    signal.throwIfAborted();
    const subjectsSearched = view.subjectsInScope;
    const standardThresholdLog10 = thresholdFor(request.standardFpir, subjectsSearched);
    const thresholdLog10 =
      'targetFpir' in request.threshold
        ? thresholdFor(request.threshold.targetFpir, subjectsSearched)
        : request.threshold.maxLog10Fmr;
    const rules = { maxCandidates: request.maxCandidates, thresholdLog10, standardThresholdLog10, subjectsSearched };
    const listNow = () => {
      const now = Date.now();
      const present = [...shortlist].filter(([subject]) => view.isPresent(subject, now));
      return makeCandidateList(
        present.map(([subject, scores]) => ({ subject, scores: inProbeOrder(request.probes, scores) })),
        rules,
      );
    };
    const list = request.explain === true ? await explained(listNow, view, pool) : listNow();
    signal.throwIfAborted();
    return {
      ...list,
      thresholdLog10,
      fpir: fpirOf(thresholdLog10, subjectsSearched),
      mode: source.mode,
      subjectsSearched,
      galleryVersion: view.version,
      compared: proposals.map(({ compared }) => compared),
    };
  } finally {
    signal.removeEventListener('abort', stop);
    view.close();
  }
}

/** The list with explanations, made anew afterwards: a subject that was expunged meanwhile is not shown. */
async function explained(listNow: () => CandidateList, view: SearchView, pool: WorkerPool): Promise<CandidateList> {
  const wanted = listNow().candidates.flatMap(({ subject, scores }) =>
    scores.map((score) => {
      const references = view.referencesFor(score.probe, subject);
      return { score, reference: references.find(({ referenceId }) => referenceId === score.referenceId) };
    }),
  );
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

/** The best score of each probe against each subject that was proposed. */
function mergeBySubject(
  probes: readonly Probe[],
  proposals: readonly Proposal[],
  view: SearchView,
): Map<SubjectEntry, Scores> {
  const merged = new Map<SubjectEntry, Scores>();
  probes.forEach((probe, p) => {
    for (const { segment, index, score } of proposals[p]?.hits ?? []) {
      const subject = view.ownerOf(segment, index);
      if (subject === undefined) continue;
      let scores = merged.get(subject);
      if (scores === undefined) merged.set(subject, (scores = new Map<Probe, SampleScore>()));
      const references = view.referencesFor(probe, subject);
      const position = positionOf(references.find((found) => found.segment === segment && found.index === index));
      keepBest(scores, probe, segment.referenceIdAt(index), position, score, Math.max(1, references.length));
    }
  });
  return merged;
}

/** The finger position of a reference; 0 for a face, or when it is not known. */
function positionOf(location: ReferenceLocation | undefined): FingerPosition {
  return location?.partition.modality === 'finger' ? location.partition.position : 0;
}

/** Keeps the higher score; of equal ones the lower reference id, so that the order of the work does not matter. */
function keepBest(
  scores: Scores,
  probe: Probe,
  referenceId: string,
  position: FingerPosition,
  score: number,
  comparisons: number,
): void {
  const best = scores.get(probe);
  const better =
    best === undefined ||
    score > best.score ||
    (score === best.score && best.referenceId !== undefined && referenceId < best.referenceId);
  if (!better) return;
  const reference = { referenceId, trait: traitOf(probe, position, referenceId) };
  scores.set(probe, sampleScore(probe, reference, score, comparisons));
}

function takeBest(scored: Map<SubjectEntry, Scores>, size: number): Map<SubjectEntry, Scores> {
  if (scored.size <= size) return scored;
  const ranked = [...scored].map(([subject, scores]) => ({ subject, scores, log10: fuse([...scores.values()]) }));
  ranked.sort((a, b) => a.log10 - b.log10 || (a.subject.subjectId < b.subject.subjectId ? -1 : 1));
  return new Map(ranked.slice(0, size).map(({ subject, scores }) => [subject, scores]));
}

/** Compares each probe with the shortlisted subjects that the first stage did not report for it. */
async function compareMissing(
  probes: readonly Probe[],
  shortlist: Map<SubjectEntry, Scores>,
  view: SearchView,
  pool: WorkerPool,
): Promise<void> {
  if (probes.length < 2) return;
  interface Pair {
    readonly scores: Scores;
    readonly referenceId: string;
    readonly position: FingerPosition;
    readonly index: number;
    readonly comparisons: number;
  }
  const work: Promise<void>[] = [];
  for (const probe of probes) {
    const { packed } = probe;
    if (packed === undefined) continue;
    const bySegment = new Map<SubjectSegment, Pair[]>();
    for (const [subject, scores] of shortlist) {
      if (scores.has(probe)) continue;
      const references = view.referencesFor(probe, subject);
      for (const location of references) {
        const { segment, index, referenceId } = location;
        const pairs = bySegment.get(segment) ?? [];
        pairs.push({ scores, referenceId, position: positionOf(location), index, comparisons: references.length });
        bySegment.set(segment, pairs);
      }
    }
    for (const [segment, pairs] of bySegment) {
      const indices = Uint32Array.from(pairs, ({ index }) => index);
      work.push(
        pool.compare({ kind: 'compare', probe: packed, segment: segment.handle, indices }).then(({ scores }) => {
          pairs.forEach((pair, i) => {
            const score = scores[i];
            if (score === REMOVED_SCORE) return;
            keepBest(pair.scores, probe, pair.referenceId, pair.position, score, pair.comparisons);
          });
        }),
      );
    }
  }
  await Promise.all(work);
}
