/** Makes records durable: many at a time in the database, or in a local file while the database is away. */
import { asFailure, Failure } from '../failure.ts';
import type { AuditLog } from './audit-log.ts';
import type { Head } from './audit-entry.ts';
import type { Chain, ChainedRecord, UnchainedRecord } from './chain.ts';
import type { Spool } from './spool.ts';

/** Records of a batch: one statement, one signature. */
const MAX_BATCH = 256;
/** Records that wait for their batch. More are refused: the database and the disk do not keep up. */
const MAX_WAITING = 8192;
/** Time that a record may take, in milliseconds. */
const MAX_WAIT_MS = 10_000;
/** Time between two attempts to reach the database, in milliseconds. */
const RETRY_MS = 1000;
/** The rest of the file that is replayed while records wait, in bytes. */
const MAX_REST_BYTES = 1 << 20;
const RETRY_AFTER_MS = 1000;

interface Waiting {
  readonly record: UnchainedRecord;
  readonly resolve: () => void;
  readonly reject: (failure: Failure) => void;
}

interface Batch {
  readonly waiting: readonly Waiting[];
  readonly records: readonly ChainedRecord[];
  /** Some of it may be in the database or in the file: it keeps its place in the chain. */
  mayExist: boolean;
}

export interface WriterParts {
  readonly chain: Chain;
  readonly log: Pick<AuditLog, 'append'>;
  readonly spool: Spool;
  /** Called with each durable head. */
  readonly onHead: (head: Head) => void;
  /** Called when the database is away, once for each reason, and with undefined when it is back. */
  readonly onAway: (failure: Failure | undefined) => void;
}

/** State of a writer, for readiness and metrics. */
export interface WriterFigures {
  /** Records durable so far. */
  readonly records: number;
  /** Records refused so far. */
  readonly refused: number;
  readonly waiting: number;
  /** The database is away: records go to the file. */
  readonly isSpooling: boolean;
  readonly spooledBytes: number;
  /** Records are being refused. */
  readonly isBlocked: boolean;
}

