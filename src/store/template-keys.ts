import type pg from 'pg';
import { Failure } from '../failure.ts';
import { keyMissing, keyNotFound, newKeyId, type KeyRing } from '../security/key-ring.ts';
import type { Keys, Sealed } from '../security/keys.ts';
import { blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import type { DamagedReference } from './records.ts';
import { sealTemplate, unsealTemplate, type SealedRow } from './sealed-templates.ts';
import { isDamage } from './store-failure.ts';
import { inTransaction, READ_ONLY, withCallbacks, withConnection, withoutTimeLimit } from './transaction.ts';

/** Rows that are encrypted again in one transaction: some tens of milliseconds, in which callers hardly wait for them. */
const ROWS_PER_STEP = 500;
/** Held while the key file is changed; any number that no other lock of this database has. */
const KEY_FILE_LOCK = 7_319_522_806;
const NO_REFERENCE = '00000000-0000-0000-0000-000000000000';

/** What came of looking at the keys. */
export interface Established {
  /** A first key was made. */
  readonly made: boolean;
  /** Keys that the database knows of, that are not at hand, and that no template is encrypted with. */
  readonly missing: readonly string[];
}

/** What came of encrypting everything again. */
export interface Resealed {
  readonly sealed: number;
  readonly damaged: readonly DamagedReference[];
}

interface SealedStep {
  readonly last: string | undefined;
  readonly count: number;
  readonly damaged: readonly DamagedReference[];
}

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
   * must not each make a key. The file is written before the database knows of a key, so whenever this is interrupted
   * the next start finds a key that it can use.
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID, KEY_MISSING, KEY_WRONG
   */
  establish(): Promise<Established> {
    const keys = this.#keys;
    return inTransaction(this.#pool, async (client) => {
      await client.query('LOCK TABLE template_key IN EXCLUSIVE MODE');
      const { rows } = await client.query('SELECT FROM template_key LIMIT 1');
      const made = await keys.open(rows.length > 0);
      const missing = await requireProofs(client, keys);
      await enter(client, keys.ring, keys.ring.currentId);
      return { made, missing };
    });
  }

  /**
   * Makes a new key the current one. First it is in the file, written and read back, and used by no process; then the
   * database knows of it; and only then is it the current one, for templates are encrypted with that as soon as it is in
   * the file. Interrupted or refused anywhere, it leaves at most a key that nothing is encrypted with.
   * @returns the id of the key
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID; KEYS_IN_CHANGE
   */
  rotate(now: Date): Promise<string> {
    const id = newKeyId(now);
    return this.#alone(async () => {
      await this.#keys.change((ring) => ring.withKey(id));
      await this.enter(this.#keys.ring, id);
      await this.#keys.change((ring) => ring.withCurrent(id));
      return id;
    });
  }

  /** Makes a key of a ring known to the database, which has to be before anything is encrypted with it. */
  enter(ring: KeyRing, id = ring.currentId): Promise<void> {
    return withConnection(this.#pool, (client) => enter(client, ring, id));
  }

  /**
   * Runs work that changes the key file while no other process does: of two that write it at once, the second would drop
   * the first one's key.
   */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    return withCallbacks(async (guard) => {
      let result: [T] | undefined;
      const guarded = guard(async () => void (result = [await work()]));
      await inTransaction(this.#pool, async (client) => {
        const sql = 'SELECT pg_try_advisory_xact_lock($1) AS locked';
        const { rows } = await client.query<{ locked: boolean }>(sql, [KEY_FILE_LOCK]);
        if (rows[0]?.locked !== true) {
          const sentence = 'Another process changes the keys now: let it come to its end.';
          throw new Failure('failed-precondition', 'KEYS_IN_CHANGE', sentence);
        }
        await guarded();
      });
      if (result === undefined) throw new Error('work under a lock came to no result');
      return result[0];
    });
  }

  /**
   * Encrypts templates with the current key that are not encrypted with it, while everything goes on: nobody waits longer
   * than one step takes, and no change of a subject comes of it. May be stopped at any time and begun again.
   * @param which - `plain`: only those that are not encrypted at all
   * @param onProgress - told how many were encrypted so far
   * @returns how many were encrypted, and which could not be read: these stay as they are
   */
  async sealAll(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<Resealed> {
    await this.#waitForWriters();
    const damaged: DamagedReference[] = [];
    let [after, sealed] = [NO_REFERENCE, 0];
    for (;;) {
      const step = await this.#sealStep(which, after).catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        return undefined;
      });
      if (step === undefined) break;
      damaged.push(...step.damaged);
      if (step.last === undefined) return { sealed, damaged };
      after = step.last;
      sealed += step.count;
      onProgress(sealed);
    }
    // A damaged block is in the way of reading in order: what lies around it is read block by block.
    const { ids, lost } = await this.#unsealedAround(which);
    // What was damaged before is met again.
    damaged.splice(0, damaged.length, ...lost);
    for (let at = 0; at < ids.length; at += ROWS_PER_STEP) {
      for (const step of await this.#sealThese(ids.slice(at, at + ROWS_PER_STEP))) {
        damaged.push(...step.damaged);
        sealed += step.count;
      }
      onProgress(sealed);
    }
    return { sealed, damaged };
  }

  /** The same, and silent about what could not be read. */
  async sealStored(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<number> {
    return (await this.sealAll(which, onProgress)).sealed;
  }

  /** Ids of what is to be encrypted, in blocks that can be read; and subjects with references in others. */
  #unsealedAround(which: 'plain' | 'all'): Promise<{ readonly ids: string[]; readonly lost: DamagedReference[] }> {
    const condition = which === 'plain' ? 'key_id IS NULL' : 'key_id IS DISTINCT FROM $1';
    const values = which === 'plain' ? [] : [this.#keys.ring.currentId];
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const { readable, damaged } = await blocksOf(client, 'reference');
      const sql = (within: string) => `SELECT reference_id FROM reference WHERE ${condition} AND ${within}`;
      const rows = await readBlocks<{ reference_id: string }>(client, readable, sql, values);
      const lost = damaged.map(() => ({ referenceId: '', subjectId: '', reason: 'STORE_DAMAGED' }));
      return { ids: rows.map(({ reference_id }) => reference_id).sort(), lost };
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** @returns a step for each part of them that could be read together */
  async #sealThese(ids: readonly string[]): Promise<SealedStep[]> {
    const condition = 'key_id IS DISTINCT FROM $2 AND reference_id = ANY($1)';
    try {
      return [await this.#seal(condition, [ids, this.#keys.ring.currentId])];
    } catch (error) {
      if (!isDamage(error)) throw error;
      const [only] = ids;
      if (ids.length === 1 && only !== undefined)
        return [{ last: only, count: 0, damaged: [{ referenceId: only, subjectId: '', reason: 'STORE_DAMAGED' }] }];
      const half = Math.ceil(ids.length / 2);
      return [...(await this.#sealThese(ids.slice(0, half))), ...(await this.#sealThese(ids.slice(half)))];
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

  #sealStep(which: 'plain' | 'all', after: string): Promise<SealedStep> {
    const condition = `${which === 'plain' ? 'key_id IS NULL' : 'key_id IS DISTINCT FROM $2'} AND reference_id > $1`;
    return this.#seal(condition, which === 'plain' ? [after] : [after, this.#keys.ring.currentId]);
  }

  /** Encrypts again, in one transaction, the first rows that a condition is true of. What does not open is left alone. */
  #seal(condition: string, values: readonly unknown[]): Promise<SealedStep> {
    const keys = this.#keys;
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<SealedRow & { readonly subject_id: string }>(
        `SELECT reference_id, subject_id, key_id, template FROM reference WHERE ${condition}
         ORDER BY reference_id LIMIT ${ROWS_PER_STEP} FOR NO KEY UPDATE`,
        [...values],
      );
      const damaged: DamagedReference[] = [];
      const again: { readonly id: string; readonly sealed: Sealed }[] = [];
      for (const row of rows) {
        const { reference_id: id, subject_id: subjectId } = row;
        try {
          again.push({ id, sealed: sealTemplate(keys, id, unsealTemplate(keys, row)) });
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          if (error.reason === 'KEY_MISSING' && (await isKnown(client, row.key_id))) throw error;
          const reason = error.reason === 'KEY_MISSING' ? 'KEY_UNKNOWN' : error.reason;
          damaged.push({ referenceId: id, subjectId, reason });
        }
      }
      await client.query(
        `UPDATE reference r SET key_id = s.key_id, template = s.template
         FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS s(reference_id, key_id, template)
         WHERE r.reference_id = s.reference_id`,
        [again.map(({ id }) => id), again.map(({ sealed }) => sealed.keyId), again.map(({ sealed }) => sealed.bytes)],
      );
      return { last: rows.at(-1)?.reference_id, count: again.length, damaged };
    });
  }

  /** Stored templates by the key that they are encrypted with. Reads the whole table. */
  async count(): Promise<Map<string, number>> {
    const sql = 'SELECT key_id, count(*) FROM reference WHERE key_id IS NOT NULL GROUP BY key_id';
    const { rows } = await inTransaction(
      this.#pool,
      async (client) => {
        await withoutTimeLimit(client);
        return client.query<{ key_id: string; count: string }>(sql);
      },
      READ_ONLY,
    );
    return new Map(rows.map(({ key_id, count }) => [key_id, Number(count)]));
  }

  /**
   * Forgets a key that nothing is encrypted with any more. A program that has not heard of the rotation and goes on using
   * it is refused by the database, for the row that it points to is gone.
   * @returns whether the database knew it
   * @throws Failure KEY_IN_USE
   */
  forget(keyId: string): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      if (await isUsed(client, keyId)) {
        const sentence = `Templates are encrypted with key ${keyId}: rotate first. Those that ridgewatch store check calls damaged are never encrypted again; they have to be mended or expunged before.`;
        throw new Failure('failed-precondition', 'KEY_IN_USE', sentence);
      }
      const { rowCount } = await client.query('DELETE FROM template_key WHERE key_id = $1', [keyId]);
      return rowCount === 1;
    });
  }

  /** Whether the key file or the database has a key of this id. */
  async isKnown(keyId: string): Promise<boolean> {
    if (this.#keys.ring.ids.includes(keyId)) return true;
    const sql = 'SELECT FROM template_key WHERE key_id = $1';
    const { rows } = await withConnection(this.#pool, (client) => client.query(sql, [keyId]));
    return rows.length > 0;
  }

  /**
   * The same, and takes it out of the file: first the one and then the other, so that at no moment the database names a
   * key that is gone.
   * @throws Failure KEY_IN_USE, KEY_NOT_FOUND; KEYS_UNREADABLE when the file cannot be written: it is as it was
   */
  drop(keyId: string): Promise<void> {
    return this.#alone(async () => {
      this.#keys.read();
      const isInFile = this.#keys.ring.ids.includes(keyId);
      // Refuses to take the current one out before anything is changed.
      if (isInFile) this.#keys.ring.without(keyId);
      const wasKnown = await this.forget(keyId);
      if (isInFile) await this.#keys.change((ring) => ring.without(keyId));
      else if (!wasKnown) throw keyNotFound(keyId);
    });
  }
}

