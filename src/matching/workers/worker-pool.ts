import { extname } from 'node:path';
import { Piscina } from 'piscina';
import { Failure } from '../../failure.ts';
import { SHIPPED_CALIBRATIONS, type Calibrations } from '../rates/calibrations.ts';
import { MAX_BATCH_PROBES } from '../kernels/batch-kernels.ts';
import type { CodeTables } from '../kernels/code-tables.ts';
import { CENTROIDS } from '../model/finger-vector-model.ts';
import { ListLengths } from './list-lengths.ts';
import { namesOf, ScanBatches } from './scan-batches.ts';
import { SearchCosts } from './search-costs.ts';
import { inLaneOf, FairTaskQueue } from './fair-task-queue.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import {
  SEGMENT_UNKNOWN,
  type ChooseResult,
  type ChooseTask,
  type CodeScan,
  type CompareResult,
  type CompareTask,
  type CrossCompareResult,
  type CrossCompareTask,
  type EncodeFacesResult,
  type EncodeFacesTask,
  type ExplainResult,
  type ExplainTask,
  type FaceScan,
  type PlaceResult,
  type PlaceTask,
  type ScanCodesResult,
  type ScanFacesResult,
  type ScanResult,
  type ScanTask,
  type ShortlistResult,
  type ShortlistTask,
  type WorkerMessage,
  type TaskKind,
  type TaskMap,
} from './messages.ts';

/** Fingers encoded in one task: a request fits in one, an import spreads over all threads. */
const ENCODED_PER_TASK = 64;

/**
 * The worker threads, with typed tasks. Threads are started once and kept: a thread that ends does not return its
 * scratch slots in the segments.
 */
export class WorkerPool {
  readonly #pool: Piscina<WorkerMessage, unknown>;
  readonly #codeBatches: ScanBatches<CodeScan, ScanCodesResult>;
  readonly #faceBatches: ScanBatches<FaceScan, ScanFacesResult>;
  readonly size: number;
  readonly calibrations: Calibrations;
  /** Maximum number of probes that one task scans for. */
  readonly maxBatchProbes: number;
  /** Measured costs of the threads' work on this machine. */
  readonly costs = new SearchCosts();
  /** Measured lengths of the lists that indexed searches make. */
  readonly lengths = new ListLengths();

