/** Rows of the database and the records they become. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import type { StoredFormat } from '../templates/sample.ts';
import { Failure } from '../failure.ts';
import { blocksOf, readAround, readBlocks, tryRead } from './damaged-pages.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import type { DamagedReference, Provenance, ReferenceRecord, SubjectRecord, SubjectsRead } from './records.ts';
import { unsealTemplate } from './sealed-templates.ts';

export interface SubjectRow {
  readonly subject_id: string;
  readonly version: string;
  readonly contributor: string;
  readonly external_id: string | null;
  readonly galleries: string[];
  readonly caveats: string[];
  readonly provenance: Provenance;
  readonly expire_time: Date | null;
  readonly create_time: Date;
  readonly update_time: Date;
}

export interface ReferenceRow {
  readonly reference_id: string;
  readonly subject_id: string;
  readonly ordinal: number;
  readonly modality: 'finger' | 'face';
  readonly finger_position: FingerPosition;
  readonly format: string;
  readonly stored_format: StoredFormat;
  readonly quality: number;
  readonly model_id: string | null;
  readonly dimension: number | null;
  readonly minutia_count: number;
  readonly comparable: boolean;
  readonly capture_time: Date | null;
  readonly key_id: string | null;
  readonly template: Buffer;
}

type Client = Pick<pg.ClientBase, 'query'>;
/** What was read, and whether around damaged blocks of the subjects themselves, in which others may lie. */
export interface SubjectsAround extends SubjectsRead {
  readonly isAround: boolean;
}

type Facts = Omit<ReferenceRow, 'template'>;

const SUBJECT_COLUMNS = `s.subject_id, s.version, s.contributor, s.external_id, s.caveats, s.provenance, s.expire_time,
  s.create_time, s.update_time,
  ARRAY(SELECT gallery FROM gallery_membership g WHERE g.subject_id = s.subject_id ORDER BY gallery COLLATE "C") AS galleries`;

/** All but the template, which may lie elsewhere and be damaged alone. */
const REFERENCE_FACTS = `reference_id, subject_id, ordinal, modality, finger_position, format, stored_format, quality, model_id,
  dimension, minutia_count, comparable, capture_time, key_id`;

/**
 * Reads subjects with their references, in order of subject id. These are two statements (a join is half as fast for
 * whole galleries): what the second sees must be what the first saw, by the isolation or by a lock. What is damaged is
 * read around, and told.
 * @param keys - that the templates are encrypted with
 * @param condition - SQL after WHERE, about `subject s`
 * @throws Failure KEY_MISSING when a key is not at hand that the database knows
 */
export async function readSubjects(
  client: Client,
  keys: Keys,
  condition: string,
  values: readonly unknown[],
  limit?: number,
): Promise<SubjectsAround> {
  const found = await tryRead(client, () => readPresent(client, keys, condition, values, limit));
  if (found !== undefined) return { ...found, isAround: false };
  const ids = await readableSubjectIds(client, condition, values, limit);
  return { ...(await readSubjectsById(client, keys, ids)), isAround: true };
}

/** The same where nothing of the subjects themselves is damaged. @throws DatabaseError where something is */
export async function readPresent(
  client: Client,
  keys: Keys,
  condition: string,
  values: readonly unknown[],
  limit?: number,
): Promise<SubjectsRead> {
  const end = limit === undefined ? '' : `LIMIT ${Math.floor(limit)}`;
  const sql = `SELECT ${SUBJECT_COLUMNS} FROM subject s WHERE ${condition} ORDER BY s.subject_id ${end}`;
  const { rows } = await client.query<SubjectRow>(sql, [...values]);
  return withReferences(client, keys, rows, []);
}

/** The same of subjects that are there, one by one where they cannot be read together. */
export async function readSubjectsById(client: Client, keys: Keys, ids: readonly string[]): Promise<SubjectsRead> {
  const sql = `SELECT ${SUBJECT_COLUMNS} FROM subject s WHERE s.subject_id = ANY($1) ORDER BY s.subject_id`;
  const { rows, failed } = await readAround(
    client,
    ids,
    async (some) => (await client.query<SubjectRow>(sql, [some])).rows,
  );
  return withReferences(client, keys, rows, await referencesOfUnreadable(client, failed));
}

