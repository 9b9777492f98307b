/** Gives subjects their MACs. */
import type pg from 'pg';
import { NIL } from 'uuid';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { BlocksAtHand, tryRead } from './damaged-pages.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import { ROW_MAC_MISMATCH } from './proven-subjects.ts';
import type { DamagedReference } from './records.ts';
import { membershipsOf, rescueReferences } from './rescued-rows.ts';
import { galleriesDigest, macOf, openMac, referenceDigest, type RowMac } from './row-macs.ts';
import { REFERENCE_FACTS, SUBJECT_FACTS, type ReferenceRow, type SubjectRow } from './row-shapes.ts';
import { factsOf, factsOfReference } from './rows.ts';
import { TableSigning, type Selection, type Step } from './table-signing.ts';

type FactsRow = Omit<SubjectRow, 'galleries'>;
type ReferenceFacts = Omit<ReferenceRow, 'template'>;

const ROWS_PER_STEP = 1000;

export class RowSigning extends TableSigning {
  /** @param keys - open */
  constructor(pool: pg.Pool, keys: Keys) {
    super(pool, keys, { table: 'subject', key: 'subject_id', first: NIL, rowsPerStep: ROWS_PER_STEP });
  }

  protected override async sign(client: pg.PoolClient, which: Selection): Promise<Step> {
    const rows = await lockedRows(client, which);
    const good = rows.filter((row) => isPossibleSubject({ ...row, galleries: [] }));
    const ids = good.map(({ subject_id }) => subject_id);
    const blocks = new BlocksAtHand(client);
    const { galleries } = await membershipsOf(client, blocks, ids);
    const references = Map.groupBy(await referencesOf(client, blocks, ids), ({ subject_id }) => subject_id);
    const macs = good.map((row) => {
      const subject = { ...factsOf(row), galleries: [] };
      const own = (references.get(row.subject_id) ?? []).filter(isPossibleReference);
      return macOf(this.keys, subject, {
        galleries: galleriesDigest(galleries.get(row.subject_id) ?? []),
        references: own.map((one) => referenceDigest(one.ordinal, factsOfReference(one))),
      });
    });
    await writeMacs(client, ids, macs);
    return { last: rows.at(-1)?.subject_id, signed: ids.length, damaged: [] };
  }

  protected override async renew(client: pg.PoolClient, which: Selection): Promise<Step> {
    const rows = await lockedRows(client, which);
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
      const parts = openMac(this.keys, subject, row);
      return parts === undefined ? undefined : macOf(this.keys, subject, parts);
    } catch (error) {
      if (error instanceof Failure && error.reason === 'KEY_MISSING') return undefined;
      throw error;
    }
  }
}

async function lockedRows(client: pg.PoolClient, { where, values }: Selection): Promise<FactsRow[]> {
  const sql = `SELECT ${SUBJECT_FACTS} FROM subject s WHERE ${where} FOR NO KEY UPDATE`;
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