/**
 * Makes sure that the keys at hand are those which the database knows of, as far as anything is encrypted with them.
 * @returns ids of keys that are not at hand, or are others, and that no template is encrypted with
 * @throws Failure KEY_MISSING, KEY_WRONG
 */
export async function requireProofs(client: Pick<pg.ClientBase, 'query'>, keys: Keys): Promise<string[]> {
  const { rows } = await client.query<{ key_id: string; proof: Buffer }>(
    'SELECT key_id, proof FROM template_key ORDER BY key_id',
  );
  const missing: string[] = [];
  for (const { key_id, proof } of rows) {
    const own = keys.ring.proof(key_id);
    if (own?.equals(proof) === true) continue;
    // One that is encrypted with from now on has to be the one that other processes mean.
    const isNeeded = key_id === keys.ring.currentId || (await isUsed(client, key_id));
    if (!isNeeded) {
      missing.push(key_id);
      continue;
    }
    if (own === undefined) throw keyMissing(key_id);
    const sentence = `Key ${key_id} in ${keys.file} is not the one that the stored templates were encrypted with: bring back the right key file.`;
    throw new Failure('failed-precondition', 'KEY_WRONG', sentence);
  }
  return missing;
}

/** Whether the database knows a key. */
async function isKnown(client: Pick<pg.ClientBase, 'query'>, keyId: string | null): Promise<boolean> {
  const { rows } = await client.query('SELECT FROM template_key WHERE key_id = $1', [keyId]);
  return rows.length > 0;
}

