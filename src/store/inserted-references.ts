/** Inserts references with encrypted templates. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import type { NewReference } from './records.ts';
import { sealTemplate } from './sealed-templates.ts';

/**
 * Adds references of existing subjects.
 * @param client - that holds the keys, see holdKeys
 */
export async function insertReferences(
  client: pg.PoolClient,
  keys: Keys,
  owners: readonly { readonly subject: { readonly subjectId: string }; readonly references: readonly NewReference[] }[],
): Promise<void> {
  const rows = owners.flatMap(({ subject, references }) =>
    references.map((reference, ordinal) => ({ ...reference, ordinal, subjectId: subject.subjectId })),
  );
  if (rows.length === 0) return;
  const sealed = rows.map(({ referenceId, template }) => sealTemplate(keys, referenceId, template));
  await client.query(
    `INSERT INTO reference (reference_id, subject_id, ordinal, modality, finger_position, format, stored_format, quality,
       model_id, dimension, minutia_count, comparable, capture_time, key_id, template)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::smallint[], $6::text[], $7::text[],
       $8::smallint[], $9::text[], $10::int[], $11::int[], $12::boolean[], $13::timestamptz[], $14::text[], $15::bytea[])`,
    [
      rows.map(({ referenceId }) => referenceId),
      rows.map(({ subjectId }) => subjectId),
      rows.map(({ ordinal }) => ordinal),
      rows.map(({ modality }) => modality),
      rows.map(({ fingerPosition }) => fingerPosition),
      rows.map(({ format }) => format),
      rows.map(({ storedFormat }) => storedFormat),
      rows.map(({ quality }) => quality),
      rows.map(({ modelId }) => modelId ?? null),
      rows.map(({ dimension }) => dimension ?? null),
      rows.map(({ minutiaCount }) => minutiaCount),
      rows.map(({ comparable }) => comparable),
      rows.map(({ captureTime }) => captureTime ?? null),
      sealed.map(({ keyId }) => keyId),
      sealed.map(({ bytes }) => bytes),
    ],
  );
}
