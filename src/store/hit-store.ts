/** Hits of agencies, and how far their clients have dealt with them, in PostgreSQL. Every method throws Failure. */
import type pg from 'pg';
import type { HitRow, HitSource } from '../sharing/hit-source.ts';
import { withConnection } from './transaction.ts';

/** NOTIFY channel of new hits, with the agency; the trigger of the table names it too. */
export const HIT_CHANNEL = 'ridgewatch_hit';

interface Row {
  readonly seq: string;
  readonly hit_id: string;
  readonly subject_id: string;
  readonly entry: string | null;
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
        text: `SELECT h.seq, h.hit_id, h.subject_id, a.entry FROM hit h
          LEFT JOIN audit_record a ON a.writer = h.writer AND a.seq = h.record_seq
          WHERE h.agency = $1 AND h.seq > $2 ORDER BY h.seq LIMIT $3`,
        values: [agency, position, limit],
      });
      return rows.map(({ seq, hit_id, subject_id, entry }) => ({
        position: Number(seq),
        hitId: hit_id,
        subjectId: subject_id,
        record: entry ?? undefined,
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
