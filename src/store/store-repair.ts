/** Finds damage in a store, mends it where nothing is lost, and removes the rest. */
import pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { findLostBlocks, findUnreadableBlocks, mendOf, type DamagedBlock } from './damaged-blocks.ts';
import { findDamagedIndexes, rebuildIndexes, type DamagedIndex, type Rebuilt } from './damaged-indexes.ts';
import { tryRead } from './damaged-pages.ts';
import type { LostOfTable } from './lost-rows.ts';
import type { DamagedReference } from './records.ts';
import {
  countMissingChanges,
  fillMissingChanges,
  isCounterWrong,
  rebuildCounter,
  vanishedSubjects,
} from './rebuilt-changes.ts';
import { holdKeys } from './held-keys.ts';
import { isListWrong } from './migrations.ts';
import { rebuildMigrations } from './rebuilt-migrations.ts';
import { findDamagedChanges, replaceDamagedChanges, type DamagedChange } from './replaced-changes.ts';
import { removeReferences, withoutDamaged, type ReceiptOf, type Repaired } from './removed-references.ts';
import { rewriteLeaf, rewriteMemberships } from './rewritten-tables.ts';
import { readAllTables } from './tables.ts';
import { enterKeysAtHand } from './key-proofs.ts';
import { inTransaction, READ_ONLY, undone, withConnection, withoutTimeLimit } from './transaction.ts';

/** Tables that others reference, or that are append-only or too large to be rewritten by statements. */
const VACUUMED_TABLES = new Set([
  'reference',
  'subject',
  'change',
  'import',
  'template_key',
  'audit_record',
  'subject_history',
]);
/** Tables that are rewritten last: their rows determine what is removed. Each may need those before it. */
const LAST_TABLES = ['subject', 'reference', 'gallery_membership', 'gallery'];

/** Damage other than in rows of subjects and references. */
export interface Structure {
  readonly blocks: readonly DamagedBlock[];
  readonly indexes: readonly DamagedIndex[];
  /** Count of numbers in the change sequence without a change. */
  readonly missingChanges: number;
  /** The change counter is missing, or lower than the last change. */
  readonly isCounterWrong: boolean;
  /** The list of migrations disagrees with the applied ones. */
  readonly isListWrong: boolean;
}