/** Writes the records of one chain. One batch is under way at a time; whatever arrives meanwhile is the next one. */
export class AuditWriter {
  readonly #parts: WriterParts;
  #queue: Waiting[] = [];
  /** Must be written before anything else. */
  #unsettled: Batch | undefined;
  #pumping: Promise<void> | undefined;
  #isAway = false;
  /** All of the file but a small rest is in the database. */
  #isCaughtUp = false;
  /** Offset in the file up to which it is in the database. */
  #replayed: number | undefined;
  #retry: NodeJS.Timeout | undefined;
  #replaying: Promise<void> | undefined;
  #isClosed = false;
  #records = 0;
  #refused = 0;
  #isBlocked = false;
  #obstacle: string | undefined;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  get figures(): WriterFigures {
    return {
      records: this.#records,
      refused: this.#refused,
      waiting: this.#queue.length,
      isSpooling: this.#isAway,
      spooledBytes: this.#parts.spool.isEmpty ? 0 : this.#parts.spool.end,
      isBlocked: this.#isBlocked,
    };
  }

  /**
   * Resolves when the record is durable.
   * @throws Failure AUDIT_UNAVAILABLE: it may still be recorded, never the reverse
   */
  write(record: UnchainedRecord): Promise<void> {
    if (this.#isClosed || this.#unsettled !== undefined || this.#queue.length >= MAX_WAITING) {
      this.#refused++;
      return Promise.reject(unavailable());
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#refused++;
        reject(unavailable());
      }, MAX_WAIT_MS);
      const settle = (end: () => void) => {
        clearTimeout(timer);
        end();
      };
      this.#queue.push({
        record,
        resolve: () => settle(resolve),
        reject: (failure) => settle(() => reject(failure)),
      });
      this.#pump();
    });
  }

  /** Writes what waits, and takes no more. Records in the file stay there if the database is away. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    await this.#replaying;
    // While the database is away, one last attempt: the next start would do the same.
    if (this.#isAway) this.#pump();
    while (this.#pumping !== undefined) await this.#pumping;
  }

  #pump(): void {
    this.#pumping ??= this.#run().finally(() => {
      this.#pumping = undefined;
      // Arrived in the same turn as the end.
      if (this.#queue.length > 0 && this.#unsettled === undefined) this.#pump();
    });
  }

  async #run(): Promise<void> {
    // Records of callers that ask in the same turn share a batch.
    await Promise.resolve();
    for (;;) {
      if (this.#isAway && (this.#isCaughtUp || this.#isClosed)) await this.#comeBack();
      const batch = this.#unsettled ?? this.#nextBatch();
      if (batch === undefined) return;
      if (!(await this.#settle(batch))) return;
    }
  }

  #nextBatch(): Batch | undefined {
    while (this.#queue.length > 0) {
      const waiting = this.#queue.splice(0, MAX_BATCH);
      try {
        const records = this.#parts.chain.batchOf(waiting.map(({ record }) => record));
        return { waiting, records, mayExist: false };
      } catch (error) {
        for (const { reject } of waiting) reject(asFailure(error));
      }
    }
    return undefined;
  }

  /** @returns false: it stays, and nothing can follow it */
  async #settle(batch: Batch): Promise<boolean> {
    const { chain, spool, onHead } = this.#parts;
    const isKept = (!this.#isAway && (await this.#tryDatabase(batch))) || (await this.#trySpool(batch, spool));
    if (isKept) {
      this.#unsettled = undefined;
      this.#isBlocked = false;
      chain.advance(batch.records);
      onHead(chain.head);
      this.#records += batch.records.length;
      for (const { resolve } of batch.waiting) resolve();
      return true;
    }
    this.#isBlocked = true;
    this.#refused += batch.waiting.length;
    for (const { reject } of batch.waiting) reject(unavailable());
    if (!batch.mayExist) return true;
    // Its numbers may be taken: it is written before another record gets one.
    this.#unsettled = { ...batch, waiting: [] };
    for (const { reject } of this.#queue.splice(0)) reject(unavailable());
    return false;
  }

  async #tryDatabase(batch: Batch): Promise<boolean> {
    try {
      await this.#parts.log.append(batch.records);
      return true;
    } catch (error) {
      batch.mayExist = true;
      this.#goAway(error);
      return false;
    }
  }

  async #trySpool(batch: Batch, spool: Spool): Promise<boolean> {
    const kept = await spool.append(batch.records);
    if (kept === 'unknown') batch.mayExist = true;
    return kept === 'kept';
  }

  #goAway(error: unknown): void {
    this.#isAway = true;
    this.#isCaughtUp = false;
    this.#tell(error);
    this.#retryLater();
  }

  /** Each obstacle once. @param error - undefined: there is none any more */
  #tell(error: unknown): void {
    const failure = error === undefined ? undefined : asFailure(error);
    if (failure?.reason === this.#obstacle) return;
    this.#obstacle = failure?.reason;
    this.#parts.onAway(failure);
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#replaying = this.#catchUp().finally(() => (this.#replaying = undefined));
    }, RETRY_MS);
    this.#retry.unref();
  }

  /** Replays the file beside the records that it still gets, until little is left. */
  async #catchUp(): Promise<void> {
    const { spool, log } = this.#parts;
    try {
      if (spool.isEmpty) await log.append([]);
      while (spool.end - (this.#replayed ?? 0) > MAX_REST_BYTES && !this.#isClosed) await this.#replay();
      this.#isCaughtUp = true;
      this.#pump();
    } catch (error) {
      this.#tell(error);
      // Room may have been made for the file: a batch that stays is tried again.
      if (this.#unsettled !== undefined) this.#pump();
      this.#retryLater();
    }
  }

  /** Replays the rest of the file and empties it. No batch is written meanwhile. */
  async #comeBack(): Promise<void> {
    try {
      await this.#replay();
      await this.#parts.spool.clear();
      this.#replayed = undefined;
      this.#isAway = false;
      this.#tell(undefined);
    } catch (error) {
      this.#tell(error);
      this.#retryLater();
    } finally {
      this.#isCaughtUp = false;
    }
  }

  async #replay(): Promise<void> {
    const { spool, log } = this.#parts;
    if (spool.isEmpty) return;
    for await (const { records, end } of spool.batches(this.#replayed)) {
      await log.append(records);
      this.#replayed = end;
    }
  }
}

function unavailable(): Failure {
  const sentence = 'The audit record of this call cannot be kept: the call is refused. Try again shortly.';
  return new Failure('unavailable', 'AUDIT_UNAVAILABLE', sentence, { retryAfterMs: RETRY_AFTER_MS });
}