/** Ids of the subjects that a condition is true of, in order, as far as they lie in blocks that can be read. */
export async function readableSubjectIds(
  client: Client,
  condition: string,
  values: readonly unknown[],
  limit?: number,
): Promise<string[]> {
  const { readable } = await blocksOf(client, 'subject');
  const end = limit === undefined ? '' : `ORDER BY s.subject_id LIMIT ${Math.floor(limit)}`;
  const rows = await readBlocks<{ subject_id: string }>(
    client,
    readable,
    (within) =>
      `SELECT s.subject_id FROM subject s WHERE ${condition} AND s.${within.replace(' AND ', ' AND s.')} ${end}`,
    values,
  );
  return rows
    .map(({ subject_id }) => subject_id)
    .sort()
    .slice(0, limit);
}

/** The references of subjects of which nothing can be read. */
export async function referencesOfUnreadable(
  client: Client,
  subjectIds: readonly string[],
): Promise<DamagedReference[]> {
  const { rows } = await readAround(client, subjectIds, async (ids) => {
    const sql = 'SELECT reference_id, subject_id FROM reference WHERE subject_id = ANY($1) ORDER BY reference_id';
    return (await client.query<Pick<ReferenceRow, 'reference_id' | 'subject_id'>>(sql, [ids])).rows;
  });
  const bySubject = Map.groupBy(rows, ({ subject_id }) => subject_id);
  return subjectIds.flatMap((subjectId) =>
    (bySubject.get(subjectId) ?? [{ reference_id: '' }]).map(({ reference_id }) => ({
      referenceId: reference_id,
      subjectId,
      reason: 'SUBJECT_DAMAGED',
    })),
  );
}

async function withReferences(
  client: Client,
  keys: Keys,
  rows: readonly SubjectRow[],
  unreadable: readonly DamagedReference[],
): Promise<SubjectsRead> {
  if (rows.length === 0) return { subjects: [], unreadable };
  const faulty = rows.filter((row) => !isPossibleSubject(row)).map(({ subject_id }) => subject_id);
  const good = faulty.length === 0 ? rows : rows.filter(({ subject_id }) => !faulty.includes(subject_id));
  const read = await readReferences(
    client,
    keys,
    good.map(({ subject_id }) => subject_id),
  );
  const references = Map.groupBy(read.references, ({ subjectId }) => subjectId);
  const damaged = Map.groupBy(read.damaged, ({ subjectId }) => subjectId);
  const subjects = good.map((row) => {
    const found = damaged.get(row.subject_id);
    const one = { subject: toSubject(row), references: references.get(row.subject_id) ?? [] };
    return found === undefined ? one : { ...one, damaged: found };
  });
  const more = faulty.length === 0 ? [] : await referencesOfUnreadable(client, faulty);
  return { subjects, unreadable: [...unreadable, ...more] };
}

/** Subjects that references name and that are not among those that can be read. */
export async function lostSubjects(client: Client): Promise<string[]> {
  const { readable: own } = await blocksOf(client, 'subject');
  const present = await readBlocks<{ subject_id: string }>(
    client,
    own,
    (within) => `SELECT subject_id FROM subject WHERE ${within}`,
  );
  const { readable } = await blocksOf(client, 'reference');
  const named = await readBlocks<{ subject_id: string }>(
    client,
    readable,
    (within) => `SELECT DISTINCT subject_id FROM reference WHERE ${within}`,
  );
  const known = new Set(present.map(({ subject_id }) => subject_id));
  return [...new Set(named.map(({ subject_id }) => subject_id))].filter((id) => !known.has(id)).sort();
}

interface ReferencesRead {
  readonly references: ReferenceRecord[];
  readonly damaged: DamagedReference[];
}

