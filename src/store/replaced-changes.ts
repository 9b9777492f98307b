/** Finds rows of `change` that this program has not written, and replaces them. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { CHANGE_FACTS, changeMac, type ChangeDamage, type ChangeFacts, type ChangeRow } from './change-macs.ts';
import { changeDamages } from './change-proofs.ts';
import { appendChanges, counterLost } from './changes.ts';
import { blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import { holdKeys } from './held-keys.ts';
import { requireProofs } from './key-proofs.ts';
import { filledWith, NO_SUBJECT, unnotedSubjects } from './rebuilt-changes.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** A row that is no change of this program. */
export interface DamagedChange {
  readonly seq: number;
  readonly reason: ChangeDamage;
}

const ROWS_PER_READ = 5000;
const BLOCKS_PER_READ = 100;
const FIRST = '-9223372036854775808';

/**
 * Reads every change in readable blocks.
 * @param client - in a transaction
 * @throws Failure KEY_MISSING when a key that the database knows is not available
 */
export async function findDamagedChanges(client: Client, keys: Keys): Promise<DamagedChange[]> {
  await withoutTimeLimit(client);
  const found: DamagedChange[] = [];
  const note = async (rows: readonly ChangeRow[]) => {
    const damages = await changeDamages(client, keys, rows);
    rows.forEach(({ seq }, i) => {
      const reason = damages[i];
      if (reason !== undefined) found.push({ seq: Number(seq), reason });
    });
  };
  const isRead = await tryRead(client, async () => {
    for (let after = FIRST; ;) {
      const sql = `SELECT ${CHANGE_FACTS} FROM change WHERE seq > $1 ORDER BY seq LIMIT ${ROWS_PER_READ}`;
      const { rows }: { rows: ChangeRow[] } = await client.query<ChangeRow>(sql, [after]);
      await note(rows);
      const last = rows.at(-1)?.seq;
      if (last === undefined) return true;
      after = last;
    }
  });
  if (isRead === true) return found;
  found.length = 0;
  const sql = (within: string) => `SELECT ${CHANGE_FACTS} FROM change WHERE ${within}`;
  for (const { from, end } of (await blocksOf(client, 'change')).readable)
    for (let at = from; at < end; at += BLOCKS_PER_READ)
      await note(await readBlocks(client, [{ from: at, end: Math.min(end, at + BLOCKS_PER_READ) }], sql));
  return found;
}

/**
 * Replaces rows that this program has not written. Those above the counter go. Each of the others gets a change of its
 * own number: of a subject whose version no change tells of, else of no subject. No subject is expunged by it.
 * @returns the number of replaced and removed rows
 * @throws Failure STORE_FORBIDDEN: the database user does not own the table; KEY_MISSING, KEY_WRONG
 */
export async function replaceDamagedChanges(client: pg.PoolClient, keys: Keys, reason: string): Promise<number> {
  await withoutTimeLimit(client);
  await holdKeys(client, keys);
  await requireProofs(client, keys);
  // What changes say is not rewritten by anything else. Other writers wait.
  await client.query('ALTER TABLE change DISABLE TRIGGER change_is_append_only');
  const { rows } = await client.query<{ seq: string }>('SELECT seq FROM change_counter FOR UPDATE');
  if (rows[0] === undefined) throw counterLost();
  const last = Number(rows[0].seq);
  const found = await findDamagedChanges(client, keys);
  const isNumbered = ({ seq }: DamagedChange) => seq >= 1 && seq <= last;
  await remove(
    client,
    found.filter((one) => !isNumbered(one)),
  );
  const numbers = found
    .filter(isNumbered)
    .map(({ seq }) => seq)
    .sort((a, b) => b - a);
  await client.query('UPDATE change SET subject_id = $2 WHERE seq = ANY($1)', [numbers, NO_SUBJECT]);
  const unnoted = numbers.length === 0 ? [] : await unnotedSubjects(client, keys);
  await rewrite(client, keys, filledWith(numbers, unnoted, reason));
  const more = unnoted.slice(numbers.length).map((one) => ({ ...one, reason }));
  await client.query('ALTER TABLE change ENABLE TRIGGER change_is_append_only');
  await appendChanges(client, keys, more, new Date());
  return found.length;
}

/** A receipt under a number that was never given is none. */
async function remove(client: Client, rows: readonly DamagedChange[]): Promise<void> {
  const numbers = rows.map(({ seq }) => seq);
  await client.query('DELETE FROM receipt WHERE seq = ANY($1)', [numbers]);
  await client.query('DELETE FROM change WHERE seq = ANY($1)', [numbers]);
}

async function rewrite(client: Client, keys: Keys, changes: readonly ChangeFacts[]): Promise<void> {
  const keyId = keys.ring.currentId;
  for (let at = 0; at < changes.length; at += ROWS_PER_READ) {
    const some = changes.slice(at, at + ROWS_PER_READ);
    await client.query(
      `UPDATE change c SET kind = n.kind, subject_id = n.subject_id, subject_version = n.version, reason = n.reason,
         at = n.at, mac = n.mac, mac_key_id = $8
       FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[], $7::bytea[])
         AS n(seq, kind, subject_id, version, reason, at, mac) WHERE c.seq = n.seq`,
      [
        some.map(({ seq }) => seq),
        some.map(({ kind }) => kind),
        some.map(({ subjectId }) => subjectId),
        some.map(({ version }) => version),
        some.map((one) => one.reason),
        some.map((one) => one.at),
        some.map((one) => changeMac(keys, keyId, one)),
        keyId,
      ],
    );
  }
}
