/** Adding subjects. */
import type pg from 'pg';
import { appendChanges } from './changes.ts';
import type { Failure } from '../failure.ts';
import type { Enrolled, NewEnrolment, NewReference, SubjectWithReferences } from './records.ts';
import { readSubjects } from './rows.ts';
import { asStoreFailure, externalIdTaken, requestIdReused, subjectExpunged } from './store-failure.ts';
import { inTransaction } from './transaction.ts';

/** What became of one enrolment of a batch. */
export type EnrolmentOutcome = Enrolled | { readonly failure: Failure };

interface StoredRequest {
  readonly contributor: string;
  readonly client_request_id: string;
  readonly subject_id: string;
  readonly digest: Buffer | null;
}

/**
 * Adds subjects in one transaction, each with a change of its own. One that is refused leaves the others alone.
 * @returns an outcome for each, in the order given
 * @throws Failure when the transaction as a whole failed: then nothing was added
 */
export function enrolMany(pool: pg.Pool, enrolments: readonly NewEnrolment[]): Promise<EnrolmentOutcome[]> {
  return inTransaction(pool, async (client) => {
    const now = new Date();
    const unclaimed = await claimRequests(client, enrolments);
    const added = await insertSubjects(
      client,
      enrolments.filter((enrolment) => !unclaimed.has(enrolment)),
      now,
    );
    const refused = enrolments.filter((enrolment) => !unclaimed.has(enrolment) && !added.has(enrolment));
    await releaseRequests(client, refused);
    await insertReferences(client, [...added]);
    const earlier = await readRequests(client, [...unclaimed]);
    const ids = [...earlier.values()].map(({ subject_id }) => subject_id);
    const present = ids.length === 0 ? [] : await readSubjects(client, 's.subject_id = ANY($1)', [ids]);
    const sequences = await sequencesOf(client, ids);
    // Last, because it makes every other writer wait until this transaction has ended.
    const first = await appendChanges(
      client,
      [...added].map(({ subject }) => ({ kind: 'upsert', subjectId: subject.subjectId, version: 1 })),
      now,
    );
    let next = first;
    return enrolments.map((enrolment): EnrolmentOutcome => {
      if (added.has(enrolment)) return { ...asStored(enrolment, now), seq: next++, repeated: false };
      if (!unclaimed.has(enrolment)) return { failure: externalIdTaken() };
      return repetition(enrolment, earlier.get(requestKey(enrolment)), present, sequences);
    });
  });
}

/**
 * Enters the request ids, in a fixed order so that two batches cannot wait for each other in a circle. An id that
 * another transaction is entering right now makes this one wait for its outcome.
 * @returns the enrolments whose id had been entered before
 */
async function claimRequests(client: pg.PoolClient, enrolments: readonly NewEnrolment[]): Promise<Set<NewEnrolment>> {
  const named = enrolments.filter(({ clientRequest }) => clientRequest !== undefined);
  if (named.length === 0) return new Set();
  const ordered = [...named].sort((a, b) => (requestKey(a) < requestKey(b) ? -1 : 1));
  const { rows } = await client.query<{ subject_id: string }>(
    `INSERT INTO enrolment_request (contributor, client_request_id, subject_id, digest)
     SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[]) AS r
     ON CONFLICT (contributor, client_request_id) DO NOTHING RETURNING subject_id`,
    [
      ordered.map(({ subject }) => subject.contributor),
      ordered.map(({ clientRequest }) => clientRequest?.id),
      ordered.map(({ subject }) => subject.subjectId),
      ordered.map(({ clientRequest }) => Buffer.from(clientRequest?.digest ?? [])),
    ],
  );
  const claimed = new Set(rows.map(({ subject_id }) => subject_id));
  return new Set(named.filter(({ subject }) => !claimed.has(subject.subjectId)));
}

/** A refused enrolment must not keep its id: the caller may mend it and try again. */
async function releaseRequests(client: pg.PoolClient, refused: readonly NewEnrolment[]): Promise<void> {
  if (refused.length === 0) return;
  const ids = refused.map(({ subject }) => subject.subjectId);
  await client.query('DELETE FROM enrolment_request WHERE subject_id = ANY($1)', [ids]);
}

