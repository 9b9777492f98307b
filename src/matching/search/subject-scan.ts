import { countReferences, type SegmentRange } from '../../gallery/partition.ts';
import { instanceNameOf } from './candidate-list.ts';
import type { CandidateSource, Proposal, SearchRun, SearchTarget } from './candidate-source.ts';
import { comparisons, COMPARISONS_PER_TASK } from './comparisons.ts';
import { REMOVED_SCORE, REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import type { ScannedSegment, ScanResult, ShortlistResult, ShortlistTask } from '../workers/messages.ts';
import type { FaceKind } from '../kernels/packed-probe.ts';
import type { Probe } from './probe.ts';
import { minSum } from '../workers/shortlister.ts';
import { isStopped, type StopMark } from '../workers/stop-signal.ts';
import type { SearchView } from './search-view.ts';
import { InstanceRates } from './instance-rates.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/**
 * Vectors, and faces, per task. A task should take at least a millisecond, or the messages cost more than the work, and
 * at most a few, so that searches share the threads fairly.
 */
const READ_PER_TASK = 65_536;

/** How subjects are proposed. */
export interface SearchStrategy {
  readonly mode: 'exact' | 'indexed';
  /** Minimum of subjects for the second stage: enough that the first stage does not decide the end of the list. */
  readonly minShortlist: number;
  readonly shortlistPerCandidate: number;
  /** Share of all subjects. */
  readonly shortlistShare: number;
}

/** Compares every reference. */
export const EXACT: SearchStrategy = {
  mode: 'exact',
  minShortlist: 200,
  shortlistPerCandidate: 4,
  shortlistShare: 0,
};

/**
 * Scans the candidate vector of every finger, and compares every face. A mate with poor vectors may be missed:
 * `bench search` measures how often, and the audit measures it in production.
 */
export const INDEXED: SearchStrategy = {
  mode: 'indexed',
  minShortlist: 2000,
  shortlistPerCandidate: 4,
  shortlistShare: 0.006,
};

/** Buffers kept for later searches; as many as searches usually run at a time. */
const MAX_SPARE = 4;
const NOTHING: ScanResult = { read: 0, passed: 0, searched: 0, busyMs: 0 };

interface Part extends SegmentRange {
  readonly probe: Probe;
  readonly number: number;
  readonly offset: number;
}

/**
 * Scans all references in scope, fuses the similarities of each subject, and proposes the subjects with the highest
 * ranks. Fusion matters: two fingers that are each in the top twentieth make a strong pair.
 */
export class SubjectScan implements CandidateSource {
  readonly mode: 'exact' | 'indexed';
  readonly #strategy: SearchStrategy;
  readonly #pool: WorkerPool;
  /** Similarity buffers not in use: allocating memory costs more than filling it. */
  readonly #spare: SharedArrayBuffer[] = [];

  constructor(strategy: SearchStrategy, pool: WorkerPool) {
    this.mode = strategy.mode;
    this.#strategy = strategy;
    this.#pool = pool;
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    const { vector, finger, face, merge } = this.#pool.costs;
    const wanted = this.#wanted(view, 0);
    return probes.reduce((sum, probe) => {
      if (probe.packed === undefined) return sum;
      const all = countReferences(view.rangesFor(probe));
      const references = view.filter === undefined ? all : all * view.scopeShare;
      const compare = probe.packed.modality === 'finger' ? finger : face;
      const look = compare === finger && this.mode === 'indexed' ? vector : compare;
      const adding = merge.milliseconds(all + view.ordinals + (view.filter === undefined ? 0 : all));
      return sum + look.milliseconds(references) + adding + compare.milliseconds(Math.min(wanted, references));
    }, 0);
  }

  async propose(
    probes: readonly Probe[],
    { maxCandidates, thresholdLog10 }: SearchTarget,
    run: SearchRun,
  ): Promise<Proposal> {
    const { view, tasks, stop, signal } = run;
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
    const searched = probes.map(() => 0);
    let read = 0;
    const jobs = parts.flatMap((part) =>
      this.#scanTasks(part, similarities, view, stop.scan).map((work) => async () => {
        const result = await work();
        read += result.read;
        searched[part.number] += result.searched;
      }),
    );
    await tasks.all(jobs);
    signal.throwIfAborted();
    const { ordinals, subjectsInScope } = view;
    const described = describe(parts);
    const wanted = this.#wanted(view, maxCandidates);
    const scanned = end === 0 ? 1 : read / end;
    // After an incomplete scan, the second stage may find the rest of the evidence in what was not scanned.
    const least = minSum(scanned === 1 ? thresholdLog10 : 0);
    const choice = { wanted, by: this.#by, least, ordinals };
    const task: ShortlistTask = { kind: 'shortlist', parts: described, similarities, ...choice };
    const handles = parts.map(({ segment }) => segment.handle);
    const [chosen] = await tasks.all([() => this.#pool.shortlist(task, handles)]);
    // Not in a finally: after a failed task, its thread may still be writing.
    this.#giveBack(similarities);
    const subjectsOf = (list: Iterable<number>) =>
      Array.from(list, (ordinal) => view.subjectWithOrdinal(ordinal)).filter((subject) => subject !== undefined);
    if (this.mode === 'exact') {
      const subjects = subjectsOf(chosen.subjects);
      return { subjects, compared: searched, penetration: scanned, mode: 'exact', searchedFraction: scanned };
    }
    const { rates, compared, share } = await this.#compare(probes, parts, described, chosen, run);
    const best = rates.best(listLength(EXACT, maxCandidates), share === 1 ? least : minSum(0));
    // Fewer than wanted: there are no others, as in a small gallery in a large store.
    const mode = chosen.subjects.length < wanted ? 'exact' : 'indexed';
    const searchedFraction = scanned * share;
    const penetration =
      mode === 'exact' ? searchedFraction : share * (chosen.subjects.length / Math.max(1, subjectsInScope));
    return { subjects: subjectsOf(best), compared, penetration, mode, searchedFraction };
  }

  /**
   * Compares the references that the vectors have chosen.
   * @returns the rates; for each probe the comparisons made; the share of the planned comparisons that was made
   */
  async #compare(
    probes: readonly Probe[],
    parts: readonly Part[],
    described: readonly ScannedSegment[],
    { order }: ShortlistResult,
    { tasks, stop, signal }: SearchRun,
  ): Promise<{ readonly rates: InstanceRates; readonly compared: number[]; readonly share: number }> {
    const compared = probes.map(() => 0);
    const rates = new InstanceRates();
    const jobs = (references: readonly Uint32Array[]) =>
      probes.flatMap(({ packed }, number) => {
        if (packed === undefined) return [];
        const ofProbe = parts.flatMap((part, p) =>
          part.number === number
            ? [{ segment: part.segment, indices: references[p], instance: described[p].instance }]
            : [],
        );
        const owners = joined(ofProbe.map(({ segment, indices }) => segment.ownersOf(indices)));
        const instances = joined(
          ofProbe.map(({ indices, instance }) => new Uint32Array(indices.length).fill(instance)),
        );
        const table = this.#pool.calibrations.rateTable(packed);
        return comparisons(this.#pool, packed, ofProbe, stop.compare, ({ compared: count, scores }, first) => {
          compared[number] += count;
          // No closure per score: there are thousands, and the main thread serves all searches.
          for (let k = 0; k < scores.length; k++)
            if (scores[k] !== REMOVED_SCORE) rates.note(owners[first + k], instances[first + k], table.at(scores[k]));
        });
      });
    await tasks.all(jobs(order.first));
    const promising = order.rest.map((references, p) => {
      const owners = parts[p].segment.ownersOf(references);
      return references.filter((_, k) => rates.isNotable(owners[k]));
    });
    await tasks.all(jobs(promising));
    signal.throwIfAborted();
    const meant = [...order.first, ...promising].reduce((sum, { length }) => sum + length, 0);
    const share = meant === 0 ? 1 : compared.reduce((sum, count) => sum + count, 0) / meant;
    return { rates, compared, share };
  }

  get #by(): 'comparison' | 'vector' {
    return this.mode === 'exact' ? 'comparison' : 'vector';
  }

  /** Number of subjects to be compared. */
  #wanted(view: SearchView, maxCandidates: number): number {
    return Math.max(listLength(this.#strategy, maxCandidates), this.#strategy.shortlistShare * view.ordinals);
  }

  #scanTasks(
    { probe, segment, end, offset }: Part,
    similarities: SharedArrayBuffer,
    { filter, scopeShare }: SearchView,
    stop: StopMark,
  ): (() => Promise<ScanResult>)[] {
    const { packed } = probe;
    const by = this.#by;
    if (packed === undefined) return [];
    const isCompared = packed.modality === 'finger' && by === 'comparison';
    const step = isCompared ? taskLength(filter === undefined ? 1 : scopeShare) : READ_PER_TASK;
    return Array.from({ length: Math.ceil(end / step) }, (_, task) => {
      const [from, to] = [task * step, Math.min(end, (task + 1) * step)];
      return async () => {
        if (isStopped(stop)) {
          new Int16Array(similarities, (offset + from) * 2, to - from).fill(REMOVED_SIMILARITY);
          return NOTHING;
        }
        const { handle } = segment;
        const range = { segment: handle.id, from, to, similarities, offset, filter, stop };
        return this.#pool.scan({ kind: 'scan', by, probe: packed, ...range }, handle);
      };
    });
  }

  /** The smallest spare buffer that is large enough. */
  #take(references: number): SharedArrayBuffer {
    const bytes = 2 * references;
    const fitting = this.#spare.findIndex(({ byteLength }) => byteLength >= bytes);
    if (fitting >= 0) return this.#spare.splice(fitting, 1)[0];
    // An eighth more: a growing gallery must not outgrow every buffer at once.
    return new SharedArrayBuffer(2 * Math.ceil(references * 1.125));
  }

  #giveBack(buffer: SharedArrayBuffer): void {
    this.#spare.push(buffer);
    this.#spare.sort((a, b) => a.byteLength - b.byteLength);
    // The largest is dropped: one large search must not hold its memory for ever.
    if (this.#spare.length > MAX_SPARE) this.#spare.pop();
  }
}

