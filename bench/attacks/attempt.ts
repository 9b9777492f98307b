/** One attack: its clients, its clock, and how far it came. */
import { Failure } from '../../src/failure.ts';

/** The attack is over: its calls or its time are spent, or all of its clients are disabled. */
export class Ended extends Error {}

/** What an attempt came to. Calls are counted from 1; undefined: never. */
export interface Outcome {
  readonly calls: number;
  readonly days: number;
  readonly rebuiltAt: number | undefined;
  readonly alarmAt: number | undefined;
  readonly disabledAt: number | undefined;
  /** First call refused because a budget was spent: operators see these refusals. */
  readonly budgetSpentAt: number | undefined;
  /** Call and day at which a budget had been spent again and again. */
  readonly budgetAlarmAt: number | undefined;
  readonly budgetAlarmDay: number | undefined;
  /** Refused calls by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Largest cosine of a rebuilt template and the reference, before any refusal to go on. */
  readonly similarity: number;
}

export interface AttemptLimits {
  readonly calls: number;
  readonly days: number;
  /** Clients that the attacker has, and agencies that they are spread over. */
  readonly clients: number;
  readonly agencies: number;
}

const DAY_MS = 86_400_000;
/** Between calls of an attacker that does not wait: 20 calls a second. */
const CALL_MS = 50;

export class Attempt {
  readonly #limits: AttemptLimits;
  readonly #disabled = new Set<string>();
  readonly #refused: Record<string, number> = {};
  #nowMs = 0;
  #calls = 0;
  #rebuiltAt: number | undefined;
  #alarmAt: number | undefined;
  #disabledAt: number | undefined;
  #budgetSpentAt: number | undefined;
  #budgetAlarm: { readonly call: number; readonly day: number } | undefined;
  #similarity = -1;

  constructor(limits: AttemptLimits) {
    this.#limits = limits;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** @throws Ended when the time is over */
  wait(ms: number): void {
    this.#nowMs += ms;
    if (this.#nowMs > this.#limits.days * DAY_MS) throw new Ended();
  }

  /**
   * Makes one call with the next client that is not disabled.
   * @returns undefined: it was refused, and the attacker has waited as it was told
   * @throws Ended
   */
  call<Answer>(run: (client: { clientId: string; agency: string; budgets: object }) => Answer): Answer | undefined {
    if (this.#calls >= this.#limits.calls) throw new Ended();
    const client = this.#nextClient();
    this.#calls++;
    this.wait(CALL_MS);
    try {
      return run(client);
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      this.#refused[thrown.reason] = (this.#refused[thrown.reason] ?? 0) + 1;
      if (thrown.reason === 'VERIFY_BUDGET_SPENT') this.#budgetSpentAt ??= this.#calls;
      // With several clients the next one goes on instead.
      if (this.#limits.clients === 1 || this.#calls % this.#limits.clients === 0)
        this.wait(thrown.detail.retryAfterMs ?? 0);
      return undefined;
    }
  }

  noteAlarm(): void {
    this.#alarmAt ??= this.#calls;
  }

  noteBudgetAlarm(): void {
    this.#budgetAlarm ??= { call: this.#calls, day: Number((this.#nowMs / DAY_MS).toFixed(2)) };
  }

  noteDisabled(clientId: string): void {
    this.#disabledAt ??= this.#calls;
    this.#disabled.add(clientId);
  }

  /** Whether a rebuilt template would pass, as the bench knows and the attacker does not. */
  noteRebuilt(similarity: number, passes: boolean): void {
    this.#similarity = Math.max(this.#similarity, similarity);
    if (passes) this.#rebuiltAt ??= this.#calls;
  }

  get isRebuilt(): boolean {
    return this.#rebuiltAt !== undefined;
  }

  get outcome(): Outcome {
    return {
      calls: this.#calls,
      days: Number((this.#nowMs / DAY_MS).toFixed(2)),
      rebuiltAt: this.#rebuiltAt,
      alarmAt: this.#alarmAt,
      disabledAt: this.#disabledAt,
      budgetSpentAt: this.#budgetSpentAt,
      budgetAlarmAt: this.#budgetAlarm?.call,
      budgetAlarmDay: this.#budgetAlarm?.day,
      refused: this.#refused,
      similarity: Number(this.#similarity.toFixed(3)),
    };
  }

  #nextClient() {
    const { clients, agencies } = this.#limits;
    for (let i = 0; i < clients; i++) {
      const number = (this.#calls + i) % clients;
      const clientId = `client-${number}`;
      if (!this.#disabled.has(clientId)) return { clientId, agency: `agency-${number % agencies}`, budgets: {} };
    }
    throw new Ended();
  }
}
