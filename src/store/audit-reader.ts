/** Reads audit records. */
import type pg from 'pg';
import { NIL } from 'uuid';
import type { AuditFilter, AuditReader, StoredBatch, StoredRecord } from '../audit/audit-log.ts';
import { NO_HASH } from '../audit/chain.ts';
import { WRITERS } from './audit-log.ts';
import { inTransaction, READ_ONLY, withCallbacks, withoutTimeLimit } from './transaction.ts';

export type Client = Pick<pg.ClientBase, 'query'>;

/** Records read at a time. */
const PART = 1000;
export const NO_WRITER: string = NIL;

interface Row {
  readonly writer: string;
  readonly seq: string;
  readonly at: number;
  readonly kind: string;
  readonly client_id: string | null;
  readonly agency: string | null;
  readonly subjects: string[];
  readonly entry: string;
  readonly hash: Buffer;
  readonly signature: Buffer | null;
}

const COLUMNS = `writer, seq, (extract(epoch FROM at) * 1000)::float8 AS at, kind, client_id, agency, subjects::text[],
  entry, hash, signature`;
/** With the eight values of `valuesOf`. */
export const MATCHING = `($1::timestamptz IS NULL OR at >= $1) AND ($2::timestamptz IS NULL OR at < $2)
  AND ($3::text IS NULL OR agency = $3) AND ($4::text IS NULL OR client_id = $4)
  AND ($5::uuid IS NULL OR subjects @> ARRAY[$5::uuid]) AND ($6::text IS NULL OR kind = $6)
  AND ($7::text IS NULL OR entry::json->>'method' = $7) AND ($8::uuid IS NULL OR writer = $8)`;

/** Reads all in one state of the database. @throws Failure; every error of `work` */
export function readAudit<T>(pool: pg.Pool, work: (reader: AuditReader) => Promise<T>): Promise<T> {
  let result: T;
  return withCallbacks(async (guard) => {
    const guarded = guard(async (client: Client) => void (result = await work(await auditReader(client))));
    await inTransaction(pool, guarded, READ_ONLY);
    return result;
  });
}

/** @param client - in a transaction */
export async function auditReader(client: Client): Promise<AuditReader> {
  await withoutTimeLimit(client);
  const { rows } = await client.query<{ store_id: string }>('SELECT store_id FROM change_counter');
  return {
    storeId: rows[0]?.store_id ?? '',
    firsts: () => firstsOf(client),
    records: () => recordsOf(client),
    batches: (filter) => matchingBatches(client, filter),
    newest: async (filter, limit) => {
      const sql = `SELECT entry FROM audit_record WHERE ${MATCHING} ORDER BY at DESC, writer DESC, seq DESC LIMIT $9`;
      const { rows: found } = await client.query<{ entry: string }>(sql, [...valuesOf(filter), limit]);
      return found.map(({ entry }) => entry);
    },
  };
}

async function* firstsOf(client: Client): AsyncGenerator<StoredRecord[], void> {
  const sql = `SELECT ${COLUMNS} FROM audit_record WHERE seq = 1 AND writer = ANY($1) ORDER BY writer`;
  const { rows } = await client.query<{ writer: string }>(WRITERS);
  const writers = rows.map(({ writer }) => writer);
  for (let at = 0; at < writers.length; at += PART)
    yield (await client.query<Row>(sql, [writers.slice(at, at + PART)])).rows.map(recordOf);
}

async function* recordsOf(client: Client): AsyncGenerator<StoredRecord[], void> {
  const sql = `SELECT ${COLUMNS} FROM audit_record WHERE (writer, seq) > ($1, $2) ORDER BY writer, seq LIMIT $3`;
  let [writer, seq] = [NO_WRITER, 0];
  for (;;) {
    const { rows } = await client.query<Row>(sql, [writer, seq, PART]);
    const found = rows.map(recordOf);
    const last = found.at(-1);
    if (last === undefined) return;
    yield found;
    ({ writer, seq } = last);
  }
}

async function* matchingBatches(client: Client, filter: AuditFilter): AsyncGenerator<StoredBatch, void> {
  await client.query(
    `DECLARE matching NO SCROLL CURSOR FOR SELECT writer, seq FROM audit_record WHERE ${MATCHING} ORDER BY writer, seq`,
    valuesOf(filter),
  );
  let batch: (Place & { matching: Set<number>; end: number }) | undefined;
  for (;;) {
    const { rows } = await client.query<{ writer: string; seq: string }>(`FETCH ${PART} FROM matching`);
    if (rows.length === 0) break;
    for (const row of rows) {
      const place = { writer: row.writer, seq: Number(row.seq) };
      if (batch?.writer === place.writer && place.seq <= batch.end) {
        batch.matching.add(place.seq);
        continue;
      }
      if (batch !== undefined) yield await readBatch(client, batch, batch.matching);
      batch = { ...place, matching: new Set([place.seq]), end: await endOfBatch(client, place) };
    }
  }
  if (batch !== undefined) yield await readBatch(client, batch, batch.matching);
  await client.query('CLOSE matching');
}

export interface Place {
  readonly writer: string;
  readonly seq: number;
}

/** The signed record that a batch ends with; 0: there is none. */
export async function endOfBatch(client: Client, { writer, seq }: Place): Promise<number> {
  const sql = `SELECT seq FROM audit_record WHERE writer = $1 AND seq >= $2 AND signature IS NOT NULL
    ORDER BY seq LIMIT 1`;
  const { rows } = await client.query<{ seq: string }>(sql, [writer, seq]);
  return Number(rows[0]?.seq ?? 0);
}

export async function readBatch(
  client: Client,
  { writer, seq }: Place,
  matching: ReadonlySet<number>,
): Promise<StoredBatch> {
  const sql = `SELECT ${COLUMNS} FROM audit_record WHERE writer = $1
      AND seq > coalesce((SELECT max(seq) FROM audit_record WHERE writer = $1 AND seq < $2 AND signature IS NOT NULL), 0)
      AND seq <= coalesce((SELECT min(seq) FROM audit_record WHERE writer = $1 AND seq >= $2 AND signature IS NOT NULL), $2)
    ORDER BY seq`;
  const records = (await client.query<Row>(sql, [writer, seq])).rows.map(recordOf);
  const before = (records[0]?.seq ?? 1) - 1;
  const { rows } = await client.query<{ hash: Buffer }>(
    'SELECT hash FROM audit_record WHERE writer = $1 AND seq = $2',
    [writer, before],
  );
  return { previous: rows[0]?.hash ?? NO_HASH, records, matching };
}

export function valuesOf(filter: AuditFilter): unknown[] {
  const { since, until, agency, clientId, subjectId, kind, method, writer } = filter;
  return [since, until, agency, clientId, subjectId, kind, method, writer].map((value) => value ?? null);
}

function recordOf(row: Row): StoredRecord {
  return {
    writer: row.writer,
    seq: Number(row.seq),
    text: row.entry,
    hash: row.hash,
    signature: row.signature ?? undefined,
    foundBy: {
      at: row.at,
      kind: row.kind,
      clientId: row.client_id ?? undefined,
      agency: row.agency ?? undefined,
      subjects: row.subjects,
    },
  };
}
