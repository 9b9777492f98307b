import type pg from 'pg';
import { Failure } from '../failure.ts';
import { keyMissing, type KeyRing } from '../security/key-ring.ts';
import type { Keys } from '../security/keys.ts';
import { sealTemplate, unsealTemplate, type SealedRow } from './sealed-templates.ts';
import { inTransaction, withConnection } from './transaction.ts';

/** Rows that are encrypted again in one transaction: some tens of milliseconds, in which nobody waits for many of them. */
const ROWS_PER_STEP = 500;
const NO_REFERENCE = '00000000-0000-0000-0000-000000000000';

/** Which keys the stored templates are encrypted with. Every method throws Failure. */
export class TemplateKeys {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * Opens the keys, and makes sure that they are those of this database. One program at a time: two that start together
   * must not each make a key.
   * @returns whether a first key was made
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID, KEY_MISSING, KEY_WRONG
   */
  establish(): Promise<boolean> {
    const keys = this.#keys;
    return inTransaction(this.#pool, async (client) => {
      await client.query('LOCK TABLE template_key IN EXCLUSIVE MODE');
      const { rows } = await client.query('SELECT FROM template_key LIMIT 1');
      const made = await keys.open(rows.length > 0);
      await requireProofs(client, keys);
      await enter(client, keys.ring);
      return made;
    });
  }

  /** Makes the current key of a ring known to the database, which has to be before anything is encrypted with it. */
  enter(ring: KeyRing): Promise<void> {
    return withConnection(this.#pool, (client) => enter(client, ring));
  }

  /**
   * Encrypts templates with the current key that are not encrypted with it, while everything goes on: nobody waits longer
   * than one step takes, and no change of a subject comes of it. May be stopped at any time and begun again.
   * @param which - `plain`: only those that are not encrypted at all
   * @param onProgress - told how many were encrypted so far
   * @returns how many were encrypted
   */
  async sealStored(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<number> {
    await this.#waitForWriters();
    let [after, sealed] = [NO_REFERENCE, 0];
    for (;;) {
      const { last, count } = await this.#sealStep(which, after);
      if (last === undefined) return sealed;
      after = last;
      sealed += count;
      onProgress(sealed);
    }
  }

  /**
   * Until nobody is in the middle of adding a template: those that were encrypted with another key are all there then. The
   * table's lock and not the rows', for those who come later wait in line behind it: however many add templates all the
   * time, its turn comes.
   */
  #waitForWriters(): Promise<unknown> {
    return inTransaction(this.#pool, (client) => client.query('LOCK TABLE template_key IN EXCLUSIVE MODE'));
  }

  #sealStep(
    which: 'plain' | 'all',
    after: string,
  ): Promise<{ readonly last: string | undefined; readonly count: number }> {
    const keys = this.#keys;
    const condition = which === 'plain' ? 'key_id IS NULL' : 'key_id IS DISTINCT FROM $2';
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<SealedRow>(
        `SELECT reference_id, key_id, template FROM reference WHERE ${condition} AND reference_id > $1
         ORDER BY reference_id LIMIT ${ROWS_PER_STEP} FOR NO KEY UPDATE`,
        which === 'plain' ? [after] : [after, keys.ring.currentId],
      );
      const again = rows.map((row) => sealTemplate(keys, row.reference_id, unsealTemplate(keys, row)));
      await client.query(
        `UPDATE reference r SET key_id = s.key_id, template = s.template
         FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS s(reference_id, key_id, template)
         WHERE r.reference_id = s.reference_id`,
        [
          rows.map(({ reference_id }) => reference_id),
          again.map(({ keyId }) => keyId),
          again.map(({ bytes }) => bytes),
        ],
      );
      return { last: rows.at(-1)?.reference_id, count: rows.length };
    });
  }

  /** Stored templates by the key that they are encrypted with. Reads the whole table. */
  async count(): Promise<Map<string, number>> {
    const sql = 'SELECT key_id, count(*) FROM reference WHERE key_id IS NOT NULL GROUP BY key_id';
    const { rows } = await withConnection(this.#pool, (client) => client.query<{ key_id: string; count: string }>(sql));
    return new Map(rows.map(({ key_id, count }) => [key_id, Number(count)]));
  }

  /**
   * Forgets a key that nothing is encrypted with any more. A program that has not heard of the rotation and goes on using
   * it is refused by the database, for the row that it points to is gone.
   * @throws Failure KEY_IN_USE
   */
  forget(keyId: string): Promise<void> {
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query('SELECT FROM reference WHERE key_id = $1 LIMIT 1', [keyId]);
      if (rows.length > 0) {
        const sentence = `Templates are encrypted with key ${keyId}: rotate first.`;
        throw new Failure('failed-precondition', 'KEY_IN_USE', sentence);
      }
      await client.query('DELETE FROM template_key WHERE key_id = $1', [keyId]);
    });
  }
}

/**
 * Makes sure that the keys at hand are those which the database knows of.
 * @throws Failure KEY_MISSING, KEY_WRONG
 */
export async function requireProofs(client: Pick<pg.ClientBase, 'query'>, keys: Keys): Promise<void> {
  const { rows } = await client.query<{ key_id: string; proof: Buffer }>('SELECT key_id, proof FROM template_key');
  for (const { key_id, proof } of rows) {
    const own = keys.ring.proof(key_id);
    if (own === undefined) throw keyMissing(key_id);
    if (own.equals(proof)) continue;
    const sentence = `Key ${key_id} in ${keys.file} is not the one that the stored templates were encrypted with: bring back the right key file.`;
    throw new Failure('failed-precondition', 'KEY_WRONG', sentence);
  }
}

async function enter(client: Pick<pg.ClientBase, 'query'>, ring: KeyRing): Promise<void> {
  const { currentId } = ring;
  await client.query('INSERT INTO template_key VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING', [
    currentId,
    ring.proof(currentId),
  ]);
}
