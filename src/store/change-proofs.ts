/** Which changes this program has written, and the last of them about a subject. */
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { CHANGE_FACTS, CHANGE_MAC_MISMATCH, changeDamage, type ChangeDamage, type ChangeRow } from './change-macs.ts';
import { isKeyKnown } from './key-proofs.ts';
import { signednessOf } from './signed-mark.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** The last change of a subject that this program has written. */
export interface LastChange {
  readonly seq: number;
  readonly kind: 'upsert' | 'expunge';
  readonly version: number;
}

/** Whether the store must have the rows of a subject. @param last - undefined: no change names it */
export function isEnrolled(last: LastChange | 'unknown' | undefined): boolean {
  return last === 'unknown' || last?.kind === 'upsert';
}

/**
 * Whether changes without a MAC are damaged, and the keys are there that tell. Before a store of an earlier version is
 * opened, they are neither.
 */
export async function areSigned(client: Client, keys: Keys): Promise<boolean> {
  const sql = `SELECT FROM pg_attribute WHERE attrelid = to_regclass('change') AND attname = 'mac' AND NOT attisdropped`;
  if ((await client.query(sql)).rowCount === 0) return false;
  if ((await signednessOf(client, keys.dataDir, 'change')) === 'unsigned') return false;
  try {
    return keys.isOpen || keys.readIfThere();
  } catch (error) {
    // The store does not open then, which says why.
    if (error instanceof Failure) return false;
    throw error;
  }
}

/** Rows of one subject that are looked through for one that fits. */
const MAX_FORGED = 1000;

/**
 * Why each of these rows is no change that this program wrote; undefined: it is one.
 * @throws Failure KEY_MISSING when a key that the database knows is not available
 */
export async function changeDamages(
  client: Client,
  keys: Keys,
  rows: readonly ChangeRow[],
): Promise<(ChangeDamage | undefined)[]> {
  const damages: (ChangeDamage | undefined)[] = [];
  for (const row of rows) damages.push(await damageOf(client, keys, row));
  return damages;
}

async function damageOf(client: Client, keys: Keys, row: ChangeRow): Promise<ChangeDamage | undefined> {
  try {
    return changeDamage(keys, row);
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'KEY_MISSING') throw error;
    // A key that the database does not know never made anything.
    if (await isKeyKnown(client, row.mac_key_id)) throw error;
    return CHANGE_MAC_MISMATCH;
  }
}

/**
 * The last changes of subjects, as far as this program has written them.
 * @returns `unknown`: so many rows of the subject were written by others that none of its own was found; a subject
 * without any change is left out
 * @throws Failure KEY_MISSING
 */
export async function lastChanges(
  client: Client,
  keys: Keys,
  subjectIds: readonly string[],
): Promise<Map<string, LastChange | 'unknown'>> {
  const found = new Map<string, LastChange | 'unknown'>();
  if (subjectIds.length === 0) return found;
  // Versions grow with the numbers; where lost changes were filled in again, versions alone do.
  const { rows } = await client.query<ChangeRow>(
    `SELECT DISTINCT ON (subject_id) ${CHANGE_FACTS} FROM change WHERE subject_id = ANY($1)
     ORDER BY subject_id, subject_version DESC, seq DESC`,
    [subjectIds],
  );
  const damages = await changeDamages(client, keys, rows);
  for (const [i, row] of rows.entries()) {
    const last = damages[i] === undefined ? toLast(row) : await lastAmong(client, keys, row.subject_id);
    if (last !== undefined) found.set(row.subject_id, last);
  }
  return found;
}

async function lastAmong(client: Client, keys: Keys, subjectId: string): Promise<LastChange | 'unknown' | undefined> {
  const sql = `SELECT ${CHANGE_FACTS} FROM change WHERE subject_id = $1
    ORDER BY subject_version DESC, seq DESC LIMIT ${MAX_FORGED}`;
  const { rows } = await client.query<ChangeRow>(sql, [subjectId]);
  const damages = await changeDamages(client, keys, rows);
  const genuine = rows.find((_, i) => damages[i] === undefined);
  if (genuine !== undefined) return toLast(genuine);
  return rows.length === MAX_FORGED ? 'unknown' : undefined;
}

function toLast({ seq, kind, subject_version: version }: ChangeRow): LastChange {
  return { seq: Number(seq), kind, version: Number(version) };
}
