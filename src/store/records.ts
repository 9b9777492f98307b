/** What the store keeps, as plain data. Ids are UUIDs in lower case. */
import type { FingerPosition } from '../templates/finger-template.ts';
import type { StoredFormat } from '../templates/sample.ts';

/** How a record came to be. */
export type Provenance = 'unspecified' | 'controlled' | 'field' | 'latent' | 'synthetic';

/** A subject to add. */
export interface NewSubject {
  readonly subjectId: string;
  readonly contributor: string;
  /** Unique for each contributor; undefined: none. */
  readonly externalId: string | undefined;
  readonly galleries: readonly string[];
  readonly caveats: readonly string[];
  readonly provenance: Provenance;
  readonly expireTime: Date | undefined;
}

export interface SubjectRecord extends NewSubject {
  /** From 1, one more at every change. */
  readonly version: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** One sample to add. */
export interface NewReference {
  readonly referenceId: string;
  readonly modality: 'finger' | 'face';
  /** 0: unknown, or a face. */
  readonly fingerPosition: FingerPosition;
  /** The format it arrived in. */
  readonly format: string;
  /** The format of `template`. */
  readonly storedFormat: StoredFormat;
  /** 1 to 100; 0: not stated. */
  readonly quality: number;
  /** Face only. */
  readonly modelId: string | undefined;
  /** Face only. */
  readonly dimension: number | undefined;
  /** Finger only, else 0. */
  readonly minutiaCount: number;
  /** False: stored, but has too few minutiae to be searched. */
  readonly comparable: boolean;
  readonly captureTime: Date | undefined;
  readonly template: Uint8Array;
}

export interface ReferenceRecord extends NewReference {
  readonly subjectId: string;
}

export interface SubjectWithReferences {
  readonly subject: SubjectRecord;
  /** In the order in which they were given; those that can be read. */
  readonly references: readonly ReferenceRecord[];
  /** Those that are not what was stored, and are not among the others; not given: none. */
  readonly damaged?: readonly DamagedReference[];
  /** It may have belonged to more galleries, which cannot be read; not given: to none. */
  readonly mayLackGalleries?: boolean;
}

/** A stored reference that is not what was enrolled. */
export interface DamagedReference {
  /** Empty where not even this can be read. */
  readonly referenceId: string;
  readonly subjectId: string;
  /** What is wrong: a reason of docs/errors.md. */
  readonly reason: string;
}

/** Subjects as they are read where some of them may be damaged. */
export interface SubjectsRead {
  readonly subjects: readonly SubjectWithReferences[];
  /** The references of subjects that cannot be read themselves. */
  readonly unreadable: readonly DamagedReference[];
}

/** The caller's name for an enrolment, and what tells a repetition from another one under the same name. */
export interface ClientRequest {
  readonly id: string;
  readonly digest: Uint8Array;
}

export interface NewEnrolment {
  readonly subject: NewSubject;
  readonly references: readonly NewReference[];
  readonly clientRequest: ClientRequest | undefined;
}

export interface Enrolled extends SubjectWithReferences {
  /** The change that made it searchable. */
  readonly seq: number;
  /** The request had been carried out before; nothing was changed now. */
  readonly repeated: boolean;
}

/** What an update changes; null removes a value. */
export interface SubjectPatch {
  readonly externalId?: string | null | undefined;
  readonly galleries?: readonly string[] | undefined;
  readonly caveats?: readonly string[] | undefined;
  readonly provenance?: Provenance | undefined;
  readonly expireTime?: Date | null | undefined;
}

export interface Change {
  readonly seq: number;
  readonly kind: 'upsert' | 'expunge';
  readonly subjectId: string;
  /** Of the subject, which the change has made. */
  readonly version: number;
}

export interface ListFilter {
  readonly gallery: string | undefined;
  readonly contributor: string | undefined;
  readonly limit: number;
  /** Only subjects whose id comes later. */
  readonly afterSubjectId: string | undefined;
}

/** What is known of an expunging when it is about to be committed. */
export interface Removed {
  /** The change that says so. */
  readonly seq: number;
  readonly at: Date;
  readonly referencesRemoved: number;
  /** The change that enrolled the subject. */
  readonly firstSeq: number;
}

export interface Expunged extends Pick<Removed, 'seq' | 'referencesRemoved'> {
  /** As it was signed. */
  readonly receipt: string;
}
