/** Reads the audit page by page. */
import type pg from 'pg';
import type { AuditFilter, AuditPage, AuditPages, AuditPosition, StoredBatch } from '../audit/audit-log.ts';
import { LAST_RECORDS } from './audit-log.ts';
import { endOfBatch, MATCHING, NO_WRITER, readBatch, valuesOf, type Client, type Place } from './audit-reader.ts';
import { inTransaction, READ_ONLY } from './transaction.ts';

/** Records that are looked at for one page, where no index leads to those that match. */
const WINDOW = 10_000;

const BEHIND = '(writer, seq) > ($9::uuid, $10::bigint)';
/** For filters that an index serves: a client, a subject. */
const BY_INDEX = `SELECT writer, seq FROM audit_record WHERE ${BEHIND} AND ${MATCHING} ORDER BY writer, seq LIMIT $11`;
/** For other filters: however few records match, a page costs no more than its window. */
const BY_WINDOW = `SELECT writer, seq FROM (
    SELECT * FROM audit_record WHERE ${BEHIND} AND ($8::uuid IS NULL OR writer = $8) ORDER BY writer, seq LIMIT ${WINDOW}
  ) part WHERE ${MATCHING} ORDER BY writer, seq LIMIT $11`;
const END_OF_WINDOW = `SELECT writer, seq FROM audit_record
  WHERE (writer, seq) > ($1::uuid, $2::bigint) AND ($3::uuid IS NULL OR writer = $3)
  ORDER BY writer, seq OFFSET ${WINDOW - 1} LIMIT 1`;

interface PlaceRow {
  readonly writer: string;
  readonly seq: string;
}

export class StoreAuditPages implements AuditPages {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  page(filter: AuditFilter, after: AuditPosition | undefined, limit: number): Promise<AuditPage> {
    const { writer, seq } = after ?? { writer: NO_WRITER, seq: 0 };
    const isIndexed = filter.clientId !== undefined || filter.subjectId !== undefined;
    return inTransaction(
      this.#pool,
      async (client) => {
        const sql = isIndexed ? BY_INDEX : BY_WINDOW;
        const { rows } = await client.query<PlaceRow>(sql, [...valuesOf(filter), writer, seq, limit]);
        const places = rows.map(placeOf);
        const storeId = await readStoreId(client);
        const batches = await batchesOf(client, places);
        if (places.length === limit) return { storeId, batches, position: places.at(-1) ?? after, isLast: false };
        const { rows: ends } = isIndexed
          ? { rows: [] }
          : await client.query<PlaceRow>(END_OF_WINDOW, [writer, seq, filter.writer ?? null]);
        const [end] = ends.map(placeOf);
        return { storeId, batches, position: end ?? places.at(-1) ?? after, isLast: end === undefined };
      },
      READ_ONLY,
    );
  }

  heads(after: string | undefined, limit: number): ReturnType<AuditPages['heads']> {
    return inTransaction(
      this.#pool,
      async (client) => {
        const { rows } = await client.query<PlaceRow & { hash: Buffer }>(
          `SELECT w.writer, last.seq, last.hash FROM ${LAST_RECORDS}
           WHERE w.writer > $1 ORDER BY w.writer LIMIT $2`,
          [after ?? NO_WRITER, limit],
        );
        return { storeId: await readStoreId(client), heads: rows.map((row) => ({ ...placeOf(row), hash: row.hash })) };
      },
      READ_ONLY,
    );
  }
}

/** The batches that matching records belong to. */
async function batchesOf(client: Client, places: readonly Place[]): Promise<StoredBatch[]> {
  const batches: (Place & { readonly matching: Set<number>; readonly end: number })[] = [];
  for (const place of places) {
    const last = batches.at(-1);
    if (last?.writer === place.writer && place.seq <= last.end) last.matching.add(place.seq);
    else batches.push({ ...place, matching: new Set([place.seq]), end: await endOfBatch(client, place) });
  }
  const read: StoredBatch[] = [];
  for (const batch of batches) read.push(await readBatch(client, batch, batch.matching));
  return read;
}

async function readStoreId(client: Client): Promise<string> {
  const { rows } = await client.query<{ store_id: string }>('SELECT store_id FROM change_counter');
  return rows[0]?.store_id ?? '';
}

function placeOf({ writer, seq }: PlaceRow): Place {
  return { writer, seq: Number(seq) };
}
