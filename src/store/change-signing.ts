/** Gives changes their MACs. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { CHANGE_FACTS, changeMac, type ChangeRow } from './change-macs.ts';
import { changeDamages } from './change-proofs.ts';
import type { DamagedReference } from './records.ts';
import { TableSigning, type Selection, type Step } from './table-signing.ts';

const ROWS_PER_STEP = 5000;

export class ChangeSigning extends TableSigning {
  /** @param keys - open */
  constructor(pool: pg.Pool, keys: Keys) {
    super(pool, keys, { table: 'change', key: 'seq', first: '-9223372036854775808', rowsPerStep: ROWS_PER_STEP });
  }

  protected override async sign(client: pg.PoolClient, which: Selection): Promise<Step> {
    const rows = await rowsOf(client, which);
    // A row with an impossible time was damaged before, and stays without a MAC.
    const signed = rows.filter(({ at }) => at instanceof Date);
    await this.#write(client, signed);
    return { last: rows.at(-1)?.seq, signed: signed.length, damaged: [] };
  }

  protected override async renew(client: pg.PoolClient, which: Selection): Promise<Step> {
    const rows = await rowsOf(client, which);
    const damages = await changeDamages(client, this.keys, rows);
    const genuine = rows.filter((_, i) => damages[i] === undefined);
    await this.#write(client, genuine);
    const damaged = damages.filter((reason) => reason !== undefined);
    return { last: rows.at(-1)?.seq, signed: genuine.length, damaged: damaged.map(ofNoSubject) };
  }

  /** Writes the MACs of rows as they are. */
  async #write(client: pg.PoolClient, rows: readonly ChangeRow[]): Promise<void> {
    const keyId = this.keys.ring.currentId;
    const macs = rows.map((row) =>
      changeMac(this.keys, keyId, {
        seq: Number(row.seq),
        kind: row.kind,
        subjectId: row.subject_id,
        version: Number(row.subject_version),
        reason: row.reason,
        at: row.at as Date,
      }),
    );
    await client.query(
      `UPDATE change c SET mac = m.mac, mac_key_id = $1
       FROM unnest($2::bigint[], $3::bytea[]) AS m(seq, mac) WHERE c.seq = m.seq`,
      [keyId, rows.map(({ seq }) => seq), macs],
    );
  }
}

/** The row does not say whose change it is. */
function ofNoSubject(reason: string): DamagedReference {
  return { referenceId: '', subjectId: '', reason };
}

async function rowsOf(client: pg.PoolClient, { where, values }: Selection): Promise<ChangeRow[]> {
  const sql = `SELECT ${CHANGE_FACTS} FROM change WHERE ${where}`;
  return (await client.query<ChangeRow>(sql, [...values])).rows;
}
