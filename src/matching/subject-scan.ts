import PQueue from 'p-queue';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import type { SegmentRange } from '../gallery/partition.ts';
import { FLOOR_LOG10_FMR, type CandidateSource, type Proposal, type Scores } from './candidate-source.ts';
import type { ResembledSegment, ResembleResult } from './messages.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from './worker-pool.ts';

/**
 * References per task. A task should take a millisecond and more, or the messages cost more than the work, and only a
 * few, so that searches share the threads fairly.
 */
const COMPARED_FINGERS_PER_TASK = 512;
const READ_PER_TASK = 32_768;

/** How subjects are proposed. */
interface Way {
  readonly mode: 'exact' | 'indexed';
  /** Subjects carried into the second stage: enough that the end of a list is not decided by the first stage. */
  readonly smallestShortlist: number;
  readonly shortlistPerCandidate: number;
  /** Of all subjects. */
  readonly shortlistShare: number;
  /** A subject of whom less is known in all is not proposed. */
  readonly least: number;
}

/** Compares every reference. */
export const EXACT: Way = {
  mode: 'exact',
  smallestShortlist: 200,
  shortlistPerCandidate: 4,
  shortlistShare: 0,
  least: -1000 * FLOOR_LOG10_FMR,
};

/**
 * Reads the candidate vector of every finger, and compares every face. A subject whose fingers' vectors say little may
 * be missed: `bench search` tells how often, and the audit how often it happens in life.
 */
export const INDEXED: Way = {
  mode: 'indexed',
  smallestShortlist: 2000,
  shortlistPerCandidate: 4,
  shortlistShare: 0.003,
  least: -Infinity,
};

interface Part extends SegmentRange {
  readonly probe: Probe;
  readonly number: number;
  readonly offset: number;
}

/**
 * Reads all references in scope, adds up what they say of each subject, and proposes the subjects that are most like
 * the probes together: two fingers that are each among the first twentieth make a strong pair. What is added up is, in
 * an exact search, how rare the scores are among strangers.
 */
export class SubjectScan implements CandidateSource {
  readonly mode: 'exact' | 'indexed';
  readonly #way: Way;
  readonly #pool: WorkerPool;
  readonly #inHand: PQueue;
  /** Room for similarities that no search is using: fresh memory costs more than filling it. */
  #spare: SharedArrayBuffer[] = [];

  /** @param tasksInHand - tasks that wait for a thread at the same time; few: searches that come later need not wait long */
  constructor(way: Way, pool: WorkerPool, tasksInHand = Infinity) {
    this.mode = way.mode;
    this.#way = way;
    this.#pool = pool;
    this.#inHand = new PQueue({ concurrency: tasksInHand });
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    const { vector, finger, face, merge } = this.#pool.costs;
    const wanted = this.#wanted(view, 0);
    return probes.reduce((sum, probe) => {
      if (probe.packed === undefined) return sum;
      const references = view.rangesFor(probe).reduce((all, { end }) => all + end, 0);
      const compare = probe.packed.modality === 'finger' ? finger : face;
      const look = compare === finger && this.mode === 'indexed' ? vector : compare;
      const listed = Math.min(wanted, references);
      return sum + look.milliseconds(references) + merge.milliseconds(references) + compare.milliseconds(listed);
    }, 0);
  }

  async propose(
    probes: readonly Probe[],
    view: SearchView,
    maxCandidates: number,
    control: SharedArrayBuffer,
  ): Promise<Proposal> {
    const parts: Part[] = [];
    let end = 0;
    probes.forEach((probe, number) => {
      if (probe.packed === undefined) return;
      for (const range of view.rangesFor(probe)) {
        parts.push({ ...range, probe, number, offset: end });
        end += range.end;
      }
    });
    const similarities = this.#take(end);
    const results = await Promise.all(parts.map((part) => Promise.all(this.#resemble(part, similarities, control))));
    const described = parts.map(({ number, segment, end: count, offset }): ResembledSegment => {
      return { probe: number, segment: segment.handle, count, offset };
    });
    const { ordinals, scopes } = view;
    const wanted = this.#wanted(view, maxCandidates);
    const { least } = this.#way;
    const task = { kind: 'shortlist', parts: described, similarities, ordinals, wanted, least, scopes } as const;
    const { subjects: chosen } = await this.#pool.shortlist(task);
    // Only here: where a task failed, another one may still be writing.
    this.#spare.push(similarities);
    const subjects = new Map<SubjectEntry, Scores>();
    for (const ordinal of chosen) {
      const subject = view.subjectWithOrdinal(ordinal);
      if (subject !== undefined) subjects.set(subject, new Map());
    }
    const sumOf = (p: number, of: (result: ResembleResult) => number) =>
      parts.reduce((sum, { number }, i) => sum + (number === p ? results[i].reduce((all, r) => all + of(r), 0) : 0), 0);
    const read = probes.reduce((sum, _, p) => sum + sumOf(p, (result) => result.read), 0);
    return {
      subjects,
      searched: probes.map((_, p) => sumOf(p, ({ searched }) => searched)),
      searchedFraction: end === 0 ? 1 : read / end,
    };
  }

  /** Subjects that are compared. */
  #wanted(view: SearchView, maxCandidates: number): number {
    const { smallestShortlist, shortlistPerCandidate, shortlistShare } = this.#way;
    return Math.max(smallestShortlist, shortlistPerCandidate * maxCandidates, shortlistShare * view.ordinals);
  }

  #resemble(
    { probe, segment, end, offset }: Part,
    similarities: SharedArrayBuffer,
    control: SharedArrayBuffer,
  ): Promise<ResembleResult>[] {
    const { packed } = probe;
    if (packed === undefined) return [];
    const by = this.mode === 'exact' ? 'comparison' : 'vector';
    const step = packed.modality === 'finger' && by === 'comparison' ? COMPARED_FINGERS_PER_TASK : READ_PER_TASK;
    return Array.from({ length: Math.ceil(end / step) }, (_, task) =>
      this.#inHand.add(() =>
        this.#pool.resemble({
          kind: 'resemble',
          by,
          probe: packed,
          segment: segment.handle,
          from: task * step,
          to: Math.min(end, (task + 1) * step),
          similarities,
          offset,
          control,
        }),
      ),
    );
  }

  #take(references: number): SharedArrayBuffer {
    const fitting = this.#spare.findIndex(({ byteLength }) => byteLength >= 2 * references);
    if (fitting >= 0) return this.#spare.splice(fitting, 1)[0];
    // The gallery has grown: what was spared is too small for good.
    this.#spare = [];
    return new SharedArrayBuffer(2 * Math.ceil(references * 1.25));
  }
}
