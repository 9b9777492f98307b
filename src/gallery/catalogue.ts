import type { Provenance } from '../store/records.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import type { Segment } from './segment.ts';

/**
 * Where a reference lies in memory: one object for as long as it is searchable, so whoever wants to find it later keeps
 * that. Where it points to changes when its segment is rewritten: a search asks `SearchView.referencesFor` where to read.
 */
export interface ReferenceLocation {
  readonly referenceId: string;
  readonly partition: PartitionName;
  segment: Segment;
  index: number;
}

/**
 * References that are searched together. The dimension is part of a face model's name here: should a model be configured
 * with another one some day, its old embeddings must not be compared with the new.
 */
export type PartitionName =
  | { readonly modality: 'finger'; readonly position: FingerPosition }
  | { readonly modality: 'face'; readonly modelId: string; readonly dimension: number };

/** What searching needs to know of a subject besides its references. */
export interface SubjectAttributes {
  readonly version: number;
  readonly contributor: string;
  readonly galleries: ReadonlySet<string>;
  readonly caveats: readonly string[];
  readonly provenance: Provenance;
  /** Milliseconds since 1970; undefined: does not expire. */
  readonly expireTimeMs: number | undefined;
  /** References that are stored but cannot be compared. */
  readonly notComparableCount: number;
}

/**
 * A searchable subject. One object for its whole life in memory, because every reference in every segment points to
 * it; a change of the subject replaces what it holds, in one step between two turns of the event loop.
 */
export interface SubjectEntry {
  readonly subjectId: string;
  /** Small whole number that no other subject in memory has; workers know subjects by it. */
  readonly ordinal: number;
  attributes: SubjectAttributes;
  references: readonly ReferenceLocation[];
  /** What `references` was before it was replaced, for the searches that began then; the oldest first. */
  earlier: readonly EarlierReferences[];
}

/** The references of a subject as searches of versions below `before` see them. */
export interface EarlierReferences {
  readonly before: number;
  readonly references: readonly ReferenceLocation[];
}

/** The references of a subject as a search of `version` sees them; those added since are among them. */
export function referencesAt({ references, earlier }: SubjectEntry, version: number): readonly ReferenceLocation[] {
  return earlier.find(({ before }) => version < before)?.references ?? references;
}

/** The stable text form of a partition's name: `finger:2`, `face:model:512`. */
export function partitionKey(name: PartitionName): string {
  return name.modality === 'finger' ? `finger:${name.position}` : `face:${name.modelId}:${name.dimension}`;
}

/** The name that a partition's key stands for. */
export function partitionOfKey(key: string): PartitionName {
  const [modality, second, third] = key.split(':');
  return modality === 'finger'
    ? { modality, position: Number(second) as FingerPosition }
    : { modality: 'face', modelId: second, dimension: Number(third) };
}
