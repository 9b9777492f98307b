/** Reads the audit records by which safeguards know what was before this process, and what other services do. */
import type pg from 'pg';
import type { RecordReader, RecordsRead, WriterPlaces } from '../audit/safeguard-records.ts';
import { LAST_RECORDS } from './audit-log.ts';
import { inTransaction, READ_ONLY, withCallbacks } from './transaction.ts';

/** Records read at a time: a few milliseconds of work. */
const PART = 200;
/** The newest records that are read at a start: a month of 16,000 comparisons a day. */
const MOST = 500_000;

/** In the words of the index `audit_record_safeguards`. */
const WANTED = `(entry LIKE '%"method":"Identification/Verify"%' OR entry LIKE '%"reason":"PROBES_ALIKE%'
  OR entry LIKE '%"reason":"VERIFY_BUDGET%')`;

const FIRST = `SELECT at FROM audit_record WHERE ${WANTED} AND at >= $1 ORDER BY at DESC OFFSET ${MOST} LIMIT 1`;
const BY_TIME = `DECLARE wanted NO SCROLL CURSOR FOR
  SELECT entry FROM audit_record WHERE ${WANTED} AND at >= $1 AND writer <> $2 ORDER BY at`;
const HEADS = `SELECT w.writer, last.seq FROM ${LAST_RECORDS}`;
const LATER = `DECLARE wanted NO SCROLL CURSOR FOR
  SELECT a.entry FROM unnest($3::uuid[], $4::bigint[], $5::bigint[]) AS news (writer, after, until)
  JOIN audit_record a ON a.writer = news.writer AND a.seq > news.after AND a.seq <= news.until
  WHERE ${WANTED} AND a.at >= $1 AND a.writer <> $2`;

type Client = Pick<pg.ClientBase, 'query'>;

export function safeguardRecords(pool: pg.Pool): RecordReader {
  return {
    all: (query, take) =>
      inOneState(pool, take, async (client, guarded) => {
        const places = await headsOf(client);
        const { rows } = await client.query<{ at: Date }>(FIRST, [query.since]);
        await fetchAll(client, BY_TIME, [rows[0]?.at ?? query.since, query.except], guarded);
        return places;
      }),
    later: (query, known, take) =>
      inOneState(pool, take, async (client, guarded) => {
        const places = await headsOf(client);
        const news = [...places].filter(([writer, seq]) => writer !== query.except && seq > (known.get(writer) ?? 0));
        if (news.length === 0) return places;
        const after = news.map(([writer]) => known.get(writer) ?? 0);
        const ids = news.map(([writer]) => writer);
        const values = [query.since, query.except, ids, after, news.map(([, seq]) => seq)];
        await fetchAll(client, LATER, values, guarded);
        return places;
      }),
  };
}

/** Places and records are of one state: what is committed later has later places. */
function inOneState(
  pool: pg.Pool,
  take: RecordsRead,
  read: (client: Client, guarded: RecordsRead) => Promise<WriterPlaces>,
): Promise<WriterPlaces> {
  return withCallbacks((guard) => {
    const guarded = guard(take);
    return inTransaction(pool, (client) => read(client, guarded), READ_ONLY);
  });
}

async function headsOf(client: Client): Promise<WriterPlaces> {
  const { rows } = await client.query<{ writer: string; seq: string }>(HEADS);
  return new Map(rows.map(({ writer, seq }) => [writer, Number(seq)]));
}

/** The database reads the next part while this one is taken. */
async function fetchAll(client: Client, declare: string, values: unknown[], take: RecordsRead): Promise<void> {
  await client.query(declare, values);
  const fetch = () => {
    const part = client.query<{ entry: string }>(`FETCH ${PART} FROM wanted`);
    // A failure is that of the reading, where it is waited for; none is waited for once taking has failed.
    part.catch(() => undefined);
    return part;
  };
  let next = fetch();
  for (;;) {
    const { rows } = await next;
    if (rows.length === 0) break;
    next = fetch();
    await take(rows.map(({ entry }) => entry));
  }
  await client.query('CLOSE wanted');
}
