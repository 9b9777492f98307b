/** Gives rows their MACs: all of them at the first start after an upgrade, and new ones after a rotation of the keys. */
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { BlocksAtHand, blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import { holdKeys } from './held-keys.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import { ROW_MAC_MISMATCH } from './proven-subjects.ts';
import type { DamagedReference } from './records.ts';
import { membershipsOf, rescueReferences } from './rescued-rows.ts';
import { galleriesDigest, macOf, openMac, referenceDigest, type RowMac } from './row-macs.ts';
import { REFERENCE_FACTS, SUBJECT_FACTS, type ReferenceRow, type SubjectRow } from './row-shapes.ts';
import { factsOf, factsOfReference } from './rows.ts';
import { isMarkedHere, isMarkedThere, markHere, markThere } from './signed-mark.ts';
import { isDamage } from './store-damage.ts';
import { inTransaction, READ_ONLY, withConnection, withoutTimeLimit } from './transaction.ts';

type FactsRow = Omit<SubjectRow, 'galleries'>;
type ReferenceFacts = Omit<ReferenceRow, 'template'>;

/** Subjects signed in one transaction, which takes some tens of milliseconds: callers hardly wait for it. */
const ROWS_PER_STEP = 1000;
const NO_SUBJECT = '00000000-0000-0000-0000-000000000000';

/** `unsigned`: a store of an earlier version, whose rows have no MACs, or not all of them. */
type Signedness = 'signed' | 'unsigned' | 'mark-removed';

interface Step {
  /** Id of the last subject that was looked at; undefined: none was left. */
  readonly last: string | undefined;
  readonly signed: number;
  readonly damaged: readonly DamagedReference[];
}

/** Every method throws Failure. */
export class RowSigning {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  /** @param keys - open */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /** `mark-removed`: the database no longer says that its rows were signed; its mark was removed. */
  async state(): Promise<Signedness> {
    const isThere = await withConnection(this.#pool, isMarkedThere);
    if (isThere) return 'signed';
    if (!isMarkedHere(this.#keys.dataDir)) return 'unsigned';
    // Nothing was removed from a database without subjects: it may be a new one, for this data directory.
    const isEmpty = await withConnection(this.#pool, async (client) => {
      const { rows } = await client.query('SELECT FROM subject LIMIT 1');
      return rows.length === 0;
    });
    return isEmpty ? 'unsigned' : 'mark-removed';
  }

  /** Notes, in the database and in the data directory, that rows without a MAC are damaged. */
  async mark(): Promise<void> {
    await inTransaction(this.#pool, markThere);
    await markHere(this.#keys.dataDir);
  }

  /** Whether any subject may have no MAC. Reads the whole table if none is without. */
  hasUnsigned(): Promise<boolean> {
    const look = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const found = await tryRead(client, () => client.query('SELECT FROM subject WHERE mac IS NULL LIMIT 1'));
      return found === undefined || found.rows.length > 0;
    };
    return inTransaction(this.#pool, look, READ_ONLY);
  }

  /**
   * Signs all rows of a store of an earlier version as they are, and then marks the store. It can be stopped at any
   * time and goes on at the next start. Subjects in unreadable blocks stay without a MAC.
   * @param onProgress - receives the number of subjects signed so far
   * @returns the number of signed subjects
   */
  async signAll(onProgress: (signed: number) => void): Promise<number> {
    const { done } = await this.#walk('mac IS NULL', [], onProgress, (client, which, values) =>
      this.#sign(client, which, values),
    );
    // A service of the earlier version may have added some meanwhile; behind this lock it can no longer.
    const left = await inTransaction(this.#pool, async (client) => {
      await client.query('SET LOCAL statement_timeout = 0');
      await holdKeys(client, this.#keys);
      await markThere(client);
      let signed = 0;
      for (let after = NO_SUBJECT; ;) {
        const from = after;
        const step = await tryRead(client, () => this.#sign(client, 'mac IS NULL AND subject_id > $1', [from]));
        if (step?.last === undefined) return signed;
        after = step.last;
        signed += step.signed;
      }
    });
    await markHere(this.#keys.dataDir);
    return done + left;
  }

  /**
   * Makes the MACs of another key than the current one anew, while the service runs. Those that do not fit their row
   * stay as they are.
   */
  async renewAll(): Promise<readonly DamagedReference[]> {
    const condition = 'mac_key_id IS DISTINCT FROM $1 AND mac IS NOT NULL';
    const { damaged } = await this.#walk(
      condition,
      [this.#keys.ring.currentId],
      () => undefined,
      (client, which, values) => this.#renew(client, which, values),
    );
    return damaged;
  }

  /**
   * Takes step after step through the subjects that match a condition, in order of their ids; where a block cannot be
   * read, through those in the other blocks.
   */
  async #walk(
    condition: string,
    values: readonly unknown[],
    onProgress: (done: number) => void,
    take: (client: pg.PoolClient, which: string, values: readonly unknown[]) => Promise<Step>,
  ): Promise<{ readonly done: number; readonly damaged: readonly DamagedReference[] }> {
    const step = (which: string, more: unknown) =>
      inTransaction(this.#pool, async (client) => {
        await holdKeys(client, this.#keys);
        return take(client, `${condition} AND ${which}`, [...values, more]);
      });
    const place = `$${values.length + 1}`;
    const damaged: DamagedReference[] = [];
    let done = 0;
    const note = (taken: Step) => {
      damaged.push(...taken.damaged);
      onProgress((done += taken.signed));
    };
    for (let after = NO_SUBJECT; ;) {
      const taken = await step(`subject_id > ${place}`, after).catch(ignoreDamage);
      if (taken === undefined) break;
      if (taken.last === undefined) return { done, damaged };
      after = taken.last;
      note(taken);
    }
    const takeThese = async (ids: readonly string[]): Promise<void> => {
      const taken = await step(`subject_id = ANY(${place})`, ids).catch(ignoreDamage);
      if (taken !== undefined) note(taken);
      else if (ids.length > 1) for (const id of ids) await takeThese([id]);
    };
    const ids = await this.#readable(condition, values);
    for (let at = 0; at < ids.length; at += ROWS_PER_STEP) await takeThese(ids.slice(at, at + ROWS_PER_STEP));
    return { done, damaged };
  }

  /** Ids of the subjects in readable blocks that match a condition. */
  #readable(condition: string, values: readonly unknown[]): Promise<string[]> {
    const read = async (client: pg.PoolClient) => {
      await withoutTimeLimit(client);
      const { readable } = await blocksOf(client, 'subject');
      const sql = (within: string) => `SELECT subject_id FROM subject WHERE ${condition} AND ${within}`;
      const rows = await readBlocks<{ subject_id: string }>(client, readable, sql, [...values]);
      return rows.map(({ subject_id }) => subject_id).sort();
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  async #sign(client: pg.PoolClient, condition: string, values: readonly unknown[]): Promise<Step> {
    const rows = await lockedRows(client, condition, values);
    const good = rows.filter((row) => isPossibleSubject({ ...row, galleries: [] }));
    const ids = good.map(({ subject_id }) => subject_id);
    const blocks = new BlocksAtHand(client);
    const { galleries } = await membershipsOf(client, blocks, ids);
    const references = Map.groupBy(await referencesOf(client, blocks, ids), ({ subject_id }) => subject_id);
    const macs = good.map((row) => {
      const subject = { ...factsOf(row), galleries: [] };
      const own = (references.get(row.subject_id) ?? []).filter(isPossibleReference);
      return macOf(this.#keys, subject, {
        galleries: galleriesDigest(galleries.get(row.subject_id) ?? []),
        references: own.map((one) => referenceDigest(one.ordinal, factsOfReference(one))),
      });
    });
    await writeMacs(client, ids, macs);
    return { last: rows.at(-1)?.subject_id, signed: ids.length, damaged: [] };
  }

  async #renew(client: pg.PoolClient, condition: string, values: readonly unknown[]): Promise<Step> {
    const rows = await lockedRows(client, condition, values);
    const damaged: DamagedReference[] = [];
    const renewed: { readonly id: string; readonly mac: RowMac }[] = [];
    for (const row of rows) {
      const mac = this.#renewed(row);
      if (mac === undefined) damaged.push({ referenceId: '', subjectId: row.subject_id, reason: ROW_MAC_MISMATCH });
      else renewed.push({ id: row.subject_id, mac });
    }
    await writeMacs(
      client,
      renewed.map(({ id }) => id),
      renewed.map(({ mac }) => mac),
    );
    return { last: rows.at(-1)?.subject_id, signed: renewed.length, damaged };
  }

  #renewed(row: FactsRow): RowMac | undefined {
    if (!isPossibleSubject({ ...row, galleries: [] })) return undefined;
    const subject = { ...factsOf(row), galleries: [] };
    try {
      const parts = openMac(this.#keys, subject, row);
      return parts === undefined ? undefined : macOf(this.#keys, subject, parts);
    } catch (error) {
      if (error instanceof Failure && error.reason === 'KEY_MISSING') return undefined;
      throw error;
    }
  }
}

function ignoreDamage(error: unknown): undefined {
  if (!isDamage(error)) throw error;
}

async function lockedRows(client: pg.PoolClient, condition: string, values: readonly unknown[]): Promise<FactsRow[]> {
  const sql = `SELECT ${SUBJECT_FACTS} FROM subject s WHERE ${condition}
    ORDER BY subject_id LIMIT ${ROWS_PER_STEP} FOR NO KEY UPDATE`;
  return (await client.query<FactsRow>(sql, [...values])).rows;
}

/** The readable references of subjects, in their order. */
async function referencesOf(
  client: pg.PoolClient,
  blocks: BlocksAtHand,
  ids: readonly string[],
): Promise<ReferenceFacts[]> {
  const sql = `SELECT ${REFERENCE_FACTS} FROM reference WHERE subject_id = ANY($1) ORDER BY subject_id, ordinal`;
  const found = await tryRead(client, () => client.query<ReferenceFacts>(sql, [ids]));
  return found?.rows ?? (await rescueReferences(client, blocks, ids)).rows;
}

async function writeMacs(client: pg.PoolClient, ids: readonly string[], macs: readonly RowMac[]): Promise<void> {
  await client.query(
    `UPDATE subject s SET mac_key_id = m.key_id, mac = m.mac
     FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS m(subject_id, key_id, mac) WHERE s.subject_id = m.subject_id`,
    [ids, macs.map(({ keyId }) => keyId), macs.map(({ bytes }) => bytes)],
  );
}
