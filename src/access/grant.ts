import type { Action, Purpose } from './actions.ts';
import type { Client } from './principal.ts';

/** What policies decide by about a record: subjects with equal facts are of one class. */
export interface RecordFacts {
  readonly contributor: string;
  readonly caveats: readonly string[];
  readonly provenance: string;
}

/** How much of a comparison a caller is told about a record. */
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
}

/** A permitted request, and what it may touch. */
export interface Grant {
  readonly client: Client;
  readonly action: Action;
  readonly purpose: Purpose;
  /** The galleries that the request extends to; empty: every gallery. */
  readonly galleries: ReadonlySet<string>;
  /** Whether records of a class may be searched. */
  searches(record: RecordFacts): boolean;
  /** Whether they may be shown. */
  sees(record: RecordFacts): boolean;
  /** Whether they may be enrolled, changed or expunged. */
  changes(record: RecordFacts): boolean;
  discloses(record: RecordFacts): Disclosure;
  /** Hash of the policies that decided. */
  readonly policyHash: string;
}

/** Decides what clients may do. */
export interface Decider {
  /** Whether any request of the client for this action could be permitted. */
  mayTake(client: Client, action: Action): boolean;
  /** @throws Failure ACTION_NOT_PERMITTED, PURPOSE_NOT_PERMITTED, GALLERY_NOT_PERMITTED */
  authorize(client: Client, asked: Asked): Grant;
}
