import type pg from 'pg';
import { Failure } from '../failure.ts';
import { keyMissing, keyNotFound, newKeyId, type KeyRing } from '../security/key-ring.ts';
import type { Keys, Sealed } from '../security/keys.ts';
import { blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import type { DamagedReference } from './records.ts';
import { sealTemplate, unsealTemplate, type SealedRow } from './sealed-templates.ts';
import { isDamage } from './store-damage.ts';
import { inTransaction, READ_ONLY, withCallbacks, withConnection, withoutTimeLimit } from './transaction.ts';

/** Rows re-encrypted in one transaction, which takes some tens of milliseconds: callers hardly wait for it. */
const ROWS_PER_STEP = 500;
/** Advisory lock for changes of the key file; an arbitrary number that no other lock of this database uses. */
const KEY_FILE_LOCK = 7_319_522_806;
const NO_REFERENCE = '00000000-0000-0000-0000-000000000000';

/** Result of opening the keys. */
export interface Established {
  /** A first key was created. */
  readonly made: boolean;
  /** Keys that the database knows but that are not available, and that encrypt no template. */
  readonly missing: readonly string[];
}

/** Result of re-encrypting all templates. */
export interface Resealed {
  readonly sealed: number;
  readonly damaged: readonly DamagedReference[];
}

interface SealedStep {
  readonly last: string | undefined;
  readonly count: number;
  readonly damaged: readonly DamagedReference[];
}

/** The encryption keys of stored templates. Every method throws Failure. */
export class TemplateKeys {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * Opens the keys, and checks that they belong to this database. Only one program at a time does this: two that start
   * together must not each create a key. The file is written before the database knows the key: after an interruption
   * the next start finds a usable key.
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
   * Creates a new current key. First it is written to the file and read back, but no process uses it yet. Then the
   * database learns of it. Only then it becomes current, because templates are encrypted with the file's current key at
   * once. An interruption or error leaves at most an unused key.
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

  /** Registers a key with the database, which must happen before its first use. */
  enter(ring: KeyRing, id = ring.currentId): Promise<void> {
    return withConnection(this.#pool, (client) => enter(client, ring, id));
  }

  /**
   * Runs work that changes the key file, under a lock: of two concurrent writers, the second would drop the first one's
   * key.
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
   * Re-encrypts all templates that do not use the current key, while the service runs. Callers wait for one step at
   * most, and subjects get no change. It can be stopped at any time and restarted.
   * @param which - `plain`: only unencrypted templates
   * @param onProgress - receives the number encrypted so far
   * @returns the number encrypted, and the unreadable references, which stay unchanged
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
    // A damaged block prevents reading in order: the rest is read block by block.
    const { ids, lost } = await this.#unsealedAround(which);
    // The damaged references so far are met again.
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

  /** Re-encrypts templates without reporting unreadable ones. */
  async sealStored(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<number> {
    return (await this.sealAll(which, onProgress)).sealed;
  }

  /** Ids of references to encrypt in readable blocks, and one lost entry for each other block. */
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

  /** @returns a step for each part that could be read together */
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
   * Waits until no transaction is adding a template: all templates under another key are then visible. It locks the
   * table instead of the rows, because later writers queue behind a table lock: under constant writes, its turn still
   * comes.
   */
  #waitForWriters(): Promise<unknown> {
    return inTransaction(this.#pool, (client) => client.query('LOCK TABLE template_key IN EXCLUSIVE MODE'));
  }

  #sealStep(which: 'plain' | 'all', after: string): Promise<SealedStep> {
    const condition = `${which === 'plain' ? 'key_id IS NULL' : 'key_id IS DISTINCT FROM $2'} AND reference_id > $1`;
    return this.#seal(condition, which === 'plain' ? [after] : [after, this.#keys.ring.currentId]);
  }

  /** Re-encrypts the first rows that match a condition, in one transaction. Undecryptable templates stay unchanged. */
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

  /** Number of stored templates by encryption key. Reads the whole table. */
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
   * Removes an unused key from the database. A program that has missed the rotation and still uses the key gets an
   * error of the database, because the referenced row is missing.
   * @returns whether the database knew the key
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

  /** Whether the key file or the database has a key with this id. */
  async isKnown(keyId: string): Promise<boolean> {
    if (this.#keys.ring.ids.includes(keyId)) return true;
    const sql = 'SELECT FROM template_key WHERE key_id = $1';
    const { rows } = await withConnection(this.#pool, (client) => client.query(sql, [keyId]));
    return rows.length > 0;
  }

  /**
   * Removes an unused key from the database and then from the file. In this order the database never names a missing
   * key.
   * @throws Failure KEY_IN_USE, KEY_NOT_FOUND; KEYS_UNREADABLE when the file cannot be written: it stays unchanged
   */
  drop(keyId: string): Promise<void> {
    return this.#alone(async () => {
      this.#keys.read();
      const isInFile = this.#keys.ring.ids.includes(keyId);
      // Rejects the current key before anything is changed.
      if (isInFile) this.#keys.ring.without(keyId);
      const wasKnown = await this.forget(keyId);
      if (isInFile) await this.#keys.change((ring) => ring.without(keyId));
      else if (!wasKnown) throw keyNotFound(keyId);
    });
  }
}

/**
 * Checks that the available keys are those that the database knows, as far as templates use them.
 * @returns ids of keys that are missing or different, and that encrypt no template
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
    // The current key must be the same in all processes.
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

/** Whether a key encrypts any template. Reads the whole table if it does not. */
async function isUsed(client: Pick<pg.ClientBase, 'query'>, keyId: string): Promise<boolean> {
  await withoutTimeLimit(client);
  const { rows } = await client.query('SELECT FROM reference WHERE key_id = $1 LIMIT 1', [keyId]);
  return rows.length > 0;
}

async function enter(client: Pick<pg.ClientBase, 'query'>, ring: KeyRing, id: string): Promise<void> {
  await client.query('INSERT INTO template_key VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING', [id, ring.proof(id)]);
}

/**
 * Re-enters the used keys of the key file that the database has lost. In a read-only transaction it only checks that
 * this is possible.
 * @throws Failure KEYS_UNREADABLE; KEY_MISSING, KEY_WRONG: a key is not available, or decrypts no template
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