async function insertSubjects(
  client: pg.PoolClient,
  enrolments: readonly NewEnrolment[],
  now: Date,
): Promise<Set<NewEnrolment>> {
  if (enrolments.length === 0) return new Set();
  const subjects = enrolments.map(({ subject }) => ({
    subject_id: subject.subjectId,
    contributor: subject.contributor,
    external_id: subject.externalId ?? null,
    caveats: subject.caveats,
    provenance: subject.provenance,
    expire_time: subject.expireTime ?? null,
  }));
  const { rows } = await client.query<{ subject_id: string }>(
    `INSERT INTO subject (subject_id, version, contributor, external_id, caveats, provenance, expire_time, create_time, update_time)
     SELECT subject_id, 1, contributor, external_id, caveats, provenance, expire_time, $2, $2
     FROM jsonb_to_recordset($1::jsonb) AS s(subject_id uuid, contributor text, external_id text, caveats text[],
       provenance text, expire_time timestamptz)
     ON CONFLICT (contributor, external_id) DO NOTHING RETURNING subject_id`,
    [JSON.stringify(subjects), now],
  );
  const ids = new Set(rows.map(({ subject_id }) => subject_id));
  const added = enrolments.filter(({ subject }) => ids.has(subject.subjectId));
  const memberships = added.flatMap(({ subject }) => subject.galleries.map((gallery) => [gallery, subject.subjectId]));
  await client.query('INSERT INTO gallery_membership SELECT * FROM unnest($1::text[], $2::uuid[])', [
    memberships.map(([gallery]) => gallery),
    memberships.map(([, subjectId]) => subjectId),
  ]);
  return new Set(added);
}

/** Adds the references of subjects that are in place. */
export async function insertReferences(
  client: pg.PoolClient,
  owners: readonly { readonly subject: { readonly subjectId: string }; readonly references: readonly NewReference[] }[],
): Promise<void> {
  const rows = owners.flatMap(({ subject, references }) =>
    references.map((reference, ordinal) => ({ ...reference, ordinal, subjectId: subject.subjectId })),
  );
  if (rows.length === 0) return;
  await client.query(
    `INSERT INTO reference (reference_id, subject_id, ordinal, modality, finger_position, format, stored_format, quality,
       model_id, dimension, minutia_count, comparable, capture_time, template)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::smallint[], $6::text[], $7::text[],
       $8::smallint[], $9::text[], $10::int[], $11::int[], $12::boolean[], $13::timestamptz[], $14::bytea[])`,
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
      rows.map(({ template }) => Buffer.from(template.buffer, template.byteOffset, template.byteLength)),
    ],
  );
}

function requestKey({ subject, clientRequest }: NewEnrolment): string {
  return JSON.stringify([subject.contributor, clientRequest?.id]);
}

async function readRequests(
  client: pg.PoolClient,
  enrolments: readonly NewEnrolment[],
): Promise<Map<string, StoredRequest>> {
  if (enrolments.length === 0) return new Map();
  const { rows } = await client.query<StoredRequest>(
    `SELECT e.* FROM enrolment_request e JOIN unnest($1::text[], $2::text[]) AS r(contributor, id)
     ON e.contributor = r.contributor AND e.client_request_id = r.id`,
    [enrolments.map(({ subject }) => subject.contributor), enrolments.map(({ clientRequest }) => clientRequest?.id)],
  );
  return new Map(rows.map((row) => [JSON.stringify([row.contributor, row.client_request_id]), row]));
}

/** The change that last concerned each subject. */
async function sequencesOf(client: pg.PoolClient, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const { rows } = await client.query<{ subject_id: string; seq: string }>(
    'SELECT subject_id, max(seq) AS seq FROM change WHERE subject_id = ANY($1) GROUP BY subject_id',
    [ids],
  );
  return new Map(rows.map(({ subject_id, seq }) => [subject_id, Number(seq)]));
}

/** The outcome of a request whose id is taken. */
function repetition(
  enrolment: NewEnrolment,
  earlier: StoredRequest | undefined,
  present: readonly SubjectWithReferences[],
  sequences: ReadonlyMap<string, number>,
): EnrolmentOutcome {
  // Its namesake in this very batch was refused, so the id is free again: the caller has to repeat this one.
  if (earlier === undefined) return { failure: asStoreFailure(Object.assign(new Error(), { code: '40001' })) };
  if (earlier.digest === null) return { failure: subjectExpunged() };
  if (!earlier.digest.equals(enrolment.clientRequest?.digest ?? Buffer.alloc(0))) return { failure: requestIdReused() };
  const subject = present.find((candidate) => candidate.subject.subjectId === earlier.subject_id);
  if (subject !== undefined) {
    return { ...subject, seq: sequences.get(earlier.subject_id) ?? 0, repeated: true };
  }
  return { failure: requestIdReused() };
}

function asStored({ subject, references }: NewEnrolment, now: Date): SubjectWithReferences {
  return {
    subject: { ...subject, version: 1, createTime: now, updateTime: now },
    references: references.map((reference) => ({ ...reference, subjectId: subject.subjectId })),
  };
}
