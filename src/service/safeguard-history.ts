/**
 * Gives budgets and alarms what the audit knows: of earlier processes at the start, and of other services on the database
 * every few seconds. Every answered comparison was recorded before its answer left, so that no restart, however sudden,
 * gives a budget anew.
 */
import { LOCAL_CLIENT } from '../access/local-client.ts';
import { COST_OF_WEAK, keyOfHidden, WEAK_ANSWER_LOG10, type Charge, type VerifyBudgets } from '../access/budgets.ts';
import type { ProbeWindow } from '../access/probe-window.ts';
import { MONTH_MS } from '../access/sliding-count.ts';
import type { SpentBudgets } from '../access/spent-budgets.ts';
import {
  readSafeguardRecord,
  type RecordReader,
  type SafeguardRecord,
  type WriterPlaces,
} from '../audit/safeguard-records.ts';
import { Failure } from '../failure.ts';
import { inSlices, SLICE_MS } from '../gallery/slices.ts';

/** Time between two looks at what other services have recorded, and between attempts after a failure. */
const INTERVAL_MS = 2000;

export interface HistoryParts {
  readonly records: RecordReader;
  /** The writer of this process's own records: it counts for itself. */
  readonly ownWriter: string;
  readonly budgets: Pick<VerifyBudgets, 'note'>;
  readonly spent: Pick<SpentBudgets, 'noteRefusal' | 'noteAnswer' | 'noteAlarm'>;
  readonly window: Pick<ProbeWindow, 'noteRefusal' | 'noteAlarm'>;
  /** Called when the records cannot be read, and with undefined when they can again. */
  readonly onTrouble: (error: unknown) => void;
}

export class SafeguardHistory {
  readonly #parts: HistoryParts;
  #places: WriterPlaces | undefined;
  #reading: Promise<void> | undefined;
  #isTroubled = false;
  #nextAt = -Infinity;
  #isStopped = false;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /** Reads what is new, if it is time. To be called regularly. @returns resolves when it is read, or cannot be */
  run(): Promise<void> {
    if (this.#isStopped || performance.now() < this.#nextAt) return this.#reading ?? Promise.resolve();
    return (this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
      this.#nextAt = performance.now() + INTERVAL_MS;
    }));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#reading;
  }

  /**
   * Waits until it is known what was spent before this process: nothing may be spent earlier.
   * @param signal - ends the waiting
   * @throws Failure BUDGETS_UNREAD when it cannot be read; the reason of the signal
   */
  async requireRead(signal: AbortSignal): Promise<void> {
    if (this.#places !== undefined) return;
    signal.throwIfAborted();
    const ended = Promise.withResolvers<never>();
    const end = () => ended.reject(signal.reason as Error);
    signal.addEventListener('abort', end, { once: true });
    try {
      await Promise.race([this.#reading ?? this.run(), ended.promise]);
    } finally {
      signal.removeEventListener('abort', end);
    }
    // `#read` has set it meanwhile, unless it failed.
    if ((this.#places as WriterPlaces | undefined) !== undefined) return;
    const sentence = 'What clients have spent on comparisons cannot be read from the audit yet.';
    throw new Failure('unavailable', 'BUDGETS_UNREAD', sentence, { retryAfterMs: INTERVAL_MS });
  }

  async #read(): Promise<void> {
    const { records, ownWriter, onTrouble } = this.#parts;
    const query = { since: new Date(Date.now() - MONTH_MS), except: ownWriter };
    // Kept until all of them are read: a reading that fails half-way must not count any twice.
    const found: SafeguardRecord[] = [];
    const take = (texts: readonly string[]) => {
      for (const text of texts) {
        const record = readSafeguardRecord(text);
        if (record !== undefined) found.push(record);
      }
      return this.#isStopped ? Promise.reject(new Error('stopped')) : Promise.resolve();
    };
    try {
      const places = await (this.#places === undefined
        ? records.all(query, take)
        : records.later(query, this.#places, take));
      await inSlices(this.#notes(found), SLICE_MS);
      this.#places = places;
      if (this.#isTroubled) onTrouble(undefined);
      this.#isTroubled = false;
    } catch (error) {
      if (!this.#isTroubled && !this.#isStopped) onTrouble(error);
      this.#isTroubled = true;
    }
  }

  *#notes(records: readonly SafeguardRecord[]): Generator<void> {
    for (const record of records) {
      this.#note(record);
      yield;
    }
  }

  #note(record: SafeguardRecord): void {
    const { budgets, spent, window } = this.#parts;
    const { client_id: clientId, agency = '', subject_id: subjectId, reason, facts } = record;
    const ageMs = Math.max(0, Date.now() - Date.parse(record.ended));
    const client = { clientId, agency };
    if (record.kind === 'administration') {
      if (facts === undefined) return;
      const { scope } = facts;
      if (reason === 'PROBES_ALIKE_ALARM' && scope !== 'subject') window.noteAlarm({ ...client, scope }, ageMs);
      else if (reason === 'VERIFY_BUDGET_ALARM' && subjectId !== undefined)
        spent.noteAlarm({ ...client, subjectId, scope }, ageMs);
      return;
    }
    if (reason === 'PROBES_ALIKE') window.noteRefusal(client, ageMs);
    const charge = chargeOf(record);
    if (subjectId === undefined || charge === undefined) return;
    const isHidden = record.charged?.is_hidden === true;
    budgets.note({ ...charge, clientId, subjectKey: isHidden ? keyOfHidden(subjectId, clientId) : subjectId, ageMs });
    if (reason === 'VERIFY_BUDGET_SPENT' && charge.client > 0) spent.noteRefusal(client, subjectId, ageMs, isHidden);
    if (record.outcome !== 'OK' || isHidden) return;
    const isWeak = isWeakAnswer(record);
    spent.noteAnswer(subjectId, { count: charge.subject / (isWeak ? COST_OF_WEAK : 1), isWeak }, ageMs);
  }
}

/** What a comparison has cost. Earlier versions did not record it. */
function chargeOf(record: SafeguardRecord): Charge | undefined {
  const { action, client_id, purpose, outcome, charged } = record;
  if (charged !== undefined) return charged;
  if (action !== 'verify' || client_id === LOCAL_CLIENT || purpose === 'test' || outcome !== 'OK') return undefined;
  return { client: 1, subject: isWeakAnswer(record) ? COST_OF_WEAK : 1 };
}

/** Earlier versions did not record it, but a rate before it was rounded. */
function isWeakAnswer({ charged, log10_fmr }: SafeguardRecord): boolean {
  return charged?.is_weak ?? (log10_fmr ?? 0) > WEAK_ANSWER_LOG10;
}
