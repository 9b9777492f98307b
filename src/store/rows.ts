/** Reads rows and converts them into records. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { Failure } from '../failure.ts';
import { BlocksAtHand, readAround, tryRead } from './damaged-pages.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import type { DamagedReference, ReferenceRecord, SubjectRecord, SubjectsRead } from './records.ts';
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
export interface SubjectsAround extends SubjectsRead {
  readonly isAround: boolean;
}

const SUBJECT_COLUMNS = `${SUBJECT_FACTS},
  ARRAY(SELECT gallery FROM gallery_membership g WHERE g.subject_id = s.subject_id ORDER BY gallery COLLATE "C") AS galleries`;

/**
 * Reads subjects with their references, in order of subject id. It uses two statements, because a join is half as fast
 * for whole galleries. The second must see the state of the first: this takes the isolation level or a lock. Damaged
 * rows are read around and reported.
 * @param keys - template decryption keys
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
): Promise<SubjectsRead> {
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
): Promise<SubjectsRead> {
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
): Promise<SubjectsRead> {
  if (rows.length === 0) return { subjects: [], unreadable };
  const faulty = rows.filter((row) => !isPossibleSubject(row)).map(({ subject_id }) => subject_id);
  const good = faulty.length === 0 ? rows : rows.filter(({ subject_id }) => !faulty.includes(subject_id));
  const read = await readReferences(
    client,
    keys,
    good.map(({ subject_id }) => subject_id),
    blocks,
  );
  const references = Map.groupBy(read.references, ({ subjectId }) => subjectId);
  const damaged = Map.groupBy(read.damaged, ({ subjectId }) => subjectId);
  const subjects = good.map((row) => {
    const found = damaged.get(row.subject_id);
    const one = {
      subject: toSubject(row),
      references: references.get(row.subject_id) ?? [],
      ...(unsure.has(row.subject_id) && { mayLackGalleries: true }),
    };
    return found === undefined ? one : { ...one, damaged: found };
  });
  const more = faulty.length === 0 ? [] : await referencesOfUnreadable(client, blocks, faulty);
  return { subjects, unreadable: [...unreadable, ...more] };
}

interface ReferencesRead {
  readonly references: ReferenceRecord[];
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
  const references: ReferenceRecord[] = [];
  for (const row of rows) {
    const read = await readReference(client, keys, row);
    if ('reason' in read) damaged.push(read);
    else references.push(read);
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
  try {
    return toReference(row, keys);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.reason === 'SEALED_DATA_DAMAGED') return damagedReference(row, error.reason);
    if (error.reason !== 'KEY_MISSING') throw error;
    // The database does not know the key, so no template was encrypted with it: the row's key id is wrong.
    const { rows } = await client.query('SELECT FROM template_key WHERE key_id = $1', [row.key_id]);
    if (rows.length > 0) throw error;
    return damagedReference(row, 'KEY_UNKNOWN');
  }
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
