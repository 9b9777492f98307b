/** Looking for what is damaged in a store, mending what can be mended without a loss, and taking out the rest. */
import pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { appendChanges } from './changes.ts';
import { findDamagedIndexes, rebuildIndexes, type DamagedIndex, type Rebuilt } from './damaged-indexes.ts';
import { blocksOf, isPlanned, tryRead } from './damaged-pages.ts';
import { hasExtension } from './database-extensions.ts';
import { findLostEntries } from './lost-places.ts';
import { lostOf, type LostOfTable } from './lost-rows.ts';
import type { DamagedReference, Removed } from './records.ts';
import {
  countMissingChanges,
  fillMissingChanges,
  isCounterWrong,
  rebuildCounter,
  vanishedSubjects,
} from './rebuilt-changes.ts';
import { isListWrong } from './migrations.ts';
import { rebuildMigrations } from './rebuilt-migrations.ts';
import { rewriteLeaf, rewriteMemberships } from './rewritten-tables.ts';
import { readAllTables } from './tables.ts';
import { enterKeysAtHand } from './template-keys.ts';
import { inTransaction, READ_ONLY, undone, withConnection, withoutTimeLimit } from './transaction.ts';

/** Tables whose rows follow from others, or from files beside the store. */
const DERIVED_TABLES = new Set(['change_counter', 'migration', 'template_key']);
/** Tables that others point to, and that are too large to be written by hand. */
const VACUUMED_TABLES = new Set(['reference', 'subject', 'change', 'import', 'template_key']);
/** Tables that are written anew last, for what is in them says what has to be removed; each may need those before it. */
const LAST_TABLES = ['subject', 'reference', 'gallery_membership', 'gallery'];
/**
 * Takes damaged blocks for empty. Their rows are not read as they are: what stands in them is not what was written, and
 * would be kept as if it were. Only an administrator of the database may.
 */
const WITHOUT_DAMAGED = 'SET LOCAL zero_damaged_pages = on';

/** A block of a table, of its large values, or of its sequence of numbers that cannot be read. */
export interface DamagedBlock {
  readonly table: string;
  readonly block: number;
  /** `repair`: what it held is known from elsewhere; `expunge`: what it held is lost, and only a backup brings it back. */
  readonly mend: 'repair' | 'expunge';
  /** It can be read, and lacks rows that an index knows of. */
  readonly isEmptied?: true;
}

/** What is damaged apart from the rows of subjects and references. */
export interface Structure {
  readonly blocks: readonly DamagedBlock[];
  readonly indexes: readonly DamagedIndex[];
  /** Numbers of the change sequence that have no change. */
  readonly missingChanges: number;
  /** The counter of the changes is gone, or names one before the last. */
  readonly isCounterWrong: boolean;
  /** The list of the migrations does not name those that were made. */
  readonly isListWrong: boolean;
}

/** What became of a subject with damaged references. */
export interface Repaired {
  readonly subjectId: string;
  /** Nothing that can be read was left of it. */
  readonly isExpunged: boolean;
  readonly referencesRemoved: number;
  readonly seq: number;
}

type ReceiptOf = (removed: Removed & { readonly subjectId: string; readonly isExpunged: boolean }) => string;

