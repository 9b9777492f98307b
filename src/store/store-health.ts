/** Probes whether the store can be reached and written. */
import pg from 'pg';
import type { Failure } from '../failure.ts';
import { connectionTo } from './connection.ts';
import { waitPatiently } from './patience.ts';
import { asStoreFailure } from './store-failure.ts';

/** Interval between two probes of a writable store, and of any other, in milliseconds. */
const INTERVAL_MS = 10_000;
const TROUBLED_INTERVAL_MS = 2000;
/** The database cancels a longer statement. A longer probe means that the store does not answer. */
const STATEMENT_TIMEOUT_MS = 3000;
const ANSWER_TIMEOUT_MS = 10_000;

export interface StoreCondition {
  readonly isReachable: boolean;
  readonly isWritable: boolean;
  /** Why it cannot be reached or written, a reason of docs/errors.md and a sentence; undefined when it can. */
  readonly trouble: Pick<Failure, 'reason' | 'message'> | undefined;
}

const HEALTHY: StoreCondition = { isReachable: true, isWritable: true, trouble: undefined };

/**
 * Needs disk space, because a sort beyond this little memory is written to a file, and a durable commit; leaves no
 * trace. A table of its own would allocate its space once and never detect a full disk.
 */
const PROBE = `SET LOCAL work_mem = '64kB';
  SELECT count(*) FROM (SELECT g FROM generate_series(1, 12000) g ORDER BY md5(g::text) OFFSET 0) sorted;
  SELECT pg_logical_emit_message(true, 'ridgewatch', 'probe')`;

/**
 * Keeps the result of the last probe. Only one probe runs at a time, on its own connection, and each has a time limit.
 */
export class StoreHealth {
  readonly #url: string;
  readonly #answerMs: number;
  #condition = HEALTHY;
  #under: Promise<void> | undefined;
  #dueAt = 0;

  /** @param answerMs - limit for a whole probe, in milliseconds */
  constructor(url: string, answerMs = ANSWER_TIMEOUT_MS) {
    this.#url = url;
    this.#answerMs = answerMs;
  }

  get condition(): StoreCondition {
    return this.#condition;
  }

  /** Reports an error of the store: the next probe is due at once. */
  doubt(): void {
    this.#dueAt = 0;
  }

  /**
   * Probes if a probe is due and none is running. Call it periodically.
   * @param onChange - called when the condition has changed
   */
  check(onChange: (now: StoreCondition) => void): Promise<void> {
    if (this.#under !== undefined) return this.#under;
    if (performance.now() < this.#dueAt) return Promise.resolve();
    this.#dueAt = Infinity;
    return (this.#under = this.#look(onChange).finally(() => (this.#under = undefined)));
  }

  async #look(onChange: (now: StoreCondition) => void): Promise<void> {
    const trouble = await probe(this.#url, this.#answerMs);
    const before = this.#condition;
    this.#condition =
      trouble === undefined
        ? HEALTHY
        : { isReachable: trouble.reason !== 'STORE_UNAVAILABLE', isWritable: false, trouble };
    // Unless doubt() was called meanwhile.
    if (this.#dueAt === Infinity)
      this.#dueAt = performance.now() + (trouble === undefined ? INTERVAL_MS : TROUBLED_INTERVAL_MS);
    if (before.trouble?.reason !== trouble?.reason) onChange(this.#condition);
  }
}

/** @returns why the store cannot be written; undefined: it can */
async function probe(url: string, answerMs: number): Promise<Failure | undefined> {
  // The client's own timeouts also count time in which this process is blocked, and would report that the store does
  // not answer.
  const client = connectionTo(url, { connectionTimeoutMillis: 0, query_timeout: 0 });
  client.on('error', () => undefined);
  const answered = waitPatiently(answerMs, () => client.connection.stream.destroy());
  try {
    await client.connect();
    await client.query(`SET statement_timeout = ${STATEMENT_TIMEOUT_MS}; SET lock_timeout = ${STATEMENT_TIMEOUT_MS}`);
    const sql = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS fixed`;
    const { rows } = await client.query<{ fixed: boolean }>(sql);
    if (rows[0]?.fixed === true) return asStoreFailure(new ReadOnly());
    await client.query(`BEGIN; ${PROBE}; COMMIT`);
    return undefined;
  } catch (error) {
    return asStoreFailure(error);
  } finally {
    answered();
    // Not awaited: for a server that does not answer it would never end.
    void client.end().catch(() => undefined);
  }
}

/** The database's error for a change while it is read-only. */
class ReadOnly extends pg.DatabaseError {
  constructor() {
    super('it can only be read', 0, 'error');
    this.code = '25006';
  }
}
