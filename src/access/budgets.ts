/**
 * Budgets of comparisons with enrolled subjects. Each answer tells something about the reference: a gate compares a
 * traveller a few times, an attacker who rebuilds a template needs hundreds of answers about one subject.
 *
 * Counters live in memory. What calls have cost is in the audit, and is noted again after a restart, as is what clients
 * have spent at other services on the database.
 */
import { LRUCache } from 'lru-cache';
import { Failure } from '../failure.ts';
import type { Client } from './principal.ts';
import { DAY_MS, MONTH_MS, SlidingCount, type WindowLimit } from './sliding-count.ts';
import { SteadyClock } from './steady-clock.ts';
import type { ToldAnswer } from './weak-answers.ts';

/** A busy gate sees 3,000 travellers a day, some of them twice. A client's own budget replaces it. */
export const VERIFICATIONS_PER_CLIENT_DAY = 5000;
/** Two crossings of a commuter, each with ten attempts. */
export const VERIFICATIONS_PER_PAIR_DAY = 20;
/** A commuter's 44 crossings a month, with a weak answer among twenty. */
export const VERIFICATIONS_PER_PAIR_MONTH = 60;
/** A traveller checked by several agencies on one day. An attacker with many clients has no more. */
export const VERIFICATIONS_PER_SUBJECT_DAY = 60;
export const VERIFICATIONS_PER_SUBJECT_MONTH = 120;

/**
 * What an answer costs in all when it is weaker than a mate's: attackers live on such answers, and of real mates some
 * 6 % get one. It multiplies the time that an attacker needs, and hardly that of a traveller.
 */
export const COST_OF_WEAK = 5;

/** log10 of the weakest rate of a comparison that a mate usually reaches. */
export const WEAK_ANSWER_LOG10 = -5;

const PAIR: readonly WindowLimit[] = [
  { limit: VERIFICATIONS_PER_PAIR_DAY, periodMs: DAY_MS },
  { limit: VERIFICATIONS_PER_PAIR_MONTH, periodMs: MONTH_MS },
];
const SUBJECT: readonly WindowLimit[] = [
  { limit: VERIFICATIONS_PER_SUBJECT_DAY, periodMs: DAY_MS },
  { limit: VERIFICATIONS_PER_SUBJECT_MONTH, periodMs: MONTH_MS },
];

/**
 * Counters of pairs and of subjects that are kept, each: about 40 MB when full. Beyond it the longest unused is
 * forgotten; a client needs twenty days of its own budget to push out what it has spent.
 */
const MAX_COUNTERS = 100_000;
const MAX_CLIENTS = 10_000;

/** What a budget must know of a client. */
export type BudgetedClient = Pick<Client, 'clientId' | 'budgets'>;

/** A client that compares with subjects. */
export type VerifyingClient = BudgetedClient & Pick<Client, 'agency'>;

/** What a call has cost, in comparisons. Plain data: the audit keeps it. */
export interface Charge {
  /** To the budget of the client. */
  readonly client: number;
  /** To that of the client and subject, and to that of the subject. */
  readonly subject: number;
}

/** What an answer has cost in addition to what was spent before it. */
export interface AnswerCharge extends Charge {
  readonly isWeak: boolean;
}

/** Called about comparisons with a subject, for the alarm about spent budgets. */
export interface BudgetEvents {
  /** One was refused because of its subject. @param isHidden - see keyOfHidden */
  refused(client: VerifyingClient, subjectId: string, isHidden: boolean): void;
  /** One was answered, about a subject that the client can find. */
  answered(client: VerifyingClient, subjectId: string, answer: ToldAnswer): void;
}

/** A charge of an earlier process, or of another service. */
export interface EarlierCharge extends Charge {
  readonly clientId: string;
  /** See `spend`. */
  readonly subjectKey: string;
  readonly ageMs: number;
}

/**
 * The key of a subject that a client cannot find, if there is one: no client may spend the budget of such a subject, or
 * learn what others have spent of it.
 */
export function keyOfHidden(subjectId: string, clientId: string): string {
  return `${subjectId} ${clientId}`;
}

/** The subject of a key. Neither ids of subjects nor of clients have a space. */
function subjectOf(key: string): string {
  return key.split(' ', 1)[0];
}

function isHidden(key: string): boolean {
  return key.includes(' ');
}

export class VerifyBudgets {
  readonly #clock: SteadyClock;
  readonly #clients = new LRUCache<string, SlidingCount>({ max: MAX_CLIENTS });
  readonly #pairs: LRUCache<string, SlidingCount>;
  readonly #subjects: LRUCache<string, SlidingCount>;

