/**
 * The messages between the main thread and the worker threads. Memories, stop words and values per reference are
 * shared. Everything else is copied, and kept small for that reason.
 */
import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import type { ClassFilter, SubjectFilter } from '../../gallery/subject-filter.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import type { CodeTables } from '../kernels/code-tables.ts';
import type { FaceDirections } from '../kernels/face-codes.ts';
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import type { StopMark } from './stop-signal.ts';
import type { ExplainedComparison } from '../model/explained-comparison.ts';

/** The id of a segment's handle. */
export type SegmentId = SegmentHandle['id'];

/**
 * Compare a probe with a range of a segment. The similarities, one per reference, are written to shared memory. For
 * fingers a similarity is −1000 · log10 of the false match rate of the comparison score, for faces the similarity of
 * the embeddings, see similarity.ts.
 */
export interface ScanTask {
  readonly kind: 'scan';
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
  /** References of filtered subjects are skipped, as if removed; undefined: none. */
  readonly filter?: SubjectFilter | undefined;
  readonly stop: StopMark;
}

export interface ScanResult {
  /** References of the range that were scanned: fewer than all when the work was stopped. */
  readonly read: number;
  /** Scanned references that passed the filter, including removed ones. */
  readonly passed: number;
  /** Those without the removed ones. */
  readonly searched: number;
  /** Time taken. */
  readonly busyMs: number;
}

/** A range of a segment whose codes are scanned. */
export interface CodePiece {
  readonly segment: SegmentId;
  /** First reference, a multiple of 32. */
  readonly from: number;
  /** One past the last reference. */
  readonly to: number;
  /** Position of the segment's reference 0 in `values`. */
  readonly offset: number;
}

/** A probe of a scan of codes. */
export interface CodeScan {
  /** Tables of the probe, see code-tables.ts and face-codes.ts. */
  readonly tables: CodeTables;
  readonly pieces: readonly CodePiece[];
  /** u8 for each reference: 0 where it was removed, or not scanned; otherwise 1 + the similarity in steps. */
  readonly values: SharedArrayBuffer;
  /** References of masked subjects get the value 0, as if removed; undefined: there are none. */
  readonly classes: ClassFilter | undefined;
  readonly stop: StopMark;
}

/**
 * Estimate the similarities of probes and references from the references' codes. The probes may be those of several
 * searches.
 */
export interface ScanCodesTask {
  readonly kind: 'scan-codes';
  /** 1 to MAX_BATCH_PROBES, whose pieces have the same segments and first references, in the same order. */
  readonly scans: readonly CodeScan[];
}

export interface ScanCodesResult {
  /** For each scan: references scanned; fewer than all when it was stopped. */
  readonly read: readonly number[];
  readonly busyMs: number;
}

/** A face of a scan of embeddings. */
export interface FaceScan {
  readonly probe: PackedProbe;
  /** One past the last reference. */
  readonly to: number;
  /** See ScanTask. */
  readonly similarities: SharedArrayBuffer;
  /** See ScanTask. */
  readonly offset: number;
  readonly stop: StopMark;
}

/** Compare faces with a range of a segment, as by ScanTask without a filter. They may be those of several searches. */
export interface ScanFacesTask {
  readonly kind: 'scan-faces';
  readonly segment: SegmentId;
  /** First reference. */
  readonly from: number;
  /** 1 to MAX_BATCH_PROBES. */
  readonly scans: readonly FaceScan[];
}

export interface ScanFacesResult {
  /** For each scan: references scanned; fewer than all when it was stopped. */
  readonly read: readonly number[];
  /** For each scan: those that were not removed. */
  readonly present: readonly number[];
  readonly busyMs: number;
}

/** Where the values of one probe with one segment lie. */
export interface ChosenPart {
  /** The biometric instance. The best of several probes of one instance counts. */
  readonly instance: number;
  /** Position of the probe in the task. */
  readonly probe: number;
  readonly segment: SegmentId;
  readonly count: number;
  /** Whether the values are bytes from a scan of codes; otherwise they are similarities of sixteen bits. */
  readonly isCoded: boolean;
  /** Offset of the first reference's value, in bytes. */
  readonly offset: number;
}

/** Choose the subjects to compare: those most similar to all probes together. */
export interface ChooseTask {
  readonly kind: 'choose';
  readonly probes: readonly (PackedProbe | undefined)[];
  readonly parts: readonly ChosenPart[];
  /** See CodeScan, and ScanTask for parts that are not coded. */
  readonly values: SharedArrayBuffer;
  /** One past the greatest ordinal. */
  readonly ordinals: number;
  /** Subjects outside are not chosen; undefined: none. Masked ones have no values. */
  readonly filter: SubjectFilter | undefined;
  /**
   * Number of subjects chosen by these values, to be ranked by whole vectors; subjects that tie with the last one are
   * added. With one instance it is the number of references instead.
   */
  readonly ranked: number;
  /** Number of subjects to compare; subjects that tie with the last one are added. */
  readonly wanted: number;
  /** A stopped choice has no subjects. */
  readonly stop: StopMark;
}

export interface ChooseResult {
  /** Whether all subjects that were scanned were ranked by whole vectors. */
  readonly areAll: boolean;
  /** For each part: the references that subjects were ranked by. */
  readonly references: readonly number[];
  /** Number of subjects to compare. */
  readonly subjects: number;
  readonly order: ComparisonOrder;
  /** References whose whole vectors or embeddings were read after a scan of codes, and the part of busyMs for that. */
  readonly reranked: { readonly references: number; readonly busyMs: number };
  readonly busyMs: number;
}

/** Find the place of one subject, such as the mate of a probe, in the lists that a choice would make. */
export interface PlaceTask extends Omit<ChooseTask, 'kind' | 'wanted' | 'stop'> {
  readonly kind: 'place';
  /** Ordinal of the subject. */
  readonly subject: number;
}

