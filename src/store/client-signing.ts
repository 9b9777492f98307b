/** Gives clients their MACs. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { clientMac, readStoredClients } from './client-macs.ts';
import { readClientRows, type ClientRows } from './client-rows.ts';
import { TableSigning, type Selection, type Step } from './table-signing.ts';

const ROWS_PER_STEP = 1000;

export class ClientSigning extends TableSigning {
  /** @param keys - open */
  constructor(pool: pg.Pool, keys: Keys) {
    super(pool, keys, { table: 'client', key: 'client_id', first: '', rowsPerStep: ROWS_PER_STEP });
  }

  protected override async sign(client: pg.PoolClient, which: Selection): Promise<Step> {
    const ids = await lockedIds(client, which);
    const rows = await readClientRows(client, 'client_id = ANY($1)', [ids]);
    await this.#write(client, rows);
    return { last: ids.at(-1), signed: rows.length, damaged: [] };
  }

  protected override async renew(client: pg.PoolClient, which: Selection): Promise<Step> {
    const ids = await lockedIds(client, which);
    const stored = await readStoredClients(client, this.keys, 'client_id = ANY($1)', [ids]);
    const genuine = stored.filter(({ damage }) => damage === undefined);
    await this.#write(client, genuine);
    const damaged = stored.flatMap(({ damage }) =>
      damage === undefined ? [] : [{ referenceId: '', subjectId: '', reason: damage }],
    );
    return { last: ids.at(-1), signed: genuine.length, damaged };
  }

  /** Writes the MACs of clients as they are. */
  async #write(client: pg.PoolClient, rows: readonly ClientRows[]): Promise<void> {
    if (rows.length === 0) return;
    const macs = rows.map((one) => clientMac(this.keys, one));
    await client.query(
      `UPDATE client c SET mac_key_id = $1, mac = m.mac
       FROM unnest($2::text[], $3::bytea[]) AS m(client_id, mac) WHERE c.client_id = m.client_id`,
      [this.keys.ring.currentId, rows.map(({ row }) => row.client_id), macs.map(({ bytes }) => bytes)],
    );
  }
}

async function lockedIds(client: pg.PoolClient, { where, values }: Selection): Promise<string[]> {
  const sql = `SELECT client_id FROM client WHERE ${where} FOR UPDATE`;
  const { rows } = await client.query<{ client_id: string }>(sql, [...values]);
  return rows.map(({ client_id }) => client_id);
}