/** The references of subjects, in the order of each. */
async function readReferences(client: Client, keys: Keys, subjectIds: readonly string[]): Promise<ReferencesRead> {
  const order = 'ORDER BY subject_id, ordinal';
  const { rows, failed } = await readAround(client, subjectIds, async (ids) => {
    const sql = `SELECT ${REFERENCE_FACTS}, template FROM reference WHERE subject_id = ANY($1) ${order}`;
    return (await client.query<ReferenceRow>(sql, [ids])).rows;
  });
  const damaged: DamagedReference[] = [];
  if (failed.length > 0) {
    const rescued = await rescueReferences(client, failed);
    rows.push(...rescued.rows);
    damaged.push(...rescued.damaged);
  }
  const references: ReferenceRecord[] = [];
  for (const row of rows) {
    const read = await readReference(client, keys, row);
    if ('reason' in read) damaged.push(read);
    else references.push(read);
  }
  return { references, damaged };
}

/** What can be read of the references of subjects that cannot be read together. */
async function rescueReferences(
  client: Client,
  subjectIds: readonly string[],
): Promise<{ readonly rows: ReferenceRow[]; readonly damaged: DamagedReference[] }> {
  const facts = `SELECT ${REFERENCE_FACTS} FROM reference WHERE subject_id = ANY($1)`;
  const { rows, failed } = await readAround(
    client,
    subjectIds,
    async (ids) => (await client.query<Facts>(facts, [ids])).rows,
  );
  const damaged: DamagedReference[] = [];
  if (failed.length > 0) {
    const { readable } = await blocksOf(client, 'reference');
    rows.push(...(await readBlocks<Facts>(client, readable, (within) => `${facts} AND ${within}`, [failed])));
    // Which of their references these are, the blocks do not tell; see damaged-names.ts.
    damaged.push(...failed.map((subjectId) => ({ referenceId: '', subjectId, reason: 'STORE_DAMAGED' })));
  }
  rows.sort((a, b) => (a.subject_id < b.subject_id ? -1 : a.subject_id > b.subject_id ? 1 : a.ordinal - b.ordinal));
  const whole: ReferenceRow[] = [];
  for (const row of rows) {
    const sql = 'SELECT template FROM reference WHERE reference_id = $1';
    const found = await tryRead(client, () => client.query<{ template: Buffer }>(sql, [row.reference_id]));
    const template = found?.rows[0]?.template;
    if (template === undefined) damaged.push(damagedReference(row, 'STORE_DAMAGED'));
    else whole.push({ ...row, template });
  }
  return { rows: whole, damaged };
}

/** @throws Failure KEY_MISSING when a key is not at hand that the database knows */
async function readReference(
  client: Client,
  keys: Keys,
  row: ReferenceRow,
): Promise<ReferenceRecord | DamagedReference> {
  if (!isPossibleReference(row)) return damagedReference(row, 'ROW_INVALID');
  try {
    return toReference(row, keys);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.reason === 'SEALED_DATA_DAMAGED') return damagedReference(row, error.reason);
    if (error.reason !== 'KEY_MISSING') throw error;
    // One that the database does not know was never used: the row names it wrongly.
    const { rows } = await client.query('SELECT FROM template_key WHERE key_id = $1', [row.key_id]);
    if (rows.length > 0) throw error;
    return damagedReference(row, 'KEY_UNKNOWN');
  }
}

function damagedReference({ reference_id, subject_id }: Facts, reason: string): DamagedReference {
  return { referenceId: reference_id, subjectId: subject_id, reason };
}

function toSubject(row: SubjectRow): SubjectRecord {
  return {
    subjectId: row.subject_id,
    version: Number(row.version),
    contributor: row.contributor,
    externalId: row.external_id ?? undefined,
    galleries: row.galleries,
    caveats: row.caveats,
    provenance: row.provenance,
    expireTime: row.expire_time ?? undefined,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

function toReference(row: ReferenceRow, keys: Keys): ReferenceRecord {
  return {
    referenceId: row.reference_id,
    subjectId: row.subject_id,
    modality: row.modality,
    fingerPosition: row.finger_position,
    format: row.format,
    storedFormat: row.stored_format,
    quality: row.quality,
    modelId: row.model_id ?? undefined,
    dimension: row.dimension ?? undefined,
    minutiaCount: row.minutia_count,
    comparable: row.comparable,
    captureTime: row.capture_time ?? undefined,
    template: unsealTemplate(keys, row),
  };
}