  /**
   * @param size - threads, at least 1
   * @param calibrations - also used by the threads
   * @param maxBatchProbes - 1 to MAX_BATCH_PROBES; 1: every probe is scanned for alone, for measurements
   */
  constructor(
    size: number,
    calibrations: Calibrations = SHIPPED_CALIBRATIONS,
    maxBatchProbes: number = MAX_BATCH_PROBES,
  ) {
    this.size = size;
    this.calibrations = calibrations;
    this.maxBatchProbes = maxBatchProbes;
    this.#codeBatches = new ScanBatches(maxBatchProbes);
    this.#faceBatches = new ScanBatches(maxBatchProbes);
    this.#pool = new Piscina({
      // The same file with this module's extension: .ts in the sources, .js in the build.
      filename: new URL(`./worker${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: size,
      maxThreads: size,
      idleTimeout: Infinity,
      // Tasks queued inside a thread would escape the order of FairTaskQueue.
      concurrentTasksPerWorker: 1,
      taskQueue: new FairTaskQueue(),
      // A task for which no thread was free returns to the head of the queue, not to its end.
      stricterFIFO: true,
      workerData: calibrations.tables,
      recordTiming: false,
    });
  }

  /**
   * Faces without a filter are scanned together with those of other searches that wait at the same time.
   * @param segment - handle of the segment that the task reads
   */
  async scan(task: ScanTask, segment: SegmentHandle): Promise<ScanResult> {
    if (task.probe.modality === 'face' && task.filter === undefined) return this.#scanFace(task, segment);
    const result = await this.#run(task, [segment]);
    const { finger, face } = this.costs;
    // If the filter passes little, filtering dominates the time and would distort the mean.
    if (2 * result.passed >= result.read)
      (task.probe.modality === 'finger' ? finger : face).note(result.busyMs, result.passed);
    return result;
  }

  async #scanFace(task: ScanTask, segment: SegmentHandle): Promise<ScanResult> {
    const { probe, from, to, similarities, offset, stop } = task;
    const scan: FaceScan = { probe, to, similarities, offset, stop };
    const { result, first, size } = await this.#faceBatches.run(namesOf('faces', [task]), [scan], (scans, onWaiting) =>
      this.#run({ kind: 'scan-faces', segment: segment.id, from, scans }, [segment], onWaiting),
    );
    const [read, searched] = [result.read[first], result.present[first]];
    // Costs are those of a search alone: plans must not depend on how many searches wait.
    if (size === 1) this.costs.face.note(result.busyMs, read);
    return { read, passed: read, searched, busyMs: result.busyMs / size };
  }

  /**
   * Scans codes, together with searches that wait at the same time for the same references.
   * @param scans - 1 to `maxBatchProbes`, see ScanCodesTask
   * @param segments - handles of the segments that the task reads, here and below
   */
  async scanCodes(scans: readonly CodeScan[], segments: readonly SegmentHandle[]): Promise<ScanCodesResult> {
    const { result, first, size } = await this.#codeBatches.run(
      namesOf('codes', scans[0].pieces),
      scans,
      (all, onWaiting) => this.#run({ kind: 'scan-codes', scans: all }, segments, onWaiting),
    );
    const read = result.read.slice(first, first + scans.length);
    if (size === 1) this.costs.code.note(result.busyMs, codeUnits(read[0], scans[0].tables));
    return { read, busyMs: (result.busyMs * scans.length) / size };
  }

  /** Names, see namesOf, of the references for which a scan would be served by a task that is waiting already. */
  joinable(): string[] {
    return [...this.#codeBatches.joinable(), ...this.#faceBatches.joinable()];
  }

  async choose(task: ChooseTask, segments: readonly SegmentHandle[]): Promise<ChooseResult> {
    const result = await this.#run(task, segments);
    const { reranked } = result;
    this.costs.choose.note(result.busyMs - reranked.busyMs, valuesRead(task));
    this.costs.rerank.note(reranked.busyMs, reranked.references);
    return result;
  }

  place(task: PlaceTask, segments: readonly SegmentHandle[]): Promise<PlaceResult> {
    return this.#run(task, segments);
  }

  async shortlist(task: ShortlistTask, segments: readonly SegmentHandle[]): Promise<ShortlistResult> {
    const result = await this.#run(task, segments);
    this.costs.merge.note(result.busyMs, valuesRead(task));
    return result;
  }

  async compare(task: CompareTask, segments: readonly SegmentHandle[]): Promise<CompareResult> {
    const result = await this.#run(task, segments);
    if (task.probe.modality === 'finger') this.costs.finger.note(result.busyMs, result.compared);
    return result;
  }

  crossCompare(task: CrossCompareTask): Promise<CrossCompareResult> {
    return this.#run(task, []);
  }

  explain(task: ExplainTask, segments: readonly SegmentHandle[]): Promise<ExplainResult> {
    return this.#run(task, segments);
  }

  encodeFaces(task: EncodeFacesTask, segment: SegmentHandle): Promise<EncodeFacesResult> {
    return this.#run(task, [segment]);
  }

  /** Encodes finger templates for the kernels, with candidate vectors; undefined where one has too few minutiae. */
  async encode(templates: readonly FingerTemplate[]): Promise<readonly (Uint8Array | undefined)[]> {
    const parts = Array.from({ length: Math.ceil(templates.length / ENCODED_PER_TASK) }, (_, i) =>
      templates.slice(i * ENCODED_PER_TASK, (i + 1) * ENCODED_PER_TASK),
    );
    const results = await Promise.all(
      parts.map((part) => this.#run<'encode'>({ kind: 'encode', templates: part }, [])),
    );
    return results.flatMap(({ packed }) => packed);
  }

  /** Tasks waiting for a thread. */
  get queued(): number {
    return this.#pool.queueSize;
  }

  /** Lets running tasks end, then stops the threads. */
  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #run<Kind extends TaskKind>(
    task: TaskMap[Kind]['task'] & { readonly kind: Kind },
    handles: readonly SegmentHandle[],
    onWaiting?: (isWaiting: boolean) => void,
  ): Promise<TaskMap[Kind]['result']> {
    const lane = inLaneOf(task, onWaiting);
    // The thread's handlers are typed by the same map; Piscina itself is untyped.
    const send = (message: WorkerMessage) =>
      this.#pool.run({ ...message, ...lane }) as Promise<TaskMap[Kind]['result'] | typeof SEGMENT_UNKNOWN>;
    try {
      const answer = await send({ task, handles: [] });
      if (answer !== SEGMENT_UNKNOWN) return answer;
      const second = await send({ task, handles });
      if (second === SEGMENT_UNKNOWN) throw new Error('a thread does not know a segment that came with its task');
      return second;
    } catch (cause) {
      throw new Failure('internal', 'WORKER_FAILED', 'A comparison could not be carried out.', { cause });
    }
  }
}

/** Bytes of codes read. */
function codeUnits(references: number, { tables }: CodeTables): number {
  return (references * tables.length) / (2 * CENTROIDS);
}

/** Values merged by subject: one for each reference, and one for each subject and instance. */
function valuesRead({ parts, ordinals }: Pick<ChooseTask | ShortlistTask, 'parts' | 'ordinals'>): number {
  const instances = new Set(parts.map(({ instance }) => instance)).size;
  return parts.reduce((sum, { count }) => sum + count, 0) + instances * ordinals;
}
