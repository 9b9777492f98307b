/** Appends audit records, over a connection of their own: searches and enrolments cannot use it up. */
import type pg from 'pg';
import type { AuditLog, KnownWriter } from '../audit/audit-log.ts';
import type { ChainedRecord } from '../audit/chain.ts';
import { subjectsOf, type AuditRecord } from '../audit/audit-entry.ts';
import { Failure } from '../failure.ts';
import { connectionTo } from './connection.ts';
import { isConnectionError } from './database-error.ts';
import { waitPatiently } from './patience.ts';
import { asStoreFailure, storeUnavailable } from './store-failure.ts';

/** Time for an answer of the database, in milliseconds: beyond it, records go to the local file. */
const ANSWER_MS = 5000;
/** The database ends a statement itself a little earlier: it then cannot take effect later. */
const STATEMENT_MS = 4000;
/** Writers begin one after the other: the number of an advisory lock of this program. */
const BEGINNING = 7_213_400_812;

/** Limits of the session; and a commit is on disk when it is answered, whatever the database's default. */
const SESSION = `SET statement_timeout = ${STATEMENT_MS}; SET lock_timeout = ${STATEMENT_MS};
  SET idle_in_transaction_session_timeout = ${2 * ANSWER_MS};
  SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

const COLUMNS = ['writer', 'seq', 'at', 'kind', 'client_id', 'agency', 'subjects', 'entry', 'hash', 'signature'];
const UNTIL_TAKEN = 'ON CONFLICT (writer, seq) DO NOTHING';

/**
 * Rows of a batch that are written one by one in the statement: PostgreSQL then takes a quarter less time, and pg a
 * third, than with a list for each column. Each number of rows has a statement of its own.
 */
const MAX_LISTED = 32;
const ROW_TYPES = ['uuid', 'bigint', 'timestamptz', 'text', 'text', 'text', 'text::uuid[]', 'text', 'bytea', 'bytea'];

const APPEND_MANY = `INSERT INTO audit_record (${COLUMNS.join()})
  SELECT r.writer, r.seq, r.at, r.kind, r.client_id, r.agency, r.subjects::uuid[], r.entry, r.hash, r.signature
  FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bytea[], $10::bytea[]) AS r (${COLUMNS.join()})
  ${UNTIL_TAKEN}`;

const DIVERGED = `SELECT FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS r (writer, seq, hash)
  JOIN audit_record a ON a.writer = r.writer AND a.seq = r.seq WHERE a.hash <> r.hash LIMIT 1`;

/** The writers, found by steps in the primary key: there are few among many records. */
export const WRITERS = `WITH RECURSIVE known (writer) AS (
    (SELECT writer FROM audit_record ORDER BY writer LIMIT 1)
    UNION ALL
    SELECT (SELECT a.writer FROM audit_record a WHERE a.writer > k.writer ORDER BY a.writer LIMIT 1)
    FROM known k WHERE k.writer IS NOT NULL
  )
  SELECT writer FROM known WHERE writer IS NOT NULL`;

/** The writers `w`, each with its last record `last`: its `seq` and `hash`. */
export const LAST_RECORDS = `(${WRITERS}) w
  CROSS JOIN LATERAL (SELECT seq, hash FROM audit_record a WHERE a.writer = w.writer ORDER BY seq DESC LIMIT 1) last`;

const HEADS = `SELECT w.writer, last.seq, last.hash, first.entry FROM ${LAST_RECORDS}
  LEFT JOIN audit_record first ON first.writer = w.writer AND first.seq = 1 ORDER BY w.writer`;

/** Uses one connection, made when it is needed. Every method throws Failure. */
export class StoreAuditLog implements AuditLog {
  readonly #url: string;
  #client: pg.Client | undefined;
  /** One at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(url: string) {
    this.#url = url;
  }

  storeId(): Promise<string> {
    return this.#use(async (client) => {
      const { rows } = await client.query<{ store_id: string }>('SELECT store_id FROM change_counter');
      return rows[0]?.store_id ?? '';
    });
  }

  begin(make: (known: readonly KnownWriter[]) => ChainedRecord): Promise<void> {
    return this.#use(async (client) => {
      await client.query('BEGIN');
      try {
        await client.query('SELECT pg_advisory_xact_lock($1)', [BEGINNING]);
        const { rows } = await client.query<{ writer: string; seq: string; hash: Buffer; entry: string | null }>(HEADS);
        const known = rows.map(({ writer, seq, hash, entry }) => ({
          head: { writer, seq: Number(seq), hash: hash.toString('hex') },
          first: entry ?? undefined,
        }));
        await client.query(insertOf([make(known)]));
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK').catch(() => this.#discard(client));
        throw error;
      }
    });
  }

  append(records: readonly ChainedRecord[]): Promise<void> {
    return this.#use(async (client) => {
      if (records.length === 0) {
        await client.query('SELECT');
        return;
      }
      const { rowCount } = await client.query(insertOf(records));
      if (rowCount === records.length) return;
      // Some were there before: from an attempt whose outcome was unknown.
      const { rowCount: others } = await client.query(DIVERGED, [
        records.map(({ writer }) => writer),
        records.map(({ seq }) => seq),
        records.map(({ hash }) => hash),
      ]);
      if (others !== 0) throw diverged();
    });
  }

  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const turn = this.#last.catch(() => undefined).then(() => this.#limited(work));
    this.#last = turn;
    return turn;
  }

  async #limited<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    let client: pg.Client;
    try {
      client = this.#client ??= await connect(this.#url);
    } catch (error) {
      throw storeUnavailable(error);
    }
    // A connection that does not answer is given up: what it was asked for may have been done.
    const answered = waitPatiently(ANSWER_MS, () => this.#discard(client));
    try {
      return await work(client);
    } catch (error) {
      if (isConnectionError(error)) this.#discard(client);
      throw asStoreFailure(error);
    } finally {
      answered();
    }
  }

  #discard(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
    client.connection.stream.destroy();
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = connectionTo(url);
  // A broken connection is noticed by the next statement.
  client.on('error', () => undefined);
  const answered = waitPatiently(ANSWER_MS, () => client.connection.stream.destroy());
  try {
    await client.connect();
    await client.query(SESSION);
    return client;
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  } finally {
    answered();
  }
}

/** A statement that the session keeps. */
function insertOf(records: readonly ChainedRecord[]): pg.QueryConfig {
  const rows = records.map(rowOf);
  if (rows.length <= MAX_LISTED)
    return { name: `audit-append-${rows.length}`, text: listedOf(rows.length), values: rows.flat() };
  return { name: 'audit-append', text: APPEND_MANY, values: COLUMNS.map((_, i) => rows.map((row) => row[i])) };
}

const listed: string[] = [];

function listedOf(rows: number): string {
  const rowAt = (row: number) => ROW_TYPES.map((type, i) => `$${row * ROW_TYPES.length + i + 1}::${type}`).join();
  const all = () => Array.from({ length: rows }, (_, row) => `(${rowAt(row)})`).join();
  return (listed[rows] ??= `INSERT INTO audit_record (${COLUMNS.join()}) VALUES ${all()} ${UNTIL_TAKEN}`);
}

/** In the order of COLUMNS. */
function rowOf({ writer, seq, text, hash, signature }: ChainedRecord): unknown[] {
  // Made by this program, and sealed since.
  const record = JSON.parse(text) as AuditRecord;
  const { ended, kind, client_id: clientId, agency } = record;
  const subjects = `{${subjectsOf(record).join()}}`;
  return [writer, seq, ended, kind, clientId ?? null, agency ?? null, subjects, text, hash, signature ?? null];
}

function diverged(): Failure {
  const sentence = 'Other audit records have the places of these: the chain of this writer was continued elsewhere.';
  return new Failure('internal', 'AUDIT_DIVERGED', sentence);
}
