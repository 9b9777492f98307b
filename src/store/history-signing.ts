/** Renews the MACs of histories when the keys are rotated. */
import type pg from 'pg';
import { NIL } from 'uuid';
import type { Keys } from '../security/keys.ts';
import { fits, HISTORY_COLUMNS, historyMac, type HistoryRow } from './history-rows.ts';
import { TableSigning, type Selection, type Step } from './table-signing.ts';

const ROWS_PER_STEP = 2000;

export class HistorySigning extends TableSigning {
  /** @param keys - open */
  constructor(pool: pg.Pool, keys: Keys) {
    super(pool, keys, { table: 'subject_history', key: 'history_id', first: NIL, rowsPerStep: ROWS_PER_STEP });
  }

  /** The table has no row without a MAC: no earlier version has written any. */
  protected override sign(): Promise<Step> {
    return Promise.resolve({ last: undefined, signed: 0, damaged: [] });
  }

  protected override async renew(client: pg.PoolClient, which: Selection): Promise<Step> {
    const sql = `SELECT ${HISTORY_COLUMNS} FROM subject_history WHERE ${which.where}`;
    const { rows } = await client.query<HistoryRow>(sql, [...which.values]);
    const genuine = rows.filter((row) => fits(this.keys, row));
    const keyId = this.keys.ring.currentId;
    await client.query(
      `UPDATE subject_history h SET mac = m.mac, mac_key_id = $1
       FROM unnest($2::uuid[], $3::bytea[]) AS m(history_id, mac) WHERE h.history_id = m.history_id`,
      [keyId, genuine.map((row) => row.history_id), genuine.map((row) => historyMac(this.keys, keyId, row))],
    );
    const damaged = rows.filter((row) => !genuine.includes(row));
    return {
      last: rows.at(-1)?.history_id,
      signed: genuine.length,
      damaged: damaged.map(({ subject_id }) => ({
        ...{ referenceId: '', subjectId: subject_id, reason: 'HISTORY_MAC_MISMATCH' },
      })),
    };
  }
}
