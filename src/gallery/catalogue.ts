import type { Handling, Provenance } from '../store/records.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import type { RecordClass } from './record-classes.ts';
import type { Segment } from './segment.ts';

/**
 * Where a reference lies in memory. The object is stable while the reference is searchable, and may be kept. Its target
 * changes when the segment is compacted: a search asks `SearchView.referencesFor` where to read.
 */
export interface ReferenceLocation {
  readonly referenceId: string;
  readonly partition: PartitionName;
  segment: Segment;
  index: number;
}

/**
 * Name of a set of references that are searched together. For faces it includes the dimension: if a model is ever
 * configured with another dimension, its old embeddings must not be compared with new ones.
 */
export type PartitionName =
  | { readonly modality: 'finger'; readonly position: FingerPosition }
  | { readonly modality: 'face'; readonly modelId: string; readonly dimension: number };

/** The data of a subject that searches use, besides its references. */
export interface SubjectAttributes {
  readonly version: number;
  readonly contributor: string;
  readonly galleries: ReadonlySet<string>;
  readonly caveats: readonly string[];
  readonly provenance: Provenance;
  /** No search finds the subject from then on, see record-life.ts. Milliseconds since 1970; undefined: never. */
  readonly searchedUntilMs: number | undefined;
  /** Milliseconds since 1970; undefined: of age. */
  readonly minorUntilMs: number | undefined;
  /** What its owner asks for when it is found. */
  readonly handling: Handling | undefined;
  /** References that are stored but cannot be compared. */
  readonly notComparableCount: number;
}

/**
 * A searchable subject. The object is stable for its whole life in memory. A change replaces its content in one step
 * between two turns of the event loop.
 */
export interface SubjectEntry {
  readonly subjectId: string;
  /** Small whole number, unique in memory: the subject's identifier for workers. */
  readonly ordinal: number;
  attributes: SubjectAttributes;
  /** Follows from the attributes. */
  recordClass: RecordClass;
  references: readonly ReferenceLocation[];
  /** Replaced `references`, for searches that began before the replacement; oldest first. */
  earlier: readonly EarlierReferences[];
}

/** The references of a subject for searches of versions below `before`. */
export interface EarlierReferences {
  readonly before: number;
  readonly references: readonly ReferenceLocation[];
}

/** The references of a subject as a search of `version` sees them, plus any added since. */
export function referencesAt({ references, earlier }: SubjectEntry, version: number): readonly ReferenceLocation[] {
  return earlier.find(({ before }) => version < before)?.references ?? references;
}

/** The stable text form of a partition name: `finger:2`, `face:model:512`. */
export function partitionKey(name: PartitionName): string {
  return name.modality === 'finger' ? `finger:${name.position}` : `face:${name.modelId}:${name.dimension}`;
}

/** The partition name of a key. */
export function partitionOfKey(key: string): PartitionName {
  const [modality, second, third] = key.split(':');
  return modality === 'finger'
    ? { modality, position: Number(second) as FingerPosition }
    : { modality: 'face', modelId: second, dimension: Number(third) };
}
