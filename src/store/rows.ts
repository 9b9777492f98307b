/** Reads rows and converts them into records. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { Failure } from '../failure.ts';
import { BlocksAtHand, readAround, tryRead } from './damaged-pages.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import { compareWithMac, ROW_MAC_MISMATCH, unproven, type RowsRead, type SubjectOfRows } from './proven-subjects.ts';
import { withoutPutBack } from './put-back.ts';
import type { DamagedReference, Handling, ReferenceRecord, SubjectRecord } from './records.ts';
import { referenceDigest } from './row-macs.ts';
import { REFERENCE_FACTS, SUBJECT_FACTS, type ReferenceRow, type SubjectRow } from './row-shapes.ts';
import {
  damagedReference,
  membershipsOf,
  readableSubjectIds,
  referencesOfUnreadable,
  rescueReferences,
  rescueSubjects,
} from './rescued-rows.ts';
import { unsealTemplate } from './sealed-templates.ts';

type Client = Pick<pg.ClientBase, 'query'>;
/** `isAround`: subjects were read around damaged blocks, which may contain further subjects. */
export interface SubjectsAround extends RowsRead {
  readonly isAround: boolean;
}

const SUBJECT_COLUMNS = `${SUBJECT_FACTS},
  ARRAY(SELECT gallery FROM gallery_membership g WHERE g.subject_id = s.subject_id ORDER BY gallery COLLATE "C") AS galleries`;

/**
 * Reads subjects with their references, in order of subject id. It uses two statements, because a join is half as fast
 * for whole galleries. The second must see the state of the first: this takes the isolation level or a lock. Damaged
 * rows are read around and reported. Rows that do not fit their MAC are reported like unreadable ones; those that lack
 * something are for `provenOf`, which knows of lost rows.
 * @param keys - of templates and MACs
 * @param condition - SQL after WHERE, about `subject s`
 * @throws Failure KEY_MISSING when a key that the database knows is not available
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
  const blocks = new BlocksAtHand(client);
  const ids = await readableSubjectIds(client, blocks, condition, values, limit);
  return { ...(await readSubjectsById(client, keys, ids, blocks)), isAround: true };
}

/** Reads subjects without damaged rows of their own. @throws DatabaseError on damage */
export async function readPresent(
  client: Client,
  keys: Keys,
  condition: string,
  values: readonly unknown[],
  limit?: number,
): Promise<RowsRead> {
  const end = limit === undefined ? '' : `LIMIT ${Math.floor(limit)}`;
  const sql = `SELECT ${SUBJECT_COLUMNS} FROM subject s WHERE ${condition} ORDER BY s.subject_id ${end}`;
  const { rows } = await client.query<SubjectRow>(sql, [...values]);
  return withReferences(client, keys, rows, []);
}

/**
 * Reads existing subjects in readable blocks, whether an index finds them or not. The galleries of some may be
 * incomplete.
 */
export async function readSubjectsById(
  client: Client,
  keys: Keys,
  ids: readonly string[],
  blocks: BlocksAtHand,
): Promise<RowsRead> {
  const sql = `SELECT ${SUBJECT_FACTS} FROM subject s WHERE s.subject_id = ANY($1)`;
  const { rows, failed } = await readAround(
    client,
    ids,
    async (some) => (await client.query<Omit<SubjectRow, 'galleries'>>(sql, [some])).rows,
  );
  const rescued = failed.length === 0 ? [] : await rescueSubjects(client, blocks, failed);
  const found = [...rows, ...rescued].sort((a, b) => (a.subject_id < b.subject_id ? -1 : 1));
  const present = new Set(found.map(({ subject_id }) => subject_id));
  const { galleries, unsure } = await membershipsOf(client, blocks, [...present]);
  const whole = found.map((row) => ({ ...row, galleries: galleries.get(row.subject_id) ?? [] }));
  const lost = failed.filter((id) => !present.has(id));
  const unreadable = await referencesOfUnreadable(client, blocks, lost);
  return withReferences(client, keys, whole, unreadable, { blocks, unsure });
}

/** Additional facts about subjects of a damaged table. */
interface Around {
  readonly blocks: BlocksAtHand;
  readonly unsure: ReadonlySet<string>;
}

