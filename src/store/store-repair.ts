/** Looking for what is damaged in a store, and taking it out. */
import pg from 'pg';
import { appendChanges } from './changes.ts';
import { blocksOf } from './damaged-pages.ts';
import type { DamagedReference, Removed } from './records.ts';
import { readTables } from './tables.ts';
import { inTransaction, READ_ONLY, withConnection, withoutTimeLimit } from './transaction.ts';

/** Tables whose damaged blocks go with what is expunged; what others have lost only a backup brings back. */
const MENDED_TABLES = new Set(['reference', 'subject', 'gallery_membership']);
/** Reads what can be read of damaged blocks, and takes the rest for empty. Only an administrator of the database may. */
const READ_DAMAGED = 'ignore_checksum_failure = on; SET zero_damaged_pages = on';
const NOT_MENDED = 'RESET ignore_checksum_failure; RESET zero_damaged_pages';

/** A block of a table that cannot be read. */
export interface DamagedBlock {
  readonly table: string;
  readonly block: number;
  /** It goes with what is expunged; else only a backup brings back what it held. */
  readonly isMended: boolean;
}

/** What became of a subject with damaged references. */
export interface Repaired {
  readonly subjectId: string;
  /** Nothing that can be read was left of it. */
  readonly isExpunged: boolean;
  readonly referencesRemoved: number;
  readonly seq: number;
}

/** Every method throws Failure. */
export class StoreRepair {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** The blocks of all tables that cannot be read. */
  damagedBlocks(): Promise<DamagedBlock[]> {
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const found: DamagedBlock[] = [];
      for (const table of await readTables(client)) {
        const places = [pg.escapeIdentifier(table), ...(await overflowOf(client, table))];
        for (const place of places) {
          const { damaged } = await blocksOf(client, place);
          for (const block of damaged) found.push({ table, block, isMended: MENDED_TABLES.has(table) });
        }
      }
      return found;
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /**
   * Takes damaged references out: a subject that has others is changed, and one that has none, or cannot be read itself,
   * is expunged. Either is a change with a reason and a receipt.
   * @param damaged - of one subject
   * @param receiptOf - makes the receipt
   */
  remove(
    subjectId: string,
    damaged: readonly DamagedReference[],
    reason: string,
    receiptOf: (removed: Removed & { readonly isExpunged: boolean }) => string,
  ): Promise<Repaired> {
    return this.#readingDamaged(damaged, (client) =>
      within(client, async () => {
        const now = new Date();
        const ids = damaged.flatMap(({ referenceId }) => (referenceId === '' ? [] : [referenceId]));
        const { rows: present } = await client.query('SELECT FROM subject WHERE subject_id = $1 FOR UPDATE', [
          subjectId,
        ]);
        const { rows: versions } = await client.query<{ version: string; first: string }>(
          'SELECT max(subject_version) AS version, min(seq) AS first FROM change WHERE subject_id = $1',
          [subjectId],
        );
        const removed = await client.query('DELETE FROM reference WHERE reference_id = ANY($1)', [ids]);
        const { rows: left } = await client.query('SELECT FROM reference WHERE subject_id = $1 LIMIT 1', [subjectId]);
        const isUnreadable = damaged.some((one) => one.reason === 'SUBJECT_DAMAGED');
        const isExpunged = present.length === 0 || left.length === 0 || isUnreadable;
        let referencesRemoved = Math.max(removed.rowCount ?? 0, damaged.length);
        if (isExpunged) {
          const others = await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
          referencesRemoved += others.rowCount ?? 0;
          await client.query('DELETE FROM gallery_membership WHERE subject_id = $1', [subjectId]);
          await client.query('DELETE FROM subject WHERE subject_id = $1', [subjectId]);
          await client.query('UPDATE enrolment_request SET digest = NULL WHERE subject_id = $1', [subjectId]);
        } else {
          const sql = 'UPDATE subject SET version = version + 1, update_time = $2 WHERE subject_id = $1';
          await client.query(sql, [subjectId, now]);
        }
        const version = Number(versions[0]?.version ?? 0) + 1;
        const kind = isExpunged ? 'expunge' : 'upsert';
        const seq = await appendChanges(client, [{ kind, subjectId, version, reason }], now);
        const firstSeq = Number(versions[0]?.first ?? seq);
        const receipt = receiptOf({ seq, at: now, referencesRemoved, firstSeq, isExpunged });
        await client.query('INSERT INTO receipt (seq, document) VALUES ($1, $2)', [seq, receipt]);
        return { subjectId, isExpunged, referencesRemoved, seq };
      }),
    );
  }

  /** Writes the tables that had damaged blocks anew, without these. Others wait for it. */
  async rewrite(blocks: readonly DamagedBlock[]): Promise<void> {
    const tables = new Set(blocks.filter(({ isMended }) => isMended).map(({ table }) => table));
    for (const table of tables) {
      await withConnection(this.#pool, async (client, discard) => {
        try {
          await client.query(`SET ${READ_DAMAGED}; SET statement_timeout = 0`);
          await client.query(`VACUUM FULL ${table}`);
        } finally {
          // With settings of its own it is of no use to others.
          discard(undefined);
        }
      });
    }
  }

  /** Damaged blocks are read only where they have to be: what is in them is not what was written. */
  #readingDamaged<T>(damaged: readonly DamagedReference[], work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const isNeeded = damaged.some(({ reason }) => reason === 'STORE_DAMAGED' || reason === 'SUBJECT_DAMAGED');
    return withConnection(this.#pool, async (client, discard) => {
      if (!isNeeded) return work(client);
      try {
        await client.query(`SET ${READ_DAMAGED}`);
        return await work(client);
      } finally {
        await client.query(NOT_MENDED).catch(discard);
      }
    });
  }
}

/** Where the large values of a table lie (TOAST), as SQL has it; only an administrator of the database may read there. */
async function overflowOf(client: pg.PoolClient, table: string): Promise<string[]> {
  const { rows } = await client.query<{ place: string }>(
    `SELECT reltoastrelid::regclass::text AS place FROM pg_class
     WHERE oid = $1::regclass AND reltoastrelid <> 0 AND current_setting('is_superuser') = 'on'`,
    [pg.escapeIdentifier(table)],
  );
  return rows.map(({ place }) => place);
}

async function within<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    const { command } = await client.query('COMMIT');
    if (command !== 'COMMIT') throw new Error('the commit became a rollback');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