/** Every method throws Failure. */
export class StoreRepair {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  /** @param keys - from which those that the database knows are entered again where it has lost them */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /** Reads all tables and indexes. */
  async examine(): Promise<Structure> {
    const indexes = await this.damagedIndexes('entries');
    const blocks = await this.damagedBlocks();
    // What is left in a table with emptied blocks can be counted.
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
          missingChanges: hasChanges ? await countMissingChanges(client) : 0,
          isCounterWrong: hasChanges && isKnown('change_counter') && (await isCounterWrong(client)),
          isListWrong: hasTables && isKnown('migration') && (await isListWrong(client)),
        };
      },
      READ_ONLY,
    );
  }

  /** The indexes that are damaged. */
  damagedIndexes(how: 'blocks' | 'entries'): Promise<DamagedIndex[]> {
    return undone(this.#pool, async (client) => {
      await withoutTimeLimit(client);
      return findDamagedIndexes(client, how);
    });
  }

  /**
   * The blocks of all tables that cannot be read, or that lack rows which an index knows of; of a table that an index keeps
   * from being read, none.
   */
  async damagedBlocks(): Promise<DamagedBlock[]> {
    const found = await this.#unreadableBlocks();
    const isKnown = ({ table, block }: DamagedBlock) => found.some((one) => one.table === table && one.block === block);
    for (const { table, blocks } of await this.lostBlocks())
      found.push(
        ...blocks
          .map((block) => ({ table, block, mend: mendOf(table), isEmptied: true }) as const)
          .filter((one) => !isKnown(one)),
      );
    return found;
  }

  /** What the indexes know of, and the tables lack: blocks of zeros, and what was cut off. */
  lostBlocks(): Promise<LostOfTable[]> {
    return undone(this.#pool, async (client) => {
      // Made once, and not for every table.
      await hasExtension(client, 'pageinspect');
      const found: LostOfTable[] = [];
      for (const table of await readAllTables(client)) {
        const entries = await findLostEntries(client, table);
        if (entries !== undefined && entries.length > 0) found.push(lostOf(table, entries));
      }
      return found;
    });
  }

  #unreadableBlocks(): Promise<DamagedBlock[]> {
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const found: DamagedBlock[] = [];
      for (const table of await readAllTables(client)) {
        const mend = mendOf(table);
        if (!(await isPlanned(client, pg.escapeIdentifier(table)))) continue;
        for (const place of [pg.escapeIdentifier(table), ...(await overflowOf(client, table))]) {
          if (!(await isPlanned(client, place))) continue;
          const { damaged } = await blocksOf(client, place);
          for (const block of damaged) found.push({ table, block, mend });
        }
        for (const sequence of await sequencesOf(client, table)) {
          const read = await tryRead(client, () => client.query(`SELECT FROM ${sequence}`));
          if (read === undefined) found.push({ table, block: 0, mend });
        }
      }
      return found;
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** Subjects that are gone, and that no change says were expunged; none where what tells so is damaged itself. */
  vanishedSubjects(): Promise<string[]> {
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      return (await tryRead(client, () => vanishedSubjects(client))) ?? [];
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** Builds indexes anew. What cannot be built is told, and nothing is lost by it. */
  rebuildIndexes(damaged: readonly DamagedIndex[]): Promise<Rebuilt[]> {
    return withConnection(this.#pool, async (client, discard) => {
      try {
        return await rebuildIndexes(client, damaged);
      } finally {
        // With settings of its own it is of no use to others.
        discard(undefined);
      }
    });
  }

  /**
   * Mends the tables whose rows follow from others: the list of the migrations, the counter of the changes, the keys.
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
        // Keys are entered by their index, which may be one that was set aside.
        await this.rebuildLeft();
        await inTransaction(this.#pool, enter);
      } else if (table === 'migration') await inTransaction(this.#pool, rebuildMigrations);
      else await inTransaction(this.#pool, (client) => rebuildCounter(client, lostChanges));
    }
    if (damaged.size > 0) await this.rebuildLeft();
    return [...damaged];
  }

  /**
   * Takes damaged references out: a subject that has others is changed, and one that has none, or cannot be read itself,
   * is expunged. Either is a change with a reason and a receipt. All of them, or none.
   * @param damaged - by subject
   * @param maxExpunged - more subjects are not expunged
   * @param receiptOf - makes the receipts
   * @throws Failure TOO_MANY_EXPUNGED: nothing was changed
   */
  async removeAll(
    damaged: readonly DamagedReference[],
    reason: string,
    maxExpunged: number,
    receiptOf: ReceiptOf,
  ): Promise<Repaired[]> {
    // Of some lost rows it is unknown whose they were.
    const known = damaged.filter(({ subjectId }) => subjectId !== '');
    const bySubject = Map.groupBy(known, (one) => one.subjectId);
    if (bySubject.size === 0) return [];
    const isLost = (await this.lostBlocks()).length > 0;
    const isAround = damaged.some((one) => one.reason === 'STORE_DAMAGED' || one.reason === 'SUBJECT_DAMAGED');
    return inTransaction(this.#pool, async (client) => {
      await withoutTimeLimit(client);
      // An index alone would say that rows are there which are lost.
      await client.query('SET LOCAL enable_indexonlyscan = off');
      // One that leads beyond the end of its table ends the statement.
      if (isLost) await client.query('SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off');
      // Damaged blocks are passed over only where they have to be.
      if (isAround) await withoutDamaged(client);
      const done: Repaired[] = [];
      for (const [subjectId, found] of bySubject) done.push(await remove(client, subjectId, found, reason, receiptOf));
      const expunged = done.filter(({ isExpunged }) => isExpunged).length;
      if (expunged > maxExpunged) {
        const sentence = `${expunged} subjects would be expunged, and at most ${maxExpunged} were agreed to; nothing was changed.`;
        throw new Failure('failed-precondition', 'TOO_MANY_EXPUNGED', sentence);
      }
      return done;
    });
  }

  /**
   * Writes the tables that had damaged blocks anew, without these, and puts in again what is known from elsewhere. Others
   * wait for it.
   * @param when - before damaged references are removed, or after: a removal has to be noted in tables that are whole
   * @param unsure - subjects that may have lost memberships: each is changed, so that services read it again
   * @param onDone - told of each table once it is written
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
    // In their order those that others point to come first.
    const others = (await withConnection(this.#pool, readAllTables)).filter((table) => !LAST_TABLES.includes(table));
    const tables = (when === 'before' ? others : LAST_TABLES).filter((table) => damaged.has(table));
    for (const table of tables) {
      if (VACUUMED_TABLES.has(table)) await this.#vacuum(table);
      else if (table === 'gallery_membership')
        await inTransaction(this.#pool, (client) => rewriteMemberships(client, unsure, reason));
      else await inTransaction(this.#pool, (client) => rewriteLeaf(client, table));
      onDone(table);
    }
    if (tables.length > 0) await this.rebuildLeft();
    // Who was enrolled is asked for; where the subjects are damaged, too, they are written anew before.
    const turn = damaged.has('subject') ? 'after' : 'before';
    if (damaged.has('change') && when === turn) await this.fillChanges(reason);
    return tables;
  }

  /** Builds the indexes that were set aside: they stay so until they are built by themselves. */
  async rebuildLeft(): Promise<Rebuilt[]> {
    return this.rebuildIndexes(await this.damagedIndexes('blocks'));
  }

  /** Enters a change for every number that has none. @returns how many */
  fillChanges(reason: string): Promise<number> {
    return inTransaction(this.#pool, (client) => fillMissingChanges(client, reason));
  }

  /**
   * The same, of changes that can be read. First they are written anew: indexes name those that are gone still, at places
   * where others would come to lie.
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

  /** Whether the user of the database may do what mending some blocks takes. */
  mayMend(blocks: readonly DamagedBlock[]): Promise<boolean> {
    if (!blocks.some(({ table }) => VACUUMED_TABLES.has(table))) return Promise.resolve(true);
    return this.#isAdministrator();
  }

  /** Whether rows that an index knows of and a table lacks are found: only an administrator of the database may look. */
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

function mendOf(table: string): DamagedBlock['mend'] {
  return DERIVED_TABLES.has(table) ? 'repair' : 'expunge';
}

async function withoutDamaged(client: pg.PoolClient): Promise<void> {
  await client.query(WITHOUT_DAMAGED);
  // Indexes that are set aside are not entered into either; writing the table anew builds them.
  await client.query(
    `UPDATE pg_index SET indisready = false WHERE NOT indisvalid AND indrelid IN ('subject'::regclass, 'reference'::regclass)`,
  );
}

async function remove(
  client: pg.PoolClient,
  subjectId: string,
  damaged: readonly DamagedReference[],
  reason: string,
  receiptOf: ReceiptOf,
): Promise<Repaired> {
  const now = new Date();
  const ids = damaged.flatMap(({ referenceId }) => (referenceId === '' ? [] : [referenceId]));
  const { rows: present } = await client.query('SELECT FROM subject WHERE subject_id = $1 FOR UPDATE', [subjectId]);
  const { rows: versions } = await client.query<{ version: string; first: string }>(
    'SELECT max(subject_version) AS version, min(seq) AS first FROM change WHERE subject_id = $1',
    [subjectId],
  );
  const removed = await client.query('DELETE FROM reference WHERE reference_id = ANY($1)', [ids]);
  const { rows: left } = await client.query('SELECT FROM reference WHERE subject_id = $1 LIMIT 1', [subjectId]);
  const isUnreadable = damaged.some((one) => one.reason === 'SUBJECT_DAMAGED');
  const isExpunged = present.length === 0 || left.length === 0 || isUnreadable;
  let referencesRemoved = Math.max(removed.rowCount ?? 0, damaged.length);
  if (isExpunged) {
    const others = await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
    referencesRemoved += others.rowCount ?? 0;
    await client.query('DELETE FROM gallery_membership WHERE subject_id = $1', [subjectId]);
    await client.query('DELETE FROM subject WHERE subject_id = $1', [subjectId]);
    await client.query('UPDATE enrolment_request SET digest = NULL WHERE subject_id = $1', [subjectId]);
  } else {
    const sql = 'UPDATE subject SET version = version + 1, update_time = $2 WHERE subject_id = $1';
    await client.query(sql, [subjectId, now]);
  }
  const version = Number(versions[0]?.version ?? 0) + 1;
  const kind = isExpunged ? 'expunge' : 'upsert';
  const seq = await appendChanges(client, [{ kind, subjectId, version, reason }], now);
  const firstSeq = Number(versions[0]?.first ?? seq);
  const receipt = receiptOf({ subjectId, seq, at: now, referencesRemoved, firstSeq, isExpunged });
  await client.query('INSERT INTO receipt (seq, document) VALUES ($1, $2)', [seq, receipt]);
  return { subjectId, isExpunged, referencesRemoved, seq };
}

/** Where the large values of a table lie (TOAST), as SQL has it; only an administrator of the database may read there. */
async function overflowOf(client: pg.PoolClient, table: string): Promise<string[]> {
  const { rows } = await client.query<{ place: string }>(
    `SELECT reltoastrelid::regclass::text AS place FROM pg_class
     WHERE oid = $1::regclass AND reltoastrelid <> 0 AND current_setting('is_superuser') = 'on'`,
    [pg.escapeIdentifier(table)],
  );
  return rows.map(({ place }) => place);
}

/** The sequences that number the rows of a table, as SQL has them. */
async function sequencesOf(client: pg.PoolClient, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT s.oid::regclass::text AS name FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')
     WHERE s.relkind = 'S' AND d.refobjid = $1::regclass`,
    [pg.escapeIdentifier(table)],
  );
  return rows.map(({ name }) => name);
}