async function withReferences(
  client: Client,
  keys: Keys,
  rows: readonly SubjectRow[],
  unreadable: readonly DamagedReference[],
  { blocks, unsure }: Around = { blocks: new BlocksAtHand(client), unsure: new Set() },
): Promise<RowsRead> {
  if (rows.length === 0) return { subjects: [], unreadable };
  const faulty = rows.filter((row) => !isPossibleSubject(row)).map(({ subject_id }) => subject_id);
  const good = faulty.length === 0 ? rows : rows.filter(({ subject_id }) => !faulty.includes(subject_id));
  const read = await readReferences(
    client,
    keys,
    good.map(({ subject_id }) => subject_id),
    blocks,
  );
  const references = Map.groupBy(read.references, ({ record }) => record.subjectId);
  const damaged = Map.groupBy(read.damaged, ({ subjectId }) => subjectId);
  const subjects: SubjectOfRows[] = [];
  const changed: DamagedReference[] = [];
  for (const row of good) {
    const found = damaged.get(row.subject_id);
    const own = references.get(row.subject_id) ?? [];
    const one = {
      subject: toSubject(row),
      references: own.map(({ record }) => record),
      ...(unsure.has(row.subject_id) && { mayLackGalleries: true }),
      ...(found !== undefined && { damaged: found }),
    };
    const digests = own.map(({ digest }) => digest);
    const compare = () => compareWithMac(keys, one.subject, row, digests);
    const lacking = await withKnownKey(client, row.mac_key_id, compare, () => ROW_MAC_MISMATCH);
    if (typeof lacking === 'string') changed.push(...unproven(one, lacking));
    else subjects.push(lacking === undefined ? one : { ...one, lacking });
  }
  const more = faulty.length === 0 ? [] : await referencesOfUnreadable(client, blocks, faulty);
  return withoutPutBack(client, keys, { subjects, unreadable: [...unreadable, ...changed, ...more] });
}

interface ReferencesRead {
  readonly references: { readonly record: ReferenceRecord; readonly digest: Buffer }[];
  readonly damaged: DamagedReference[];
}

/** The references of subjects, ordered within each subject. */
async function readReferences(
  client: Client,
  keys: Keys,
  subjectIds: readonly string[],
  blocks: BlocksAtHand,
): Promise<ReferencesRead> {
  const order = 'ORDER BY subject_id, ordinal';
  const { rows, failed } = await readAround(client, subjectIds, async (ids) => {
    const sql = `SELECT ${REFERENCE_FACTS}, template FROM reference WHERE subject_id = ANY($1) ${order}`;
    return (await client.query<ReferenceRow>(sql, [ids])).rows;
  });
  const damaged: DamagedReference[] = [];
  if (failed.length > 0) {
    const rescued = await rescueReferences(client, blocks, failed);
    rows.push(...rescued.rows);
    damaged.push(...rescued.damaged);
  }
  const references: ReferencesRead['references'] = [];
  for (const row of rows) {
    const read = await readReference(client, keys, row);
    if ('reason' in read) damaged.push(read);
    else references.push({ record: read, digest: referenceDigest(row.ordinal, read) });
  }
  return { references, damaged };
}

/** @throws Failure KEY_MISSING when a key that the database knows is not available */
async function readReference(
  client: Client,
  keys: Keys,
  row: ReferenceRow,
): Promise<ReferenceRecord | DamagedReference> {
  if (!isPossibleReference(row)) return damagedReference(row, 'ROW_INVALID');
  // Every template was encrypted before the rows were signed: what is not was put there by another hand.
  if (row.key_id === null) return damagedReference(row, 'SEALED_DATA_DAMAGED');
  try {
    const read = () => toReference(row, keys);
    return await withKnownKey(client, row.key_id, read, () => damagedReference(row, 'KEY_UNKNOWN'));
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'SEALED_DATA_DAMAGED') throw error;
    return damagedReference(row, error.reason);
  }
}

/**
 * Reads with the key that a row names. A key that the database does not know never made anything: the row's key id is
 * wrong.
 * @throws Failure KEY_MISSING when a key that the database knows is not available
 */
async function withKnownKey<Read, Other>(
  client: Client,
  keyId: string | null,
  read: () => Read,
  unknown: () => Other,
): Promise<Read | Other> {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'KEY_MISSING') throw error;
    const { rows } = await client.query('SELECT FROM template_key WHERE key_id = $1', [keyId]);
    if (rows.length > 0) throw error;
    return unknown();
  }
}

function toSubject(row: SubjectRow): SubjectRecord {
  return { ...factsOf(row), galleries: row.galleries };
}

/** A subject without its galleries. @param row - possible, see isPossibleSubject */
export function factsOf(row: Omit<SubjectRow, 'galleries'>): Omit<SubjectRecord, 'galleries'> {
  return {
    subjectId: row.subject_id,
    version: Number(row.version),
    contributor: row.contributor,
    externalId: row.external_id ?? undefined,
    caveats: row.caveats,
    provenance: row.provenance,
    expireTime: row.expire_time ?? undefined,
    reviewTime: row.review_time ?? undefined,
    suspended: row.suspended,
    minorUntil: row.minor_until ?? undefined,
    handling: handlingOf(row),
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

function handlingOf(row: Omit<SubjectRow, 'galleries'>): Handling | undefined {
  if (row.handling_code === null) return undefined;
  const { handling_instructions: instructions, handling_contact: contact } = row;
  return { code: row.handling_code, instructions: instructions ?? '', contact: contact ?? '' };
}

function toReference(row: ReferenceRow, keys: Keys): ReferenceRecord {
  return { ...factsOfReference(row), template: unsealTemplate(keys, row) };
}

/** A reference without its template. @param row - possible, see isPossibleReference */
export function factsOfReference(row: Omit<ReferenceRow, 'template'>): Omit<ReferenceRecord, 'template'> {
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
  };
}
