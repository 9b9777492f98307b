import PQueue from 'p-queue';
import type { SubjectEntry, SubjectSegment } from '../gallery/catalogue.ts';
import { fuse, type SampleScore } from './candidate-list.ts';
import type { CandidateSource, Proposal, Scores } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import { costOf } from './search-costs.ts';
import { keepBest, positionOf } from './sample-scores.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from './worker-pool.ts';

/**
 * References per task. A task should take a millisecond and more, or the messages cost more than the work, and only a
 * few, so that searches share the threads fairly.
 */
const FINGERS_PER_TASK = 512;
const FACES_PER_TASK = 32_768;

/** Subjects carried into the second stage: enough that the end of a list is not decided by the first stage. */
const SMALLEST_SHORTLIST = 200;
const SHORTLIST_PER_CANDIDATE = 4;

/** Scores that are more common than this among different people are not carried to the second stage. */
export const FLOOR_LOG10_FMR = -1;

/** A reference that a probe resembles. */
interface Hit {
  readonly segment: SubjectSegment;
  readonly index: number;
  readonly score: number;
}

interface Scan {
  readonly hits: readonly Hit[];
  readonly compared: number;
}

/** Compares each probe with every reference in scope. */
export class ExactScan implements CandidateSource {
  readonly mode = 'exact';
  readonly #pool: WorkerPool;
  readonly #inHand: PQueue;

  /** @param tasksInHand - tasks that wait for a thread at the same time; few: searches that come later need not wait long */
  constructor(pool: WorkerPool, tasksInHand = Infinity) {
    this.#pool = pool;
    this.#inHand = new PQueue({ concurrency: tasksInHand });
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    return probes.reduce((sum, probe) => {
      const references = view.rangesFor(probe).reduce((all, { end }) => all + end, 0);
      return sum + costOf(this.#pool.costs, probe.template.modality).milliseconds(references);
    }, 0);
  }

  async propose(
    probes: readonly Probe[],
    view: SearchView,
    maxCandidates: number,
    control: SharedArrayBuffer,
  ): Promise<Proposal> {
    const wanted = Math.max(SMALLEST_SHORTLIST, SHORTLIST_PER_CANDIDATE * maxCandidates);
    const scans = await Promise.all(probes.map((probe) => this.#scan(probe, view, control)));
    return {
      subjects: takeBest(mergeBySubject(probes, scans, view), wanted),
      searched: scans.map(({ compared }) => compared),
    };
  }

  async #scan(probe: Probe, view: SearchView, control: SharedArrayBuffer): Promise<Scan> {
    const { packed } = probe;
    if (packed === undefined) return { hits: [], compared: 0 };
    const floor = probe.calibration.scoreAt(FLOOR_LOG10_FMR);
    const step = packed.modality === 'finger' ? FINGERS_PER_TASK : FACES_PER_TASK;
    const tasks = view.rangesFor(probe).flatMap(({ segment, end }) =>
      Array.from({ length: Math.ceil(end / step) }, (_, task) => ({
        segment,
        from: task * step,
        to: Math.min(end, (task + 1) * step),
      })),
    );
    const results = await Promise.all(
      tasks.map(async ({ segment, from, to }) => {
        const task = { kind: 'scan', probe: packed, segment: segment.handle, from, to, floor, control } as const;
        return { segment, ...(await this.#inHand.add(() => this.#pool.scan(task))) };
      }),
    );
    const hits: Hit[] = [];
    let compared = 0;
    for (const { segment, indices, scores, compared: inRange } of results) {
      compared += inRange;
      indices.forEach((index, i) => hits.push({ segment, index, score: scores[i] }));
    }
    return { hits, compared };
  }
}

/** The best score of each probe against each subject that was hit. */
function mergeBySubject(probes: readonly Probe[], scans: readonly Scan[], view: SearchView): Map<SubjectEntry, Scores> {
  const merged = new Map<SubjectEntry, Scores>();
  probes.forEach((probe, p) => {
    for (const { segment, index, score } of scans[p].hits) {
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

function takeBest(scored: Map<SubjectEntry, Scores>, size: number): Map<SubjectEntry, Scores> {
  if (scored.size <= size) return scored;
  const ranked = [...scored].map(([subject, scores]) => ({ subject, scores, log10: fuse([...scores.values()]) }));
  ranked.sort((a, b) => a.log10 - b.log10 || (a.subject.subjectId < b.subject.subjectId ? -1 : 1));
  return new Map(ranked.slice(0, size).map(({ subject, scores }) => [subject, scores]));
}
