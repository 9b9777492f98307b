import type { Action, Purpose } from './actions.ts';
import type { Disclosure, Grant, RecordFacts } from './grant.ts';
import type { Client } from './principal.ts';
import type { RecordDecisions } from './record-decisions.ts';

/** Calls that remove records, or propose to. */
const EXPUNGING: ReadonlySet<Action> = new Set<Action>(['expunge', 'propose-expunge', 'approve-expunge']);

/** A grant whose answers about records come from policies. */
export class DecidedGrant implements Grant {
  readonly client: Client;
  readonly action: Action;
  readonly purpose: Purpose;
  readonly galleries: ReadonlySet<string>;
  readonly policyHash: string;
  readonly #records: RecordDecisions;

  constructor(
    client: Client,
    { action, purpose }: { readonly action: Action; readonly purpose: Purpose },
    galleries: ReadonlySet<string>,
    policyHash: string,
    records: RecordDecisions,
  ) {
    this.client = client;
    this.action = action;
    this.purpose = purpose;
    this.galleries = galleries;
    this.policyHash = policyHash;
    this.#records = records;
  }

  searches(record: RecordFacts): boolean {
    return this.#records.permits('search-record', record);
  }

  sees(record: RecordFacts): boolean {
    return this.#records.permits('see-record', record);
  }

  discloses(record: RecordFacts | undefined): Disclosure {
    const isShown = record === undefined || this.sees(record);
    const isExact = isShown && this.#records.permits('disclose-scores', record);
    return {
      scores: isExact ? 'exact' : 'none',
      rates: isExact ? 'exact' : 'powers',
      explanations: isShown && this.#records.permits('disclose-explanations', record),
    };
  }

  changes(record: RecordFacts): boolean {
    return this.#records.permits(EXPUNGING.has(this.action) ? 'expunge-record' : 'change-record', record);
  }
}