/** Every method throws Failure. */
export class StoreRepair {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  /** @param keys - of the MACs of changed rows; re-entered where the database has lost them */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /** Reads all tables and indexes. */
  async examine(): Promise<Structure> {
    const indexes = await this.damagedIndexes('entries');
    const blocks = await this.damagedBlocks();
    // The remaining rows of a table with emptied blocks can be counted.
    const isKnown = (table: string) =>
      !blocks.some((one) => one.table === table && one.isEmptied !== true) &&
      !indexes.some((one) => one.table === table);
    return inTransaction(
      this.#pool,
      async (client) => {
        await withoutTimeLimit(client);
        const hasTables = (await readAllTables(client)).length > 0;
        const hasChanges = hasTables && isKnown('change');
        return {
          blocks,
          indexes,
          missingChanges: hasChanges ? await countMissingChanges(client, this.#keys) : 0,
          isCounterWrong: hasChanges && isKnown('change_counter') && (await isCounterWrong(client, this.#keys)),
          isListWrong: hasTables && isKnown('migration') && (await isListWrong(client)),
        };
      },
      READ_ONLY,
    );
  }

  /** The damaged indexes. */
  damagedIndexes(how: 'blocks' | 'entries'): Promise<DamagedIndex[]> {
    return undone(this.#pool, async (client) => {
      await withoutTimeLimit(client);
      return findDamagedIndexes(client, how);
    });
  }

  /**
   * The blocks of all tables that are unreadable, or lack rows that an index has entries for. Tables that cannot be
   * read because of an index are skipped.
   */
  async damagedBlocks(): Promise<DamagedBlock[]> {
    const found = await inTransaction(this.#pool, findUnreadableBlocks, READ_ONLY);
    const isKnown = ({ table, block }: DamagedBlock) => found.some((one) => one.table === table && one.block === block);
    for (const { table, blocks } of await this.lostBlocks())
      found.push(
        ...blocks
          .map((block) => ({ table, block, mend: mendOf(table), isEmptied: true }) as const)
          .filter((one) => !isKnown(one)),
      );
    return found;
  }

  /** Rows that the indexes have entries for and the tables lack: blocks of zeros, and truncated files. */
  lostBlocks(): Promise<LostOfTable[]> {
    return undone(this.#pool, findLostBlocks);
  }

  /** Missing subjects that no change records as expunged; none when that cannot be read because of damage. */
  vanishedSubjects(): Promise<string[]> {
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      return (await tryRead(client, () => vanishedSubjects(client, this.#keys))) ?? [];
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** Rebuilds indexes, and reports those that cannot be rebuilt. Nothing is lost by it. */
  rebuildIndexes(damaged: readonly DamagedIndex[]): Promise<Rebuilt[]> {
    return withConnection(this.#pool, async (client, discard) => {
      try {
        return await rebuildIndexes(client, damaged);
      } finally {
        // Its settings were changed, so it is not reusable.
        discard(undefined);
      }
    });
  }

  /**
   * Rebuilds derived tables: the list of migrations, the change counter, the keys.
   * @returns the tables
   */
  async restoreDerived({ blocks, isCounterWrong, isListWrong }: Structure): Promise<string[]> {
    const damaged = new Set(blocks.filter(({ mend }) => mend === 'repair').map(({ table }) => table));
    const lostChanges = blocks.filter(({ table }) => table === 'change').length;
    if (isCounterWrong) damaged.add('change_counter');
    if (isListWrong) damaged.add('migration');
    for (const table of damaged) {
      if (table === 'template_key') {
        const enter = (client: pg.PoolClient) => enterKeysAtHand(client, this.#keys);
        await inTransaction(this.#pool, enter, READ_ONLY);
        await this.#vacuum(table);
        // Inserting keys uses their index, which may have been set invalid.
        await this.rebuildLeft();
        await inTransaction(this.#pool, enter);
      } else if (table === 'migration') await inTransaction(this.#pool, rebuildMigrations);
      else await inTransaction(this.#pool, (client) => rebuildCounter(client, this.#keys, lostChanges));
    }
    if (damaged.size > 0) await this.rebuildLeft();
    return [...damaged];
  }

  /**
   * Removes damaged references. A subject with other references is changed; a subject without any, or an unreadable
   * one, is expunged. Either is recorded as a change with a reason and a receipt. All subjects are processed, or none.
   * @param damaged - the damaged references
   * @param maxExpunged - maximum number of expunged subjects
   * @param receiptOf - creates the receipts
   * @throws Failure TOO_MANY_EXPUNGED: nothing was changed
   */
  async removeAll(
    damaged: readonly DamagedReference[],
    reason: string,
    maxExpunged: number,
    receiptOf: ReceiptOf,
  ): Promise<Repaired[]> {
    // The subject of some lost rows is unknown.
    const known = damaged.filter(({ subjectId }) => subjectId !== '');
    const bySubject = Map.groupBy(known, (one) => one.subjectId);
    if (bySubject.size === 0) return [];
    const isLost = (await this.lostBlocks()).length > 0;
    const isAround = damaged.some((one) => one.reason === 'STORE_DAMAGED' || one.reason === 'SUBJECT_DAMAGED');
    return inTransaction(this.#pool, async (client) => {
      await holdKeys(client, this.#keys);
      await withoutTimeLimit(client);
      // An index-only scan would return missing rows.
      await client.query('SET LOCAL enable_indexonlyscan = off');
      // An entry that leads beyond the end of the table fails the statement.
      if (isLost) await client.query('SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off');
      // Damaged blocks are treated as empty only when it is necessary.
      if (isAround) await withoutDamaged(client);
      const done: Repaired[] = [];
      for (const [subjectId, found] of bySubject)
        done.push(await removeReferences(client, this.#keys, subjectId, found, reason, receiptOf));
      const expunged = done.filter(({ isExpunged }) => isExpunged).length;
      if (expunged > maxExpunged) {
        const sentence = `${expunged} subjects would be expunged, and at most ${maxExpunged} were agreed to; nothing was changed.`;
        throw new Failure('failed-precondition', 'TOO_MANY_EXPUNGED', sentence);
      }
      return done;
    });
  }

  /**
   * Rewrites tables without their damaged blocks, and restores rows that are known from elsewhere. Other transactions
   * wait meanwhile.
   * @param when - before or after damaged references are removed: a removal is recorded in tables that must be whole
   * @param unsure - subjects that may have lost memberships: each is changed, so that services reload it
   * @param onDone - called after each table
   * @returns the tables
   */
  async rewrite(
    blocks: readonly DamagedBlock[],
    when: 'before' | 'after',
    unsure: readonly string[],
    reason: string,
    onDone: (table: string) => void = () => undefined,
  ): Promise<string[]> {
    const damaged = new Set(blocks.filter(({ mend }) => mend === 'expunge').map(({ table }) => table));
    // In dependency order: referenced tables come first.
    const others = (await withConnection(this.#pool, readAllTables)).filter((table) => !LAST_TABLES.includes(table));
    const tables = (when === 'before' ? others : LAST_TABLES).filter((table) => damaged.has(table));
    for (const table of tables) {
      if (VACUUMED_TABLES.has(table)) await this.#vacuum(table);
      else if (table === 'gallery_membership')
        await inTransaction(this.#pool, (client) => rewriteMemberships(client, this.#keys, unsure, reason));
      else await inTransaction(this.#pool, (client) => rewriteLeaf(client, table));
      onDone(table);
    }
    if (tables.length > 0) await this.rebuildLeft();
    // Filling the changes reads the enrolled subjects. If the subjects are damaged, too, they are rewritten first.
    const turn = damaged.has('subject') ? 'after' : 'before';
    if (damaged.has('change') && when === turn) await this.fillChanges(reason);
    return tables;
  }

  /** Rebuilds the indexes that were set invalid: only an explicit rebuild makes them valid again. */
  async rebuildLeft(): Promise<Rebuilt[]> {
    return this.rebuildIndexes(await this.damagedIndexes('blocks'));
  }

  /** Inserts a change for every number without one. @returns the number of inserted changes */
  fillChanges(reason: string): Promise<number> {
    return inTransaction(this.#pool, (client) => fillMissingChanges(client, this.#keys, reason));
  }

  /**
   * Inserts the missing changes of a readable table. The table is rewritten first: its indexes still have entries for
   * lost rows, in places where new rows would be stored.
   */
  async mendChanges(reason: string): Promise<number> {
    await withConnection(this.#pool, async (client, discard) => {
      try {
        await client.query('SET statement_timeout = 0; SET max_parallel_maintenance_workers = 0');
        await client.query('VACUUM FULL change');
      } finally {
        discard(undefined);
      }
    });
    return this.fillChanges(reason);
  }

  /** Rows of the change sequence that this program has not written. Reads all of them. */
  damagedChanges(): Promise<DamagedChange[]> {
    return inTransaction(this.#pool, (client) => findDamagedChanges(client, this.#keys), READ_ONLY);
  }

  /** Replaces rows of the change sequence that this program has not written. @returns their number */
  replaceChanges(reason: string): Promise<number> {
    return inTransaction(this.#pool, (client) => replaceDamagedChanges(client, this.#keys, reason));
  }

  /** Whether the database user has the rights to mend these blocks. */
  mayMend(blocks: readonly DamagedBlock[]): Promise<boolean> {
    if (!blocks.some(({ table }) => VACUUMED_TABLES.has(table))) return Promise.resolve(true);
    return this.#isAdministrator();
  }

  /**
   * Whether rows can be found that an index has an entry for and the table lacks: this takes a database administrator.
   */
  seesEmptiedBlocks(): Promise<boolean> {
    return this.#isAdministrator();
  }

  async #isAdministrator(): Promise<boolean> {
    const sql = "SELECT current_setting('is_superuser') AS may";
    const { rows } = await withConnection(this.#pool, (client) => client.query<{ may: string }>(sql));
    return rows[0]?.may === 'on';
  }

  #vacuum(table: string): Promise<void> {
    return withConnection(this.#pool, async (client, discard) => {
      try {
        await client.query(
          'SET zero_damaged_pages = on; SET statement_timeout = 0; SET max_parallel_maintenance_workers = 0',
        );
        await client.query(`VACUUM FULL ${pg.escapeIdentifier(table)}`);
      } finally {
        discard(undefined);
      }
    });
  }
}