  readonly #events: Partial<BudgetEvents>;

  constructor(clock = new SteadyClock(), maxCounters = MAX_COUNTERS, events: Partial<BudgetEvents> = {}) {
    this.#clock = clock;
    this.#events = events;
    this.#pairs = new LRUCache({ max: maxCounters });
    this.#subjects = new LRUCache({ max: maxCounters });
  }

  /**
   * Spends before the comparison. All budgets or none are charged, but for the price of a refusal.
   * @param subjectKey - the subject's id, or keyOfHidden
   * @param count - answers that the caller will get: 1 where it learns only the fused rate, of however many samples;
   * the number of samples where it gets a score for each
   * @param noted - called with what the call costs, before it is refused
   * @throws Failure VERIFY_BUDGET_SPENT with the time until it can succeed, in the same words whichever budget it is
   */
  spend(client: VerifyingClient, subjectKey: string, count = 1, noted: (cost: Charge) => void = () => undefined): void {
    const now = this.#clock.now();
    const perDay = client.budgets.verificationsPerDay ?? VERIFICATIONS_PER_CLIENT_DAY;
    const own = countOf(this.#clients, client.clientId);
    const ownWait = own.wait([{ limit: perDay, periodMs: DAY_MS }], count, now);
    // Checked first: a caller out of budget touches no other counter, and so cannot push any out.
    if (ownWait > 0) throw spent(ownWait);
    const pair = countOf(this.#pairs, pairKey(client.clientId, subjectKey));
    const subject = countOf(this.#subjects, subjectKey);
    const wait = Math.max(pair.wait(PAIR, count, now), subject.wait(SUBJECT, count, now));
    // Otherwise a caller could try keys without end.
    const cost = wait > 0 ? REFUSED : { client: count, subject: count };
    this.#charge({ ...cost, clientId: client.clientId, subjectKey, ageMs: 0 });
    noted(cost);
    if (wait === 0) return;
    this.#events.refused?.(client, subjectOf(subjectKey), isHidden(subjectKey));
    throw spent(wait);
  }

  /**
   * Takes what the caller is told, after it was spent for, and charges it if it is weaker than a mate's. It is never
   * refused.
   * @param log10Fmr - log10 of the fused rate that it is told
   * @param count - as for `spend`
   * @returns what the call costs in addition
   */
  answered(client: VerifyingClient, subjectKey: string, log10Fmr: number, count = 1): AnswerCharge {
    const isWeak = log10Fmr > WEAK_ANSWER_LOG10;
    const cost = { client: 0, subject: isWeak ? (COST_OF_WEAK - 1) * count : 0 };
    this.#charge({ ...cost, clientId: client.clientId, subjectKey, ageMs: 0 });
    if (!isHidden(subjectKey)) this.#events.answered?.(client, subjectKey, { count, isWeak });
    return { ...cost, isWeak };
  }

  /** Notes what was charged elsewhere or before, in any order. Nothing is refused. */
  note(earlier: EarlierCharge): void {
    this.#charge(earlier);
  }

  #charge({ clientId, subjectKey, client, subject, ageMs }: EarlierCharge): void {
    const at = this.#clock.now() - ageMs;
    if (client > 0) countOf(this.#clients, clientId).add(client, at, DAY_MS);
    if (subject === 0) return;
    countOf(this.#pairs, pairKey(clientId, subjectKey)).add(subject, at, MONTH_MS);
    countOf(this.#subjects, subjectKey).add(subject, at, MONTH_MS);
  }
}

/** A refused call costs as well. */
const REFUSED: Charge = { client: 1, subject: 0 };

function countOf(counts: LRUCache<string, SlidingCount>, key: string): SlidingCount {
  const known = counts.get(key);
  if (known !== undefined) return known;
  const made = new SlidingCount();
  counts.set(key, made);
  return made;
}

/** Client ids have no space. */
function pairKey(clientId: string, subjectKey: string): string {
  return `${clientId} ${subjectKey}`;
}

function spent(waitMs: number): Failure {
  const sentence = 'The budget of comparisons with enrolled subjects is spent.';
  // A call that no budget ever allows has no time to try again.
  const detail = waitMs === Infinity ? {} : { retryAfterMs: Math.ceil(waitMs) };
  return new Failure('resource-exhausted', 'VERIFY_BUDGET_SPENT', sentence, detail);
}
