import type pg from 'pg';
import { Failure } from '../failure.ts';
import { keyNotFound, newKeyId, type KeyRing } from '../security/key-ring.ts';
import type { Keys } from '../security/keys.ts';
import { enterKey, isKeyKnown, isKeyUsed, requireProofs } from './key-proofs.ts';
import { renewCases } from './renewed-cases.ts';
import { renewMacs } from './store-signing.ts';
import { TemplateResealing, type Resealed } from './template-resealing.ts';
import { inTransaction, READ_ONLY, withCallbacks, withConnection, withoutTimeLimit } from './transaction.ts';

/** Advisory lock for changes of the key file; an arbitrary number that no other lock of this database uses. */
const KEY_FILE_LOCK = 7_319_522_806;
/** Advisory lock of programs that open the keys. */
const OPENING_LOCK = 7_319_522_807;

/** Result of opening the keys. */
export interface Established {
  /** A first key was created. */
  readonly made: boolean;
  /** Keys that the database knows but that are not available, and that encrypt no template. */
  readonly missing: readonly string[];
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
      await client.query('SELECT pg_advisory_xact_lock($1)', [OPENING_LOCK]);
      const { rows } = await client.query('SELECT FROM template_key LIMIT 1');
      const made = await keys.open(rows.length > 0);
      const missing = await requireProofs(client, keys);
      const { currentId } = keys.ring;
      // A role that may only read the keys can open a store that has this one.
      if (!(await isKeyKnown(client, currentId))) await enterKey(client, keys.ring, currentId);
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
    return withConnection(this.#pool, (client) => enterKey(client, ring, id));
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

  /** Re-encrypts templates, see TemplateResealing.sealAll, and renews the MACs of rows when it re-encrypts all. */
  async sealAll(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<Resealed> {
    const { sealed, damaged } = await new TemplateResealing(this.#pool, this.#keys).sealAll(which, onProgress);
    if (which === 'plain') return { sealed, damaged };
    await renewCases(this.#pool, this.#keys);
    return { sealed, damaged: [...damaged, ...(await renewMacs(this.#pool, this.#keys))] };
  }

  /** Re-encrypts templates without reporting unreadable ones. */
  async sealStored(which: 'plain' | 'all', onProgress: (sealed: number) => void): Promise<number> {
    return (await this.sealAll(which, onProgress)).sealed;
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
      if (await isKeyUsed(client, keyId)) {
        const sentence = `Templates are encrypted or rows signed with key ${keyId}: rotate first. Those that ridgewatch store check calls damaged never get another key; they have to be mended or expunged before.`;
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