/** Places count from 1; ties do not precede. Infinity: the subject is not in the list. */
export interface PlaceResult {
  /** By the scanned values, in the unit of ChooseTask.ranked: a choice by values includes the subject from this on. */
  readonly byValues: number;
  /** By whole vectors, among those that `ranked` includes, whether it is one of them or not. */
  readonly byVectors: number;
  /** Instances of the subject's references that are compared first, if it is not among the certain ones. */
  readonly first: readonly number[];
  readonly busyMs: number;
}

/** Where the similarities of one probe with one segment lie, see ScanTask. */
export interface ScannedSegment {
  /** The biometric instance. The best of several probes of one instance counts. */
  readonly instance: number;
  readonly segment: SegmentId;
  readonly count: number;
  readonly offset: number;
  /** Undefined: fingers. */
  readonly face: FaceKind | undefined;
}

/** Choose the subjects with the lowest fused rates. Subjects outside the scope have no similarities. */
export interface ShortlistTask {
  readonly kind: 'shortlist';
  readonly parts: readonly ScannedSegment[];
  readonly similarities: SharedArrayBuffer;
  /** One past the greatest ordinal. */
  readonly ordinals: number;
  /** Number of subjects wanted; a few more may be returned. */
  readonly wanted: number;
  /** Minimum sum of a subject's best rates per instance. */
  readonly least: number;
}

/** For each part of a search: the scanned references of the chosen subjects, ascending. */
export interface ComparisonOrder {
  /** All references of the most similar subjects. */
  readonly certain: readonly Uint32Array[];
  /** The more similar half of the other subjects' fingers, and their faces. */
  readonly first: readonly Uint32Array[];
  /** Compared only where the subject's first comparisons are notable. */
  readonly rest: readonly Uint32Array[];
}

export interface ShortlistResult {
  /** Ordinals, ascending. */
  readonly subjects: Uint32Array;
  readonly busyMs: number;
}

/** References of a segment. */
export interface SegmentReferences {
  readonly segment: SegmentId;
  readonly indices: Uint32Array;
}

/** Compare a probe with some references. */
export interface CompareTask {
  readonly kind: 'compare';
  readonly probe: PackedProbe;
  readonly pieces: readonly SegmentReferences[];
  /**
   * For fingers: comparisons with less support end with score 0, see screenFingers; undefined: the kernel's own limit.
   */
  readonly minSupport?: number | undefined;
  /** Undefined: the task is never stopped. */
  readonly stop?: StopMark;
}

/** Scores in the order of the pieces and their indices; REMOVED_SCORE for a removed reference, or after a stop. */
export interface CompareResult {
  readonly scores: Int32Array;
  /** Comparisons made before the work was stopped. */
  readonly compared: number;
  readonly busyMs: number;
}

/** Compare every probe with every reference of its kind. The references are in no segment. */
export interface CrossCompareTask {
  readonly kind: 'cross-compare';
  readonly probes: readonly PackedProbe[];
  readonly references: readonly PackedProbe[];
}

/** scores[p][r]; undefined where the two are of different kinds. */
export interface CrossCompareResult {
  readonly scores: readonly (readonly (number | undefined)[])[];
}

/** Encode finger templates for the kernels. */
export interface EncodeTask {
  readonly kind: 'encode';
  readonly templates: readonly FingerTemplate[];
}

/** With their candidate vectors; undefined where a template has too few minutiae to be compared. */
export interface EncodeResult {
  readonly packed: readonly (Uint8Array | undefined)[];
}

/** Make the codes of a segment's faces. */
export interface EncodeFacesTask {
  readonly kind: 'encode-faces';
  readonly directions: FaceDirections;
  readonly segment: SegmentId;
  /** First reference. */
  readonly from: number;
  /** One past the last reference. */
  readonly to: number;
}

export interface EncodeFacesResult {
  /** FACE_CODE_BYTES for each reference; zeros for a removed one. */
  readonly codes: Uint8Array;
}

/** Explain the scores of a finger. */
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

/** Tasks and results by kind. */
export interface TaskMap {
  readonly scan: { readonly task: ScanTask; readonly result: ScanResult };
  readonly 'scan-codes': { readonly task: ScanCodesTask; readonly result: ScanCodesResult };
  readonly 'scan-faces': { readonly task: ScanFacesTask; readonly result: ScanFacesResult };
  readonly choose: { readonly task: ChooseTask; readonly result: ChooseResult };
  readonly place: { readonly task: PlaceTask; readonly result: PlaceResult };
  readonly shortlist: { readonly task: ShortlistTask; readonly result: ShortlistResult };
  readonly compare: { readonly task: CompareTask; readonly result: CompareResult };
  readonly 'cross-compare': { readonly task: CrossCompareTask; readonly result: CrossCompareResult };
  readonly 'encode-faces': { readonly task: EncodeFacesTask; readonly result: EncodeFacesResult };
  readonly encode: { readonly task: EncodeTask; readonly result: EncodeResult };
  readonly explain: { readonly task: ExplainTask; readonly result: ExplainResult };
}

export type TaskKind = keyof TaskMap;
export type WorkerTask = TaskMap[TaskKind]['task'];
export type WorkerResult = TaskMap[TaskKind]['result'];

/**
 * A task as sent to a thread. Transferring a shared memory takes longer than running a short task: threads therefore
 * keep the segments they know, and handles are sent only after a thread has reported a segment as unknown.
 */
export interface WorkerMessage {
  readonly task: WorkerTask;
  readonly handles: readonly SegmentHandle[];
}

/** The answer of a thread that does not know a segment of the task; nothing was done. */
export const SEGMENT_UNKNOWN = 'segment-unknown';
