/**
 * Budgets of comparisons with enrolled subjects. Each answer tells something about the reference: a gate compares a
 * traveller a few times, an attacker who rebuilds a template needs hundreds of answers about one subject.
 *
 * Counters live in the memory of one process: a restart gives a day's budget anew unless the audit's records are noted
 * again, and each service on a database counts for itself.
 */
import { LRUCache } from 'lru-cache';
import { Failure } from '../failure.ts';
import type { Client } from './principal.ts';
import { DAY_MS, SlidingCount, type WindowLimit } from './sliding-count.ts';
import { SteadyClock } from './steady-clock.ts';

const MONTH_MS = 30 * DAY_MS;

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

export class VerifyBudgets {
  readonly #clock: SteadyClock;
  readonly #clients = new LRUCache<string, SlidingCount>({ max: MAX_CLIENTS });
  readonly #pairs: LRUCache<string, SlidingCount>;
  readonly #subjects: LRUCache<string, SlidingCount>;

  constructor(clock = new SteadyClock(), maxCounters = MAX_COUNTERS) {
    this.#clock = clock;
    this.#pairs = new LRUCache({ max: maxCounters });
    this.#subjects = new LRUCache({ max: maxCounters });
  }

  /**
   * Spends before the comparison. All budgets or none are charged.
   * @param count - answers that the caller will get: 1 where it learns only the fused rate, of however many samples;
   * the number of samples where it gets a score for each
   * @throws Failure VERIFY_BUDGET_SPENT with the time until it can succeed, in the same words whichever budget it is
   */
  spend(client: BudgetedClient, subjectId: string, count = 1): void {
    const now = this.#clock.now();
    const perDay = client.budgets.verificationsPerDay ?? VERIFICATIONS_PER_CLIENT_DAY;
    const own = countOf(this.#clients, client.clientId);
    const ownWait = own.wait([{ limit: perDay, periodMs: DAY_MS }], count, now);
    // Checked first: a caller out of budget touches no other counter, and so cannot push any out.
    if (ownWait > 0) throw spent(ownWait);
    const pair = countOf(this.#pairs, pairKey(client.clientId, subjectId));
    const subject = countOf(this.#subjects, subjectId);
    const wait = Math.max(pair.wait(PAIR, count, now), subject.wait(SUBJECT, count, now));
    // A refused call costs as well: otherwise a caller could try keys without end.
    if (wait > 0) {
      own.add(1, now, DAY_MS);
      throw spent(wait);
    }
    own.add(count, now, DAY_MS);
    pair.add(count, now, MONTH_MS);
    subject.add(count, now, MONTH_MS);
  }

  /**
   * Charges an answer that was weaker than a mate's, after it was spent for. It is never refused.
   * @param count - as for `spend`
   */
  chargeWeak({ clientId }: BudgetedClient, subjectId: string, count = 1): void {
    const now = this.#clock.now();
    const more = (COST_OF_WEAK - 1) * count;
    countOf(this.#pairs, pairKey(clientId, subjectId)).add(more, now, MONTH_MS);
    countOf(this.#subjects, subjectId).add(more, now, MONTH_MS);
  }
}

function countOf(counts: LRUCache<string, SlidingCount>, key: string): SlidingCount {
  const known = counts.get(key);
  if (known !== undefined) return known;
  const made = new SlidingCount();
  counts.set(key, made);
  return made;
}

/** Client ids have no space. */
function pairKey(clientId: string, subjectId: string): string {
  return `${clientId} ${subjectId}`;
}

function spent(waitMs: number): Failure {
  const sentence = 'The budget of comparisons with enrolled subjects is spent.';
  // A call that no budget ever allows has no time to try again.
  const detail = waitMs === Infinity ? {} : { retryAfterMs: Math.ceil(waitMs) };
  return new Failure('resource-exhausted', 'VERIFY_BUDGET_SPENT', sentence, detail);
}
