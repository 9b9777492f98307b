import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import pg from 'pg';
import { from, to, type CopyStreamQuery } from 'pg-copy-streams';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { readHead, readSchema, readState } from './changes.ts';
import { readTables } from './tables.ts';
import { requireProofs } from './key-proofs.ts';
import { markThere, SIGNED_TABLES, unmarkThere } from './signed-mark.ts';
import { inTransaction, READ_ONLY, withCallbacks, withoutTimeLimit } from './transaction.ts';

const { escapeIdentifier } = pg;

/**
 * Numbers of hits that a restore leaves out for each agency. Those after the backup are lost, and their owners may know
 * their numbers: no new hit may get one that is known, or a reader that goes on after it would miss new hits.
 */
const LOST_HITS = 1_000_000_000;

export interface CopyFacts {
  /** Name of the last migration. */
  readonly schema: string;
  /** Number of the last change. */
  readonly sequence: number;
  /** See SubjectStore.stateAt. */
  readonly state: string;
}

/** The contents of a copy, and the keys needed to read it. */
export interface DumpFacts extends CopyFacts {
  /** Names of all tables, in the order in which they are copied. */
  readonly tables: readonly string[];
  /** Keys that encrypt its templates and made the MACs of its rows. */
  readonly templateKeys: readonly string[];
}

/** Copies the whole store in PostgreSQL's binary COPY format. Every method throws Failure. */
export class StoreCopy {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * Reads all tables in one consistent state.
   * @param begin - receives the facts of the copy
   * @param take - receives the bytes of one table after the other, in parts of any size
   */
  dump(
    begin: (facts: DumpFacts) => Promise<void>,
    take: (table: string, bytes: Buffer) => Promise<void>,
  ): Promise<void> {
    return withCallbacks((guard) => {
      const [beginGuarded, takeGuarded] = [guard(begin), guard(take)];
      const read = async (client: pg.PoolClient) => {
        await withoutTimeLimit(client);
        const tables = await readTables(client);
        const sql = `SELECT key_id FROM template_key k
          WHERE EXISTS (SELECT FROM reference r WHERE r.key_id = k.key_id)
            OR ${SIGNED_TABLES.map((table) => `EXISTS (SELECT FROM ${table} s WHERE s.mac_key_id = k.key_id)`).join(' OR ')}
          ORDER BY key_id`;
        const { rows } = await client.query<{ key_id: string }>(sql);
        const templateKeys = rows.map(({ key_id }) => key_id);
        await beginGuarded({ ...(await factsOf(client)), tables, templateKeys });
        for (const table of tables) {
          const stream = client.query(to(`COPY ${escapeIdentifier(table)} TO STDOUT (FORMAT binary)`));
          for await (const bytes of stream) await takeGuarded(table, bytes as Buffer);
        }
      };
      return inTransaction(this.#pool, read, READ_ONLY);
    });
  }

  /**
   * Fills an empty store: all of it or nothing.
   * @param facts - of the copy
   * @param feed - passes on the output of `dump`, in the same order
   * @throws Failure STORE_NOT_EMPTY; SCHEMA_DIFFERS; KEY_MISSING, KEY_WRONG; BACKUP_DAMAGED when the copied data is not
   * that state
   */
  restore(
    facts: CopyFacts,
    feed: (write: (table: string, bytes: Buffer) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    return inTransaction(this.#pool, async (client) => {
      await withoutTimeLimit(client);
      const own = await factsOf(client);
      if (own.schema !== facts.schema) {
        const sentence = `The backup has schema ${facts.schema}, and this program makes ${own.schema}: restore it with the program that made it, then start this one on the store.`;
        throw new Failure('failed-precondition', 'SCHEMA_DIFFERS', sentence);
      }
      if (own.sequence > 0)
        throw new Failure(
          'failed-precondition',
          'STORE_NOT_EMPTY',
          'The store holds something: restore into an empty one.',
        );
      // The clients of the copy take the place of those that the start made, and their version is not counted on.
      await client.query(`ALTER TABLE client DISABLE TRIGGER client_changes_are_noted`);
      await client.query(`ALTER TABLE client_credential DISABLE TRIGGER credential_changes_are_noted`);
      // Hits keep the numbers that they had: clients have acknowledged some of them.
      await client.query(`ALTER TABLE audit_record DISABLE TRIGGER hits_are_noted`);
      for (const table of ['client_credential', 'client', 'agency', 'client_version'])
        await client.query(`DELETE FROM ${table}`);
      // Rows from the start of the service.
      await client.query('DELETE FROM template_key');
      await client.query('DELETE FROM change_counter');
      // Progress of imports without enrolled subjects.
      await client.query('DELETE FROM import');
      // A row that had lost its MAC is damaged there as it was here: the copy is restored, and the row is not served.
      for (const table of SIGNED_TABLES) await unmarkThere(client, table);
      const tables = new TableWriter(client, new Set(await readTables(client)));
      try {
        await feed((table, bytes) => tables.write(table, bytes));
        await tables.end();
      } catch (error) {
        await tables.abandon();
        throw error;
      }
      const copied = await factsOf(client);
      if (copied.sequence !== facts.sequence || copied.state !== facts.state)
        throw new Failure(
          'failed-precondition',
          'BACKUP_DAMAGED',
          'The backup does not hold what it says that it holds.',
        );
      await client.query('UPDATE hit_counter SET seq = seq + $1', [LOST_HITS]);
      await requireProofs(client, this.#keys);
      for (const table of SIGNED_TABLES) await markThere(client, table);
      await client.query(`ALTER TABLE client ENABLE TRIGGER client_changes_are_noted`);
      await client.query(`ALTER TABLE client_credential ENABLE TRIGGER credential_changes_are_noted`);
      await client.query(`ALTER TABLE audit_record ENABLE TRIGGER hits_are_noted`);
    });
  }
}

/** Writes bytes to one table after the other. */
class TableWriter {
  readonly #client: pg.PoolClient;
  readonly #tables: ReadonlySet<string>;
  #table: string | undefined;
  #stream: CopyStreamQuery | undefined;
  #done: Promise<void> = Promise.resolve();

  /** @param tables - of the store */
  constructor(client: pg.PoolClient, tables: ReadonlySet<string>) {
    this.#client = client;
    this.#tables = tables;
  }

  /** @throws Failure SCHEMA_DIFFERS */
  async write(table: string, bytes: Buffer): Promise<void> {
    if (table !== this.#table) {
      await this.end();
      if (!this.#tables.has(table)) {
        const sentence = `The backup holds a table ${table}, which this store does not have: restore it with the program that made it.`;
        throw new Failure('failed-precondition', 'SCHEMA_DIFFERS', sentence);
      }
      this.#table = table;
      this.#stream = this.#client.query(from(`COPY ${escapeIdentifier(table)} FROM STDIN (FORMAT binary)`));
      this.#done = finished(this.#stream);
      this.#done.catch(() => undefined);
    }
    if (this.#stream?.write(bytes) === false) await Promise.race([once(this.#stream, 'drain'), this.#done]);
  }

  /** Ends the COPY: until then the connection accepts no other statement. */
  async abandon(): Promise<void> {
    this.#stream?.destroy(new Error('the copy was abandoned'));
    await this.#done.catch(() => undefined);
  }

  async end(): Promise<void> {
    this.#stream?.end();
    this.#stream = undefined;
    await this.#done;
  }
}

async function factsOf(client: pg.PoolClient): Promise<CopyFacts> {
  const sequence = await readHead(client);
  return { schema: await readSchema(client), sequence, state: (await readState(client, sequence)) ?? '' };
}
