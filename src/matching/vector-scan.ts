import type { SubjectEntry } from '../gallery/catalogue.ts';
import type { SegmentRange } from '../gallery/partition.ts';
import type { CandidateSource, Proposal, Scores } from './candidate-source.ts';
import type { ResembledSegment } from './messages.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from './worker-pool.ts';

/** References per task: about a millisecond of work. */
const REFERENCES_PER_TASK = 65_536;

/** Subjects that are compared: a share of all, and in small galleries more; `bench search` tells what is missed. */
const SMALLEST_SHORTLIST = 2000;
const SHORTLIST_PER_CANDIDATE = 4;
const SHORTLIST_SHARE = 0.003;

interface Part extends SegmentRange {
  readonly probe: Probe;
  readonly number: number;
  readonly offset: number;
}

/**
 * Reads the candidate vector of every finger and every face in scope, adds what they say of each subject, and proposes
 * the subjects that are most like the probes together: two fingers that are each among the first twentieth make a strong
 * pair. A subject whose fingers' vectors say little may be missed.
 */
export class VectorScan implements CandidateSource {
  readonly mode = 'indexed';
  readonly #pool: WorkerPool;
  /** Room for similarities that no search is using: fresh memory costs more than filling it. */
  #spare: SharedArrayBuffer[] = [];

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    const { vector, finger, face, merge } = this.#pool.costs;
    const wanted = this.#wanted(view, 0);
    return probes.reduce((sum, { packed, template }, p) => {
      if (packed === undefined) return sum;
      const references = view.rangesFor(probes[p]).reduce((all, { end }) => all + end, 0);
      const [look, compare] = template.modality === 'finger' ? [vector, finger] : [face, face];
      return sum + look.milliseconds(references) + merge.milliseconds(references) + compare.milliseconds(wanted);
    }, 0);
  }

  async propose(
    probes: readonly Probe[],
    view: SearchView,
    maxCandidates: number,
    control: SharedArrayBuffer,
  ): Promise<Proposal> {
    const wanted = this.#wanted(view, maxCandidates);
    const parts: Part[] = [];
    let end = 0;
    probes.forEach((probe, number) => {
      if (probe.packed === undefined) return;
      for (const range of view.rangesFor(probe)) {
        parts.push({ ...range, probe, number, offset: end });
        end += range.end;
      }
    });
    const similarities = this.#take(end * 2);
    await Promise.all(parts.flatMap((part) => this.#resemble(part, similarities, control)));
    const described = parts.map(({ number, segment, end: count, offset }): ResembledSegment => {
      return { probe: number, segment: segment.handle, count, offset };
    });
    const { ordinals, scopes } = view;
    const stopped = Atomics.load(new Int32Array(control), 0) !== 0;
    const task = { kind: 'shortlist', parts: described, similarities, ordinals, wanted, scopes } as const;
    const chosen = stopped ? [] : (await this.#pool.shortlist(task)).subjects;
    // Only here: where a task failed, another one may still be writing.
    this.#spare.push(similarities);
    const subjects = new Map<SubjectEntry, Scores>();
    for (const ordinal of chosen) {
      const subject = view.subjectWithOrdinal(ordinal);
      if (subject !== undefined) subjects.set(subject, new Map());
    }
    return {
      subjects,
      searched: probes.map((_, p) =>
        parts.reduce((sum, { number, segment }) => sum + (number === p ? segment.liveCount : 0), 0),
      ),
    };
  }

  /** Subjects that are compared. */
  #wanted(view: SearchView, maxCandidates: number): number {
    return Math.max(SMALLEST_SHORTLIST, SHORTLIST_PER_CANDIDATE * maxCandidates, SHORTLIST_SHARE * view.ordinals);
  }

  #resemble({ probe, segment, end, offset }: Part, similarities: SharedArrayBuffer, control: SharedArrayBuffer) {
    const { packed } = probe;
    if (packed === undefined) return [];
    return Array.from({ length: Math.ceil(end / REFERENCES_PER_TASK) }, (_, task) =>
      this.#pool.resemble({
        kind: 'resemble',
        probe: packed,
        segment: segment.handle,
        from: task * REFERENCES_PER_TASK,
        to: Math.min(end, (task + 1) * REFERENCES_PER_TASK),
        similarities,
        offset,
        control,
      }),
    );
  }

  #take(bytes: number): SharedArrayBuffer {
    const fitting = this.#spare.findIndex(({ byteLength }) => byteLength >= bytes);
    if (fitting >= 0) return this.#spare.splice(fitting, 1)[0];
    // The gallery has grown: what was spared is too small for good.
    this.#spare = [];
    return new SharedArrayBuffer(Math.ceil(bytes * 1.25));
  }
}
