import type { Action, Purpose } from './actions.ts';
import { actionUid, clientEntity, recordClassEntity, recordContext, SERVICE } from './cedar-entities.ts';
import type { PolicySet } from './policy-set.ts';
import type { Client } from './principal.ts';
import type { RecordFacts } from './grant.ts';
import { RECORD_ACTIONS, type RecordAction } from './record-class.ts';
import type { RecordNumbers } from './record-numbers.ts';

/** Questions kept by what policies can tell about a record class. */
const MAX_QUESTIONS = 4096;

const BITS = new Map(RECORD_ACTIONS.map((action, i) => [action, 1 << (2 * i)]));

/**
 * What a client's call may do with records. Every answer is kept for the record class, two bits each, so that a search
 * asks about classes, never about records; and once for all classes that the policies cannot tell apart.
 */
export class RecordDecisions {
  readonly #client: Client;
  readonly #principal: ReturnType<typeof clientEntity>;
  readonly #call: Action;
  readonly #purpose: Purpose;
  readonly #policies: PolicySet;
  readonly #numbers: RecordNumbers;
  readonly #onGrowth: (bytes: number) => void;
  /** By class number; for each record action one bit "decided", then one bit "permitted". */
  #answers = new Uint16Array(0);
  readonly #asked = new Map<string, boolean>();

  /** @param onGrowth - told how many bytes more this takes */
  constructor(
    client: Client,
    call: Action,
    purpose: Purpose,
    policies: PolicySet,
    numbers: RecordNumbers,
    onGrowth: (bytes: number) => void,
  ) {
    this.#client = client;
    this.#principal = clientEntity(client);
    this.#call = call;
    this.#purpose = purpose;
    this.#policies = policies;
    this.#numbers = numbers;
    this.#onGrowth = onGrowth;
  }

  /** @param record - undefined: what the request itself contains */
  permits(action: RecordAction, record: RecordFacts | undefined): boolean {
    const number = record === undefined ? 0 : this.#numbers.of(record);
    if (number === undefined) return this.#ask(action, record);
    const decided = BITS.get(action) ?? 0;
    const known = this.#answers[number] ?? 0;
    if ((known & decided) !== 0) return (known & (decided << 1)) !== 0;
    const answer = this.#ask(action, record);
    if (number >= this.#answers.length) this.#grow(number);
    this.#answers[number] = known | decided | (answer ? decided << 1 : 0);
    return answer;
  }

  #grow(number: number): void {
    const grown = new Uint16Array(Math.max(16, 2 ** Math.ceil(Math.log2(number + 1))));
    grown.set(this.#answers);
    this.#onGrowth(grown.byteLength - this.#answers.byteLength);
    this.#answers = grown;
  }

  #ask(action: RecordAction, record: RecordFacts | undefined): boolean {
    const { reading } = this.#policies;
    const resource = record === undefined ? SERVICE : recordClassEntity(record, reading, this.#client);
    const question = JSON.stringify([action, resource.attrs]);
    let answer = this.#asked.get(question);
    if (answer === undefined) {
      answer = this.#policies.permits({
        principal: this.#principal,
        action: actionUid(action),
        resource,
        context: recordContext(this.#purpose, this.#call),
      });
      if (this.#asked.size >= MAX_QUESTIONS) this.#asked.clear();
      this.#asked.set(question, answer);
      this.#onGrowth(2 * question.length);
    }
    return answer;
  }
}
