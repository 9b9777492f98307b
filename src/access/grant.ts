import type { Action, Purpose } from './actions.ts';
import type { Client } from './principal.ts';

/**
 * What policies decide by about a record: subjects with equal facts are of one class. Never change an object that was
 * decided about: decisions are kept by object.
 */
export interface RecordFacts {
  readonly contributor: string;
  /** In any order. */
  readonly caveats: readonly string[];
  /** As the schema of the policies names it; no role that needs a provenance is permitted another value. */
  readonly provenance: string;
}

/**
 * How much of a comparison a caller is told about a record. Exact rates give a template away as exact scores do, so both
 * are permitted together.
 */
export interface Disclosure {
  readonly scores: 'exact' | 'none';
  /** `powers`: rates are rounded up to whole powers of ten. */
  readonly rates: 'exact' | 'powers';
  readonly explanations: boolean;
}

/** What a request asks for. */
export interface Asked {
  readonly action: Action;
  readonly purpose: Purpose;
  /** Names of galleries; empty: all that the client may use. */
  readonly galleries: readonly string[];
  /** Contributor that the request names. */
  readonly contributor?: string | undefined;
}

/**
 * A permitted request, and what it may touch, by the policies in force when it was made: it keeps to them until it ends.
 * Authorize every message of a long stream, so that changed policies and clients take effect.
 */
export interface Grant {
  readonly client: Client;
  readonly action: Action;
  readonly purpose: Purpose;
  /** The galleries that the request extends to; empty: every gallery. */
  readonly galleries: ReadonlySet<string>;
  /** Whether records of a class may be searched: if not, nothing of theirs may be compared. */
  searches(record: RecordFacts): boolean;
  /** Whether they may be shown. If they are searched and not shown, only the owner learns of a hit. */
  sees(record: RecordFacts): boolean;
  /** Whether the request may enrol, change or expunge them. A change needs both, as before and as after it. */
  changes(record: RecordFacts): boolean;
  /**
   * What may be said about a comparison with them: nothing exact about what may not be shown.
   * @param record - undefined: the samples compared are both from the request
   */
  discloses(record: RecordFacts | undefined): Disclosure;
  /** Hash of the policies that decided: SHA-256, hexadecimal. */
  readonly policyHash: string;
}

/** Decides what clients may do. */
export interface Decider {
  /** Whether any request of the client for this action could be permitted. */
  mayTake(client: Client, action: Action): boolean;
  /**
   * @throws Failure permission-denied: ACTION_NOT_PERMITTED; PURPOSE_NOT_PERMITTED if another purpose would do;
   * CONTRIBUTOR_NOT_PERMITTED; GALLERY_NOT_PERMITTED with the field `galleries[i]`, or `galleries` if the request names
   * none and the client has none. Whether a gallery exists makes no difference.
   */
  authorize(client: Client, asked: Asked): Grant;
}
