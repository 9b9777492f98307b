/** Rows of the database and the records they become. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import type { StoredFormat } from '../templates/sample.ts';
import type { Provenance, ReferenceRecord, SubjectRecord, SubjectWithReferences } from './records.ts';
import { unsealTemplate } from './sealed-templates.ts';

interface SubjectRow {
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

interface ReferenceRow {
  readonly reference_id: string;
  readonly subject_id: string;
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

const SUBJECT_COLUMNS = `s.subject_id, s.version, s.contributor, s.external_id, s.caveats, s.provenance, s.expire_time,
  s.create_time, s.update_time,
  ARRAY(SELECT gallery FROM gallery_membership g WHERE g.subject_id = s.subject_id ORDER BY gallery COLLATE "C") AS galleries`;

/**
 * Reads subjects with their references, in order of subject id. These are two statements (a join is half as fast for
 * whole galleries): what the second sees must be what the first saw, by the isolation or by a lock.
 * @param keys - that the templates are encrypted with
 * @param condition - SQL after WHERE, about `subject s`
 */
export async function readSubjects(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  condition: string,
  values: readonly unknown[],
  limit?: number,
): Promise<SubjectWithReferences[]> {
  const end = limit === undefined ? '' : `LIMIT ${Math.floor(limit)}`;
  const sql = `SELECT ${SUBJECT_COLUMNS} FROM subject s WHERE ${condition} ORDER BY s.subject_id ${end}`;
  const { rows: subjects } = await client.query<SubjectRow>(sql, [...values]);
  if (subjects.length === 0) return [];
  const { rows: references } = await client.query<ReferenceRow>(
    'SELECT * FROM reference WHERE subject_id = ANY($1) ORDER BY subject_id, ordinal',
    [subjects.map(({ subject_id }) => subject_id)],
  );
  const bySubject = Map.groupBy(
    references.map((row) => toReference(row, keys)),
    ({ subjectId }) => subjectId,
  );
  return subjects.map((row) => ({ subject: toSubject(row), references: bySubject.get(row.subject_id) ?? [] }));
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