/** Whether a template is encrypted with a key. Reads the whole table where none is. */
async function isUsed(client: Pick<pg.ClientBase, 'query'>, keyId: string): Promise<boolean> {
  await withoutTimeLimit(client);
  const { rows } = await client.query('SELECT FROM reference WHERE key_id = $1 LIMIT 1', [keyId]);
  return rows.length > 0;
}

async function enter(client: Pick<pg.ClientBase, 'query'>, ring: KeyRing, id: string): Promise<void> {
  await client.query('INSERT INTO template_key VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING', [id, ring.proof(id)]);
}

/**
 * Enters the keys of the key file that templates are encrypted with, where the database has lost them; in a transaction
 * that changes nothing it only makes sure that it could.
 * @throws Failure KEYS_UNREADABLE; KEY_MISSING, KEY_WRONG: a key is not at hand, or opens nothing
 */
export async function enterKeysAtHand(client: pg.PoolClient, keys: Keys): Promise<void> {
  keys.read();
  await withoutTimeLimit(client);
  const used = new Map<string, SealedRow[]>();
  const { readable } = await blocksOf(client, 'reference');
  const sql = (within: string) => `SELECT key_id, min(ctid) AS place FROM reference
    WHERE key_id IS NOT NULL AND ${within} GROUP BY key_id`;
  for (const { key_id, place } of await readBlocks<{ key_id: string; place: string }>(client, readable, sql)) {
    const template = 'SELECT reference_id, key_id, template FROM reference WHERE ctid = $1::tid';
    const found = await tryRead(client, () => client.query<SealedRow>(template, [place]));
    used.set(key_id, [...(used.get(key_id) ?? []), ...(found?.rows ?? [])]);
  }
  const { rows: mode } = await client.query<{ transaction_read_only: string }>('SHOW transaction_read_only');
  const isTrial = mode[0]?.transaction_read_only === 'on';
  for (const [id, rows] of used) {
    if (!keys.ring.ids.includes(id)) throw keyMissing(id);
    if (!rows.some((row) => opens(keys, row))) {
      const sentence = `Key ${id} in ${keys.file} opens no stored template: bring back the right key file.`;
      throw new Failure('failed-precondition', 'KEY_WRONG', sentence);
    }
    if (!isTrial) await enter(client, keys.ring, id);
  }
}

function opens(keys: Keys, row: SealedRow): boolean {
  try {
    unsealTemplate(keys, row);
    return true;
  } catch {
    return false;
  }
}