/** References per comparison task, where a share of them is in scope. */
function taskLength(share: number): number {
  return Math.min(
    READ_PER_TASK,
    Math.ceil(COMPARISONS_PER_TASK / Math.max(share, COMPARISONS_PER_TASK / READ_PER_TASK)),
  );
}

function joined(arrays: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const array of arrays) {
    all.set(array, end);
    end += array.length;
  }
  return all;
}

function listLength({ minShortlist, shortlistPerCandidate }: SearchStrategy, maxCandidates: number): number {
  return Math.max(minShortlist, shortlistPerCandidate * maxCandidates);
}

function kindOf({ modelId, dimension }: FaceKind): FaceKind {
  return { modelId, dimension };
}

/**
 * Probes of one finger, or of the face, share an instance. Each finger of unknown position is an instance of its own.
 */
function describe(parts: readonly Part[]): ScannedSegment[] {
  const instances = new Map<string, number>();
  return parts.map(({ probe, number, segment, end: count, offset }) => {
    const name = instanceNameOf(probe, 0, String(number));
    const instance = instances.get(name) ?? instances.size;
    instances.set(name, instance);
    const face = probe.packed?.modality === 'face' ? kindOf(probe.packed) : undefined;
    return { instance, segment: segment.handle.id, count, offset, face };
  });
}
