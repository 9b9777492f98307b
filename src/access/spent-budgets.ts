/**
 * Notices callers that spend the budget of comparisons with one subject again and again. A patient attacker stays within
 * the budgets and waits as refusals tell it: each answer brings it nearer to the template, and what shows is that it
 * comes back for more. One with many clients is never refused: what shows is what the answers about the subject are
 * (weak-answers.ts). Nothing of this reaches the caller.
 */
import { LRUCache } from 'lru-cache';
import type { Client } from './principal.ts';
import { MONTH_MS, SlidingCount } from './sliding-count.ts';
import { SteadyClock } from './steady-clock.ts';
import { WeakAnswers, type ToldAnswer } from './weak-answers.ts';

/** Hours with a refusal within 30 days until the alarm. A caller that repeats a call at once is refused within one. */
export const HOURS_TO_ALARM = 3;
/** Refusals within 30 days until the alarm, even within one hour: a caller that does not wait at all. */
export const REFUSALS_TO_ALARM = 10;
/** Of clients with a subject, of agencies with a subject and of subjects, each: about 20 MB when full. */
const MAX_RUNS = 50_000;

export type SpendingClient = Pick<Client, 'clientId' | 'agency'>;

const SCOPES = ['client', 'agency', 'subject'] as const;
type Scope = (typeof SCOPES)[number];

/** A budget was spent again and again. The client is the one whose call was the last of it. */
export interface BudgetAlarm extends SpendingClient {
  readonly subjectId: string;
  /** Whether the client alone reached the limit, several clients of its agency together, or all clients together. */
  readonly scope: Scope;
  /** Refused comparisons within 30 days. */
  readonly refusals: number;
  /** Answers within 30 days that were weaker than a mate's, where they raised the alarm; otherwise 0. */
  readonly weakAnswers: number;
}

/** The refusals of one client, of one agency, or of all, about one subject. */
interface Run {
  readonly refusals: SlidingCount;
  /** The first client of an agency, or the first agency of a subject; another one makes them several. */
  readonly first: string;
  isSeveral: boolean;
  alarmedAtMs: number;
}

export class SpentBudgets {
  readonly #onAlarm: (alarm: BudgetAlarm) => void;
  readonly #clock: SteadyClock;
  readonly #runs: Readonly<Record<Scope, LRUCache<string, Run>>>;
  readonly #weak: WeakAnswers;

  /** @param onAlarm - called once for each run: not again within 30 days, for the same scope and subject */
  constructor(onAlarm: (alarm: BudgetAlarm) => void, clock = new SteadyClock(), maxRuns = MAX_RUNS) {
    this.#onAlarm = onAlarm;
    this.#clock = clock;
    const runs = () => new LRUCache<string, Run>({ max: maxRuns });
    this.#weak = new WeakAnswers(2 * maxRuns);
    this.#runs = { client: runs(), agency: runs(), subject: runs() };
  }

  /**
   * Takes a refused comparison with a subject. Refusals because of the client's own budget are none.
   * @param isHidden - the client cannot find such a subject: its calls are none about the subject that others find
   */
  refused(client: SpendingClient, subjectId: string, isHidden = false): void {
    const now = this.#clock.now();
    this.noteRefusal(client, subjectId, 0, isHidden);
    for (const scope of scopesOf(isHidden)) {
      const run = this.#runOf(scope, client, subjectId);
      const { events, hours } = run.refusals.within(MONTH_MS, now);
      const isAgain = hours >= HOURS_TO_ALARM || events >= REFUSALS_TO_ALARM;
      if (isAgain && (scope === 'client' || run.isSeveral)) this.#raise(scope, client, subjectId, 0);
    }
  }

  /** Takes what a client was told about a subject that it can find. */
  answered(client: SpendingClient, subjectId: string, answer: ToldAnswer): void {
    this.noteAnswer(subjectId, answer, 0);
    if (!answer.isWeak) return;
    const weak = this.#weak.conspicuous(subjectId, this.#clock.now());
    if (weak > 0) this.#raise('subject', client, subjectId, weak);
  }

  /** Notes a refusal of an earlier process, or of another service, in any order. There is no alarm. */
  noteRefusal(client: SpendingClient, subjectId: string, ageMs: number, isHidden = false): void {
    for (const scope of scopesOf(isHidden)) {
      const run = this.#runOf(scope, client, subjectId);
      run.refusals.add(1, this.#clock.now() - ageMs, MONTH_MS);
      run.isSeveral ||= run.first !== memberOf(scope, client);
    }
  }

  /** Notes an answer of an earlier process, or of another service, in any order. There is no alarm. */
  noteAnswer(subjectId: string, answer: ToldAnswer, ageMs: number): void {
    this.#weak.note(subjectId, answer, this.#clock.now() - ageMs);
  }

  /** Notes an alarm of an earlier process, or of another service: it is not raised again. */
  noteAlarm({ scope, subjectId, ...client }: Omit<BudgetAlarm, 'refusals' | 'weakAnswers'>, ageMs: number): void {
    const run = this.#runOf(scope, client, subjectId);
    run.alarmedAtMs = Math.max(run.alarmedAtMs, this.#clock.now() - ageMs);
  }

  #raise(scope: Scope, client: SpendingClient, subjectId: string, weakAnswers: number): void {
    const now = this.#clock.now();
    const run = this.#runOf(scope, client, subjectId);
    if (now - run.alarmedAtMs < MONTH_MS) return;
    run.alarmedAtMs = now;
    const { clientId, agency } = client;
    const refusals = run.refusals.within(MONTH_MS, now).events;
    this.#onAlarm({ clientId, agency, subjectId, scope, refusals, weakAnswers });
  }

  #runOf(scope: Scope, client: SpendingClient, subjectId: string): Run {
    const key = keyOf(scope, client, subjectId);
    const known = this.#runs[scope].get(key);
    if (known !== undefined) return known;
    const first = memberOf(scope, client);
    const made = { refusals: new SlidingCount(), first, isSeveral: false, alarmedAtMs: -Infinity };
    this.#runs[scope].set(key, made);
    return made;
  }
}

function scopesOf(isHidden: boolean): readonly Scope[] {
  return isHidden ? ['client', 'agency'] : SCOPES;
}

/** Ids of subjects have no space. */
function keyOf(scope: Scope, { clientId, agency }: SpendingClient, subjectId: string): string {
  if (scope === 'subject') return subjectId;
  return `${subjectId} ${scope === 'client' ? clientId : agency}`;
}

/** What a run of the scope may have several of. */
function memberOf(scope: Scope, { clientId, agency }: SpendingClient): string {
  return scope === 'subject' ? agency : clientId;
}
