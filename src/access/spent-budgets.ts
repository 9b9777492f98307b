/**
 * Notices callers that spend the budget of comparisons with one subject again and again. A patient attacker stays within
 * the budgets and waits as refusals tell it: each answer brings it nearer to the template, and what shows is that it
 * comes back for more. Nothing of this reaches the caller.
 */
import { LRUCache } from 'lru-cache';
import type { Client } from './principal.ts';
import { MONTH_MS, SlidingCount } from './sliding-count.ts';
import { SteadyClock } from './steady-clock.ts';

/** Hours with a refusal within 30 days until the alarm. A caller that repeats a call at once is refused within one. */
export const HOURS_TO_ALARM = 3;
/** Refusals within 30 days until the alarm, even within one hour: a caller that does not wait at all. */
export const REFUSALS_TO_ALARM = 10;
/** Of clients with a subject and of agencies with a subject, each: about 20 MB when full. */
const MAX_RUNS = 50_000;

export type SpendingClient = Pick<Client, 'clientId' | 'agency'>;

/** A budget was spent again and again. */
export interface BudgetAlarm extends SpendingClient {
  readonly subjectId: string;
  /** Whether the client alone reached the limit, or several clients of its agency together. */
  readonly scope: 'client' | 'agency';
  /** Refused comparisons within 30 days. */
  readonly refusals: number;
}

/** The refusals of one client, or of one agency, about one subject. */
interface Run {
  readonly refusals: SlidingCount;
  /** The first client of an agency; another one makes them several. */
  readonly firstClient: string;
  isSeveral: boolean;
  alarmedAtMs: number;
}

export class SpentBudgets {
  readonly #onAlarm: (alarm: BudgetAlarm) => void;
  readonly #clock: SteadyClock;
  readonly #runs: Readonly<Record<BudgetAlarm['scope'], LRUCache<string, Run>>>;

  /** @param onAlarm - called once for each run: not again within 30 days, for the same scope and subject */
  constructor(onAlarm: (alarm: BudgetAlarm) => void, clock = new SteadyClock(), maxRuns = MAX_RUNS) {
    this.#onAlarm = onAlarm;
    this.#clock = clock;
    this.#runs = { client: new LRUCache({ max: maxRuns }), agency: new LRUCache({ max: maxRuns }) };
  }

  /** Takes a refused comparison with a subject. Refusals because of the client's own budget are none. */
  refused(client: SpendingClient, subjectId: string): void {
    const now = this.#clock.now();
    this.noteRefusal(client, subjectId, 0);
    for (const scope of ['client', 'agency'] as const) {
      const run = this.#runOf(scope, client, subjectId);
      const { events, hours } = run.refusals.within(MONTH_MS, now);
      const isAgain = hours >= HOURS_TO_ALARM || events >= REFUSALS_TO_ALARM;
      if (!isAgain || (scope === 'agency' && !run.isSeveral) || now - run.alarmedAtMs < MONTH_MS) continue;
      run.alarmedAtMs = now;
      const { clientId, agency } = client;
      this.#onAlarm({ clientId, agency, subjectId, scope, refusals: events });
    }
  }

  /** Notes a refusal of an earlier process, or of another service, in any order. There is no alarm. */
  noteRefusal(client: SpendingClient, subjectId: string, ageMs: number): void {
    for (const scope of ['client', 'agency'] as const) {
      const run = this.#runOf(scope, client, subjectId);
      run.refusals.add(1, this.#clock.now() - ageMs, MONTH_MS);
      run.isSeveral ||= run.firstClient !== client.clientId;
    }
  }

  /** Notes an alarm of an earlier process, or of another service: it is not raised again. */
  noteAlarm({ scope, subjectId, ...client }: Omit<BudgetAlarm, 'refusals'>, ageMs: number): void {
    const run = this.#runOf(scope, client, subjectId);
    run.alarmedAtMs = Math.max(run.alarmedAtMs, this.#clock.now() - ageMs);
  }

  #runOf(scope: BudgetAlarm['scope'], { clientId, agency }: SpendingClient, subjectId: string): Run {
    // Ids of subjects have no space.
    const key = `${subjectId} ${scope === 'client' ? clientId : agency}`;
    const known = this.#runs[scope].get(key);
    if (known !== undefined) return known;
    const made = { refusals: new SlidingCount(), firstClient: clientId, isSeveral: false, alarmedAtMs: -Infinity };
    this.#runs[scope].set(key, made);
    return made;
  }
}
