/** Histories of subjects: when they were changed, by whom, and what it changed. Every method throws Failure. */
import type pg from 'pg';
import type { Asker } from '../fair-turns.ts';
import type { Keys } from '../security/keys.ts';
import type { ChangeRow } from './change-macs.ts';
import { changeDamages } from './change-proofs.ts';
import { HISTORY_COLUMNS, openHistory, type Author, type HistoryContent, type HistoryRow } from './history-rows.ts';
import { StoreTurns } from './store-turns.ts';
import { inTransaction, READ_ONLY } from './transaction.ts';

/** One change of a subject. */
export interface HistoryEntry {
  /** Number of the change. */
  readonly seq: number;
  /** The subject's version after it. */
  readonly version: number;
  readonly at: Date;
  /** Of a repair or a removal. */
  readonly reason: string | undefined;
  /**
   * `known`: who made it and what it changed follows. `unknown`: that was not recorded, or is gone. `damaged`: what is
   * stored of it is not what was written.
   */
  readonly state: 'known' | 'unknown' | 'damaged';
  readonly author: Author | undefined;
  readonly content: HistoryContent | undefined;
}

export interface HistoryPage {
  readonly entries: readonly HistoryEntry[];
  /** Further entries follow the last one. */
  readonly hasMore: boolean;
}

const CHANGE_OF_SUBJECT = `c.seq, c.kind, c.subject_id, c.subject_version, c.reason, c.at, c.mac, c.mac_key_id`;

export class SubjectHistories {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;
  readonly #turns: StoreTurns;

  /** @param turns - of calls for connections of the pool */
  constructor(pool: pg.Pool, keys: Keys, turns = new StoreTurns()) {
    this.#pool = pool;
    this.#keys = keys;
    this.#turns = turns;
  }

  /**
   * Changes of a subject in their order.
   * @param after - number of a change: only later ones
   * @param limit - most entries
   */
  page(subjectId: string, after: number, limit: number, asker?: Asker): Promise<HistoryPage> {
    const read = async (client: pg.PoolClient): Promise<HistoryPage> => {
      const { rows: changes } = await client.query<ChangeRow>(
        `SELECT ${CHANGE_OF_SUBJECT} FROM change c
         WHERE c.subject_id = $1 AND c.seq > $2 AND c.seq <= (SELECT seq FROM change_counter) ORDER BY c.seq LIMIT $3`,
        [subjectId, after, limit + 1],
      );
      const page = changes.slice(0, limit);
      const { rows } = await client.query<HistoryRow>(
        `SELECT ${HISTORY_COLUMNS} FROM subject_history WHERE subject_id = $1 AND version = ANY($2::bigint[])`,
        [subjectId, page.map(({ subject_version }) => subject_version)],
      );
      const rowOf = new Map(rows.map((row) => [row.version, row]));
      const damages = await changeDamages(client, this.#keys, page);
      const entries = page.map((change, i) => this.#entryOf(change, damages[i], rowOf.get(change.subject_version)));
      return { entries, hasMore: changes.length > limit };
    };
    return this.#turns.take('listing', asker, () => inTransaction(this.#pool, read, READ_ONLY));
  }

  #entryOf(change: ChangeRow, damage: string | undefined, row: HistoryRow | undefined): HistoryEntry {
    const opened = damage === undefined && row !== undefined ? openHistory(this.#keys, row) : undefined;
    const isDamaged = damage !== undefined || (row !== undefined && opened === undefined);
    return {
      seq: Number(change.seq),
      version: Number(change.subject_version),
      // PostgreSQL has times that JavaScript has not; no change was written with one.
      at: change.at instanceof Date ? change.at : new Date(0),
      reason: damage === undefined ? (change.reason ?? undefined) : undefined,
      state: isDamaged ? 'damaged' : opened === undefined ? 'unknown' : 'known',
      author: opened?.author,
      content: opened?.content,
    };
  }
}
