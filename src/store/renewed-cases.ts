/** After a rotation of the keys: renews the MACs of cases, and encrypts the keys of their probes again. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { CASE_COLUMNS, openCase, readSteps, updateCase, type CaseRow } from './case-rows.ts';
import { holdKeys } from './held-keys.ts';
import { resealProbeKey } from './sealed-probes.ts';
import { inTransaction } from './transaction.ts';

const BATCH = 100;

/** A case that was changed in the database stays damaged, under the new key as well: it must not keep the old one. */
export async function renewCases(pool: pg.Pool, keys: Keys): Promise<void> {
  let after: string | undefined = '00000000-0000-0000-0000-000000000000';
  while (after !== undefined) after = await inTransaction(pool, (client) => renewSome(client, keys, after ?? ''));
}

/** @returns the last case that was renewed; undefined: there are no more */
async function renewSome(client: pg.PoolClient, keys: Keys, after: string): Promise<string | undefined> {
  await holdKeys(client, keys);
  const { currentId } = keys.ring;
  const { rows } = await client.query<CaseRow>(
    `SELECT ${CASE_COLUMNS} FROM review_case WHERE case_id > $1 AND (mac_key_id <> $2 OR probe_key_id <> $2)
     ORDER BY case_id LIMIT ${BATCH} FOR UPDATE`,
    [after, currentId],
  );
  const steps = await readSteps(
    client,
    rows.map(({ case_id }) => case_id),
  );
  for (const row of rows) {
    const texts = steps.get(row.case_id) ?? [];
    if (openCase(keys, row, texts) === undefined) {
      await client.query("UPDATE review_case SET mac = '', mac_key_id = $2 WHERE case_id = $1", [
        ...[row.case_id, currentId],
      ]);
      continue;
    }
    await updateCase(client, keys, row, row, texts);
    await resealKey(client, keys, row);
  }
  return rows.length < BATCH ? undefined : rows.at(-1)?.case_id;
}

async function resealKey(client: pg.PoolClient, keys: Keys, row: CaseRow): Promise<void> {
  const { case_id, probe, probe_key, probe_key_id } = row;
  if (probe === null || probe_key === null || probe_key_id === null) return;
  const sealed = resealProbeKey(keys, case_id, { probe, probe_key, probe_key_id });
  await client.query('UPDATE review_case SET probe_key = $2, probe_key_id = $3 WHERE case_id = $1', [
    ...[case_id, sealed.probe_key, sealed.probe_key_id],
  ]);
}
