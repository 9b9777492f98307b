/** Hits of agencies, and how far their clients have dealt with them, in PostgreSQL. Every method throws Failure. */
import type pg from 'pg';
import { digestOf, hashOf, NO_HASH } from '../audit/chain.ts';
import type { HitRow, HitSource } from '../sharing/hit-source.ts';
import { withConnection } from './transaction.ts';

/** NOTIFY channel of new hits, with the agency; the trigger of the table names it too. */
export const HIT_CHANNEL = 'ridgewatch_hit';

interface Row {
  readonly seq: string;
  readonly hit_id: string;
  readonly subject_id: string;
  readonly writer: string;
  readonly record_seq: string;
}

interface RecordRow {
  readonly writer: string;
  readonly seq: string;
  readonly entry: string;
  readonly hash: Buffer;
  /** Hash of the record before it; null: there is none. */
  readonly previous: Buffer | null;
}

export class HitStore implements HitSource {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  hitsAfter(agency: string, position: number, limit: number): Promise<HitRow[]> {
    return withConnection(this.#pool, async (client) => {
      const { rows } = await client.query<Row>({
        name: 'hits-after',
        text: `SELECT seq, hit_id, subject_id, writer, record_seq FROM hit
          WHERE agency = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
        values: [agency, position, limit],
      });
      if (rows.length === 0) return [];
      // A record may be that of hundreds of hits: it is read once.
      const { rows: records } = await client.query<RecordRow>({
        name: 'records-of-hits',
        text: `SELECT a.writer, a.seq, a.entry, a.hash, p.hash AS previous FROM audit_record a
          LEFT JOIN audit_record p ON p.writer = a.writer AND p.seq = a.seq - 1
          WHERE (a.writer, a.seq) IN (SELECT DISTINCT w, s FROM unnest($1::uuid[], $2::bigint[]) AS h (w, s))`,
        values: [rows.map(({ writer }) => writer), rows.map(({ record_seq }) => record_seq)],
      });
      const entries = new Map(records.map((row) => [`${row.writer} ${row.seq}`, recordOf(row)]));
      return rows.map(({ seq, hit_id, subject_id, writer, record_seq }) => ({
        position: Number(seq),
        hitId: hit_id,
        subjectId: subject_id,
        record: entries.get(`${writer} ${record_seq}`),
      }));
    });
  }

  lastPosition(agency: string): Promise<number> {
    return this.#number('SELECT seq FROM hit_counter WHERE agency = $1', [agency]);
  }

  acknowledgedBy(agency: string, clientId: string): Promise<number> {
    return this.#number('SELECT seq FROM hit_cursor WHERE agency = $1 AND client_id = $2', [agency, clientId]);
  }

  acknowledge(agency: string, clientId: string, position: number, now: Date): Promise<number> {
    return this.#number(
      `INSERT INTO hit_cursor AS c (agency, client_id, seq, update_time) VALUES ($1, $2, $3, $4)
       ON CONFLICT (agency, client_id) DO UPDATE
         SET seq = greatest(c.seq, excluded.seq), update_time = excluded.update_time
       RETURNING seq`,
      [agency, clientId, position, now],
    );
  }

  /** @returns 0: there is no row */
  #number(sql: string, values: unknown[]): Promise<number> {
    return withConnection(this.#pool, async (client) => {
      const { rows } = await client.query<{ seq: string }>(sql, values);
      return Number(rows[0]?.seq ?? 0);
    });
  }
}

/**
 * A text that was changed is not told as what was recorded. Its own hash and the one before it show a change of the text
 * alone; one who makes new hashes too is found by the check of the whole audit.
 */
function recordOf({ entry, hash, previous }: RecordRow): string | undefined {
  return hashOf(previous ?? NO_HASH, digestOf(entry)).equals(hash) ? entry : undefined;
}
