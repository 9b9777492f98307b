/**
 * What the main thread and the worker threads say to each other. Memories and control words are shared; everything
 * else is copied, so it is kept small: a probe in, hits out.
 */
import type { SegmentHandle } from '../gallery/segment-layout.ts';
import type { FingerTemplate } from '../templates/finger-template.ts';
import type { ExplainedComparison } from './explained-comparison.ts';

/** A probe in the kernels' form. */
export type PackedProbe =
  | { readonly modality: 'finger'; readonly packed: Uint8Array }
  | { readonly modality: 'face'; readonly packed: Uint8Array; readonly dimension: number };

/** Compare a probe with a range of a segment; answer with the references that score at least `floor`. */
export interface ScanTask {
  readonly kind: 'scan';
  readonly probe: PackedProbe;
  readonly segment: SegmentHandle;
  /** First reference. */
  readonly from: number;
  /** One past the last reference. */
  readonly to: number;
  readonly floor: number;
  /** Word 0 becomes 1 when nobody waits for the answer any more. */
  readonly control: SharedArrayBuffer;
}

export interface ScanResult {
  /** Indices of the references at or above the floor, ascending. */
  readonly indices: Uint32Array;
  readonly scores: Int32Array;
  /** References compared, removed ones left out. */
  readonly compared: number;
  /** False when the control word stopped the scan before the end of the range. */
  readonly complete: boolean;
}

/** Compare a probe with some references of a segment. */
export interface CompareTask {
  readonly kind: 'compare';
  readonly probe: PackedProbe;
  readonly segment: SegmentHandle;
  readonly indices: Uint32Array;
}

/** Scores in the order of the indices; REMOVED_SCORE where the reference was removed meanwhile. */
export interface CompareResult {
  readonly scores: Int32Array;
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

/** Undefined where a template has too few minutiae to be compared. */
export interface EncodeResult {
  readonly packed: readonly (Uint8Array | undefined)[];
}

/** Tell what the scores of a finger come from. */
export interface ExplainTask {
  readonly kind: 'explain';
  /** A packed finger. */
  readonly probe: Uint8Array;
  /** Packed fingers: in a segment, or the bytes themselves. */
  readonly references: readonly (Uint8Array | { readonly segment: SegmentHandle; readonly index: number })[];
}

/** In the order of the references; undefined where one was removed meanwhile. */
export interface ExplainResult {
  readonly explained: readonly (ExplainedComparison | undefined)[];
}

export type WorkerTask = ScanTask | CompareTask | CrossCompareTask | EncodeTask | ExplainTask;
