/**
 * What the main thread and the worker threads say to each other. Memories, stop words and what is said of every
 * reference are shared; everything else is copied, so it is kept small.
 */
import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import type { SubjectFilter } from '../../gallery/subject-filter.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import type { StopMark } from './stop-signal.ts';
import type { ExplainedComparison } from '../model/explained-comparison.ts';

/** The id of a segment's handle. */
export type SegmentId = SegmentHandle['id'];

/**
 * Tell how alike a probe and a range of a segment are. The answers go to shared memory, for there are as many as
 * references.
 */
export interface ScanTask {
  readonly kind: 'scan';
  /**
   * `comparison`: of fingers −1000 · log10 of the false match rate of their comparison score. `vector`: of fingers the
   * similarity of their candidate vectors. Of faces either way the similarity of their embeddings, see similarity.ts.
   */
  readonly by: 'comparison' | 'vector';
  readonly probe: PackedProbe;
  readonly segment: SegmentId;
  /** First reference. */
  readonly from: number;
  /** One past the last reference. */
  readonly to: number;
  /** i16 for each reference; REMOVED_SIMILARITY where it was removed. */
  readonly similarities: SharedArrayBuffer;
  /** Position of the segment's reference 0 in `similarities`. */
  readonly offset: number;
  /** Whose references are passed over, as if they were removed; undefined: nobody's. */
  readonly filter?: SubjectFilter | undefined;
  readonly stop: StopMark;
}

export interface ScanResult {
  /** References of the range that were looked at: fewer than all when the work was stopped. */
  readonly read: number;
  /** Of those, the ones that the filter let through, removed ones included. */
  readonly passed: number;
  /** Of those, the ones that are there; not counted where only candidate vectors were read. */
  readonly searched: number;
  /** What it cost. */
  readonly busyMs: number;
}

/** Where the similarities of one probe with one segment are, see ScanTask. */
export interface ScannedSegment {
  /** What it says something of: of several probes of one finger the best counts. */
  readonly instance: number;
  readonly segment: SegmentId;
  readonly count: number;
  readonly offset: number;
  /** undefined: fingers. */
  readonly face: FaceKind | undefined;
}

/** Choose the subjects whose references are most like the probes together. Who is not in scope has no similarities. */
export interface ShortlistTask {
  readonly kind: 'shortlist';
  readonly parts: readonly ScannedSegment[];
  readonly similarities: SharedArrayBuffer;
  /** One past the greatest ordinal. */
  readonly ordinals: number;
  /** Subjects that are wanted; a few more may come. */
  readonly wanted: number;
  /** What the subjects are ranked by: rates, or similarities. */
  readonly by: ScanTask['by'];
  /** `by` comparison: subjects whose rates, of each instance the best, have a smaller sum than this are not wanted. */
  readonly least: number;
}

/** For each part of a search the references of subjects on its shortlist that were looked at, ascending. */
export interface ComparisonOrder {
  /** Compared in any case. */
  readonly first: readonly Uint32Array[];
  /** Compared only where those of the same subject say something. */
  readonly rest: readonly Uint32Array[];
}

export interface ShortlistResult {
  /** Ordinals, ascending. */
  readonly subjects: Uint32Array;
  /** `by` vector: what of these subjects is compared, and when; else nothing. */
  readonly order: ComparisonOrder;
  readonly busyMs: number;
}

/** Some references of a segment. */
export interface SegmentReferences {
  readonly segment: SegmentId;
  readonly indices: Uint32Array;
}

/** Compare a probe with some references. */
export interface CompareTask {
  readonly kind: 'compare';
  readonly probe: PackedProbe;
  readonly pieces: readonly SegmentReferences[];
  /** Not given: it is carried out in any case. */
  readonly stop?: StopMark;
}

/** Scores in the order of the pieces and their indices; REMOVED_SCORE where the reference was removed meanwhile, or the work stopped. */
export interface CompareResult {
  readonly scores: Int32Array;
  /** Comparisons that were made before the work was stopped. */
  readonly compared: number;
  readonly busyMs: number;
}

/** Compare probes and references that are in no segment, each with each of the same kind. */
export interface CrossCompareTask {
  readonly kind: 'cross-compare';
  readonly probes: readonly PackedProbe[];
  readonly references: readonly PackedProbe[];
}

/** scores[p][r]; undefined where the two are of different kinds. */
export interface CrossCompareResult {
  readonly scores: readonly (readonly (number | undefined)[])[];
}

/** Bring finger templates into the kernels' form. */
export interface EncodeTask {
  readonly kind: 'encode';
  readonly templates: readonly FingerTemplate[];
}

/** With their candidate vectors; undefined where a template has too few minutiae to be compared. */
export interface EncodeResult {
  readonly packed: readonly (Uint8Array | undefined)[];
}

/** Tell what the scores of a finger come from. */
export interface ExplainTask {
  readonly kind: 'explain';
  /** A packed finger. */
  readonly probe: Uint8Array;
  /** Packed fingers: in a segment, or the bytes themselves. */
  readonly references: readonly (Uint8Array | { readonly segment: SegmentId; readonly index: number })[];
}

/** In the order of the references; undefined where one was removed meanwhile. */
export interface ExplainResult {
  readonly explained: readonly (ExplainedComparison | undefined)[];
}

/** What a thread is asked, by kind, and what it answers. */
export interface TaskMap {
  readonly scan: { readonly task: ScanTask; readonly result: ScanResult };
  readonly shortlist: { readonly task: ShortlistTask; readonly result: ShortlistResult };
  readonly compare: { readonly task: CompareTask; readonly result: CompareResult };
  readonly 'cross-compare': { readonly task: CrossCompareTask; readonly result: CrossCompareResult };
  readonly encode: { readonly task: EncodeTask; readonly result: EncodeResult };
  readonly explain: { readonly task: ExplainTask; readonly result: ExplainResult };
}

export type TaskKind = keyof TaskMap;
export type WorkerTask = TaskMap[TaskKind]['task'];
export type WorkerResult = TaskMap[TaskKind]['result'];

/**
 * A task as it travels. A shared memory takes longer to hand over than a short task to run, so a thread keeps the
 * segments it has met: handles come only with a task that a thread could not do without.
 */
export interface WorkerMessage {
  readonly task: WorkerTask;
  readonly handles: readonly SegmentHandle[];
}

/** What a thread answers that has not met a segment of the task yet; nothing was done. */
export const SEGMENT_UNKNOWN = 'segment-unknown';
