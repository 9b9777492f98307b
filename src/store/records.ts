/** The store's records as plain data. Ids are UUIDs in lower case. */
import type { FingerPosition } from '../templates/finger-template.ts';
import type { StoredFormat } from '../templates/sample.ts';

/** Origin of a record. */
export type Provenance = 'unspecified' | 'controlled' | 'field' | 'latent' | 'synthetic';

/** What the owner of a record asks for when it is found, see handling.proto. */
export const HANDLING_CODES = [
  'notify-only',
  'discreet-check',
  'inquiry-check',
  'specific-check',
  'locate',
  'protect',
  'refuse-entry',
  'detain-for-owner',
] as const;

export interface Handling {
  readonly code: (typeof HANDLING_CODES)[number];
  /** May be empty. */
  readonly instructions: string;
  /** May be empty. */
  readonly contact: string;
}

/** What decides over time whether a record is searched, and what is to be done when it is found. */
export interface RecordLife {
  /** From then on it is not searched. */
  readonly expireTime: Date | undefined;
  /** From then on it is not searched until it is reviewed. */
  readonly reviewTime: Date | undefined;
  /** Kept, not searched. */
  readonly suspended: boolean;
  /** Until then the subject is a minor; undefined: it is of age. */
  readonly minorUntil: Date | undefined;
  readonly handling: Handling | undefined;
}

/** A record that is always searched, of a subject of age. */
export const UNLIMITED = {
  expireTime: undefined,
  reviewTime: undefined,
  suspended: false,
  minorUntil: undefined,
  handling: undefined,
} as const satisfies RecordLife;

/** A subject to enrol. */
export interface NewSubject extends RecordLife {
  readonly subjectId: string;
  readonly contributor: string;
  /** Unique for each contributor; undefined: none. */
  readonly externalId: string | undefined;
  readonly galleries: readonly string[];
  readonly caveats: readonly string[];
  readonly provenance: Provenance;
}

export interface SubjectRecord extends NewSubject {
  /** Begins at 1 and increases by 1 with every change. */
  readonly version: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** A sample to add. */
export interface NewReference {
  readonly referenceId: string;
  readonly modality: 'finger' | 'face';
  /** 0: unknown, or a face. */
  readonly fingerPosition: FingerPosition;
  /** The format in which it was received. */
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
  /** False: stored, but has too few minutiae for searches. */
  readonly comparable: boolean;
  readonly captureTime: Date | undefined;
  readonly template: Uint8Array;
}

export interface ReferenceRecord extends NewReference {
  readonly subjectId: string;
}

export interface SubjectWithReferences {
  readonly subject: SubjectRecord;
  /** The readable references, in the order given at enrolment. */
  readonly references: readonly ReferenceRecord[];
  /** References that differ from what was stored and are not in `references`; not given: none. */
  readonly damaged?: readonly DamagedReference[];
  /** It may belong to further galleries, which cannot be read; not given: it does not. */
  readonly mayLackGalleries?: boolean;
  /** Never given: rows that lack something are no subject yet, see proven-subjects.ts. */
  readonly lacking?: undefined;
}

/** A stored reference that differs from the enrolled one. */
export interface DamagedReference {
  /** Empty when it cannot be read. */
  readonly referenceId: string;
  readonly subjectId: string;
  /** The damage: a reason of docs/errors.md. */
  readonly reason: string;
}

/** Subjects as read from a store that may be damaged. */
export interface SubjectsRead {
  readonly subjects: readonly SubjectWithReferences[];
  /** The references of unreadable subjects. */
  readonly unreadable: readonly DamagedReference[];
}

/**
 * The caller's id for an enrolment, and a digest that distinguishes a repetition from another request under the same
 * id.
 */
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
  /** The change that enrolled it. */
  readonly seq: number;
  /** The request had been executed earlier; nothing was changed now. */
  readonly repeated: boolean;
}

/** Fields to update; null removes a value. */
export interface SubjectPatch {
  readonly externalId?: string | null | undefined;
  readonly galleries?: readonly string[] | undefined;
  readonly caveats?: readonly string[] | undefined;
  readonly provenance?: Provenance | undefined;
  readonly expireTime?: Date | null | undefined;
  readonly reviewTime?: Date | null | undefined;
  readonly suspended?: boolean | undefined;
  readonly minorUntil?: Date | null | undefined;
  readonly handling?: Handling | null | undefined;
}

export interface Change {
  readonly seq: number;
  readonly kind: 'upsert' | 'expunge';
  readonly subjectId: string;
  /** The subject's version after the change. */
  readonly version: number;
  /** Why it is no change of this program: a reason of docs/errors.md. Not given: it is one. */
  readonly damage?: string;
}

export interface ListFilter {
  readonly gallery: string | undefined;
  readonly contributor: string | undefined;
  readonly limit: number;
  /** Only subjects with a greater id. */
  readonly afterSubjectId: string | undefined;
}

/** Facts about an expunging shortly before its commit. */
export interface Removed {
  /** The change that records the expunging. */
  readonly seq: number;
  readonly at: Date;
  readonly referencesRemoved: number;
  /** The change that enrolled the subject. */
  readonly firstSeq: number;
}

export interface Expunged extends Pick<Removed, 'seq' | 'referencesRemoved'> {
  /** The signed receipt. */
  readonly receipt: string;
}
