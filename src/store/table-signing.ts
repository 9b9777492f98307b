/**
 * Gives the rows of a table their MACs: all of them at the first start after an upgrade, and new ones after a rotation
 * of the keys. What the MACs say is for those who extend this.
 */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import { holdKeys } from './held-keys.ts';
import type { DamagedReference } from './records.ts';
import { markHere, markThere, signednessOf, type Signedness, type SignedTable } from './signed-mark.ts';
import { isDamage } from './store-damage.ts';
import { inTransaction, READ_ONLY, withConnection, withoutTimeLimit } from './transaction.ts';

/** How to go through a table. */
export interface Walk {
  readonly table: SignedTable;
  /** Its key, by which steps are ordered. */
  readonly key: string;
  /** A key before all others. */
  readonly first: string;
  /** Rows in one transaction, which takes some tens of milliseconds: callers hardly wait for it. */
  readonly rowsPerStep: number;
}

/** The rows of a step. */
export interface Selection {
  /** SQL after WHERE, with ORDER BY and LIMIT. */
  readonly where: string;
  readonly values: readonly unknown[];
}

/** What a step through a table did. */
export interface Step {
  /** Key of the last row that was looked at; undefined: none was left. */
  readonly last: string | undefined;
  readonly signed: number;
  /** Rows that do not fit their MAC, which stay as they are. */
  readonly damaged: readonly DamagedReference[];
}

/** Every method throws Failure. */
export abstract class TableSigning {
  protected readonly keys: Keys;
  readonly #pool: pg.Pool;
  readonly #walk: Walk;

  /** @param keys - open */
  protected constructor(pool: pg.Pool, keys: Keys, walk: Walk) {
    this.#pool = pool;
    this.keys = keys;
    this.#walk = walk;
  }

  get table(): SignedTable {
    return this.#walk.table;
  }

  /** Makes the MACs of rows as the rows are, in order of the key. */
  protected abstract sign(client: pg.PoolClient, which: Selection): Promise<Step>;

  /** Makes the MACs of rows anew, where they fit. */
  protected abstract renew(client: pg.PoolClient, which: Selection): Promise<Step>;

  state(): Promise<Signedness> {
    return withConnection(this.#pool, (client) => signednessOf(client, this.keys.dataDir, this.table));
  }

  /** Notes, in the database and in the data directory, that rows without a MAC are damaged. */
  async mark(): Promise<void> {
    await inTransaction(this.#pool, (client) => markThere(client, this.table));
    await markHere(this.keys.dataDir, this.table);
  }

  /** Whether any row may have no MAC. Reads the whole table if none is without. */
  hasUnsigned(): Promise<boolean> {
    const look = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const sql = `SELECT FROM ${this.table} WHERE mac IS NULL LIMIT 1`;
      const found = await tryRead(client, () => client.query(sql));
      return found === undefined || found.rows.length > 0;
    };
    return inTransaction(this.#pool, look, READ_ONLY);
  }

  /**
   * Signs all rows of a store of an earlier version as they are, and then marks the table. It can be stopped at any
   * time and goes on at the next start. Rows in unreadable blocks stay without a MAC.
   * @param onProgress - receives the number of rows signed so far
   * @returns the number of signed rows
   */
  async signAll(onProgress: (signed: number) => void): Promise<number> {
    const { key, first } = this.#walk;
    const { done } = await this.#steps('mac IS NULL', [], onProgress, (client, which) => this.sign(client, which));
    // A service of the earlier version may have added some meanwhile; behind this lock it can no longer.
    const left = await inTransaction(this.#pool, async (client) => {
      await client.query('SET LOCAL statement_timeout = 0');
      await holdKeys(client, this.keys);
      await markThere(client, this.table);
      let signed = 0;
      for (let after = first; ;) {
        const from = after;
        const take = () => this.sign(client, this.#first(`mac IS NULL AND ${key} > $1`, [from]));
        const step = await tryRead(client, take);
        if (step?.last === undefined) return signed;
        after = step.last;
        signed += step.signed;
      }
    });
    await markHere(this.keys.dataDir, this.table);
    return done + left;
  }

  /**
   * Makes the MACs of another key than the current one anew, while the service runs. Those that do not fit their row
   * stay as they are.
   */
  async renewAll(): Promise<readonly DamagedReference[]> {
    const condition = 'mac_key_id IS DISTINCT FROM $1 AND mac IS NOT NULL';
    const { damaged } = await this.#steps(
      condition,
      [this.keys.ring.currentId],
      () => undefined,
      (client, which) => this.renew(client, which),
    );
    return damaged;
  }

  /** The first rows that match a condition, in order of the key. */
  #first(condition: string, values: readonly unknown[]): Selection {
    return { where: `${condition} ORDER BY ${this.#walk.key} LIMIT ${this.#walk.rowsPerStep}`, values };
  }

  /**
   * Takes step after step through the rows that match a condition, in order of their keys; where a block cannot be
   * read, through those in the other blocks.
   */
  async #steps(
    condition: string,
    values: readonly unknown[],
    onProgress: (done: number) => void,
    take: (client: pg.PoolClient, which: Selection) => Promise<Step>,
  ): Promise<{ readonly done: number; readonly damaged: readonly DamagedReference[] }> {
    const { key, first, rowsPerStep } = this.#walk;
    const step = (which: string, more: unknown) =>
      inTransaction(this.#pool, async (client) => {
        await holdKeys(client, this.keys);
        return take(client, this.#first(`${condition} AND ${which}`, [...values, more]));
      });
    const place = `$${values.length + 1}`;
    const damaged: DamagedReference[] = [];
    let done = 0;
    const note = (taken: Step) => {
      damaged.push(...taken.damaged);
      onProgress((done += taken.signed));
    };
    for (let after = first; ;) {
      const taken = await step(`${key} > ${place}`, after).catch(ignoreDamage);
      if (taken === undefined) break;
      if (taken.last === undefined) return { done, damaged };
      after = taken.last;
      note(taken);
    }
    const takeThese = async (ids: readonly string[]): Promise<void> => {
      const taken = await step(`${key} = ANY(${place})`, ids).catch(ignoreDamage);
      if (taken !== undefined) note(taken);
      else if (ids.length > 1) for (const id of ids) await takeThese([id]);
    };
    const ids = await this.#readable(condition, values);
    for (let at = 0; at < ids.length; at += rowsPerStep) await takeThese(ids.slice(at, at + rowsPerStep));
    return { done, damaged };
  }

  /** Keys of the rows in readable blocks that match a condition. */
  #readable(condition: string, values: readonly unknown[]): Promise<string[]> {
    const { table, key } = this.#walk;
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const { readable } = await blocksOf(client, table);
      const sql = (within: string) => `SELECT ${key} AS key FROM ${table} WHERE ${condition} AND ${within}`;
      const rows = await readBlocks<{ key: string }>(client, readable, sql, [...values]);
      return rows.map((row) => row.key).sort();
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }
}

function ignoreDamage(error: unknown): undefined {
  if (!isDamage(error)) throw error;
}
