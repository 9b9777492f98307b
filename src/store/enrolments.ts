/** Enrols subjects. */
import type pg from 'pg';
import { lastChanges } from './change-proofs.ts';
import { appendChanges } from './changes.ts';
import type { Failure } from '../failure.ts';
import { insertHistory, NO_CONTENT, type Author } from './history-rows.ts';
import { claimRequests, readRequests, releaseRequests, requestKey, type StoredRequest } from './enrolment-requests.ts';
import { insertReferences } from './inserted-references.ts';
import { inOrderOf } from './insertion-order.ts';
import { holdKeys } from './held-keys.ts';
import { provenOf } from './proven-subjects.ts';
import type { Enrolled, NewEnrolment, SubjectsRead, SubjectWithReferences } from './records.ts';
import { macOf, partsOf } from './row-macs.ts';
import type { Keys } from '../security/keys.ts';
import { readSubjects } from './rows.ts';
import { isRefusedValue } from './database-error.ts';
import { asStoreFailure, changeCollided } from './store-failure.ts';
import { externalIdTaken, requestIdReused, subjectExpunged, subjectUnreadable } from './subject-failure.ts';
import { inTransaction } from './transaction.ts';

/** Outcome of one enrolment in a batch. */
export type EnrolmentOutcome = Enrolled | { readonly failure: Failure };

/** Result of placing a record: added, request id already known, or refused with a reason. */
type Placement = 'added' | 'request-known' | { readonly failure: Failure };

/**
 * Adds subjects in one transaction, each with its own change. A refused record does not affect the others.
 * @param keys - template encryption keys
 * @param author - undefined: the histories of the subjects do not name one
 * @returns an outcome for each record, in the order given
 * @throws Failure when the whole transaction failed: nothing was added
 */
export async function enrolMany(
  pool: pg.Pool,
  keys: Keys,
  enrolments: readonly NewEnrolment[],
  author?: Author,
): Promise<EnrolmentOutcome[]> {
  try {
    return await inTransaction(pool, (client) => enrolIn(client, keys, enrolments, author));
  } catch (error) {
    if (enrolments.length === 1 && isRefusedValue(error)) return [{ failure: asStoreFailure(error) }];
    throw error;
  }
}

/**
 * Adds subjects within the caller's transaction, of which this should be nearly the last step.
 * @param isPart - refusing a single record must not abort the transaction
 */
export async function enrolIn(
  client: pg.PoolClient,
  keys: Keys,
  enrolments: readonly NewEnrolment[],
  author?: Author,
  isPart = false,
): Promise<EnrolmentOutcome[]> {
  await holdKeys(client, keys);
  const now = new Date();
  const placements = await place(client, keys, enrolments, now, isPart);
  const repeated = enrolments.filter((enrolment) => placements.get(enrolment) === 'request-known');
  const earlier = await readRequests(client, repeated);
  const ids = [...earlier.values()].map(({ subject_id }) => subject_id);
  const { subjects: present, unreadable } = await readUnchanging(client, keys, ids);
  const reasons = new Map(unreadable.map(({ subjectId, reason }) => [subjectId, reason]));
  const sequences = await sequencesOf(client, keys, ids);
  const added = enrolments.filter((enrolment) => placements.get(enrolment) === 'added');
  if (author !== undefined) {
    const begun = added.map(({ subject: { subjectId } }) => ({ subjectId, version: 1, author, content: NO_CONTENT }));
    await insertHistory(client, keys, begun);
  }
  // Last, because it blocks every other writer until this transaction ends.
  const first = await appendChanges(
    client,
    keys,
    added.map(({ subject }) => ({ kind: 'upsert', subjectId: subject.subjectId, version: 1 })),
    now,
  );
  added.forEach(({ subject }, i) => sequences.set(subject.subjectId, first + i));
  return enrolments.map((enrolment): EnrolmentOutcome => {
    const placement = placements.get(enrolment);
    if (typeof placement === 'object') return placement;
    if (placement === 'request-known')
      return repetition(enrolment, earlier.get(requestKey(enrolment)), present, reasons, sequences);
    const seq = sequences.get(enrolment.subject.subjectId) ?? 0;
    return { ...asStored(enrolment, now), seq, repeated: false };
  });
}

/**
 * Adds the records without their changes. If the database rejects a value, the whole statement fails: the batch is then
 * halved until the rejected record is alone.
 */
async function place(
  client: pg.PoolClient,
  keys: Keys,
  enrolments: readonly NewEnrolment[],
  now: Date,
  isPart: boolean,
): Promise<Map<NewEnrolment, Placement>> {
  if (enrolments.length <= 1 && !isPart) return placeTogether(client, keys, enrolments, now);
  await client.query('SAVEPOINT records');
  try {
    const placements = await placeTogether(client, keys, enrolments, now);
    await client.query('RELEASE SAVEPOINT records');
    return placements;
  } catch (error) {
    if (!isRefusedValue(error)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT records');
    await client.query('RELEASE SAVEPOINT records');
    const [alone] = enrolments;
    if (enrolments.length === 1 && alone !== undefined) return new Map([[alone, { failure: asStoreFailure(error) }]]);
    const half = Math.ceil(enrolments.length / 2);
    const front = await place(client, keys, enrolments.slice(0, half), now, true);
    return new Map([...front, ...(await place(client, keys, enrolments.slice(half), now, true))]);
  }
}

async function placeTogether(
  client: pg.PoolClient,
  keys: Keys,
  enrolments: readonly NewEnrolment[],
  now: Date,
): Promise<Map<NewEnrolment, Placement>> {
  const known = await claimRequests(client, enrolments);
  const fresh = enrolments.filter((enrolment) => !known.has(enrolment));
  const added = await insertSubjects(client, keys, fresh, now);
  await releaseRequests(
    client,
    fresh.filter((enrolment) => !added.has(enrolment)),
  );
  await insertReferences(client, keys, [...added]);
  return new Map(
    enrolments.map((enrolment): [NewEnrolment, Placement] => {
      if (known.has(enrolment)) return [enrolment, 'request-known'];
      return [enrolment, added.has(enrolment) ? 'added' : { failure: externalIdTaken() }];
    }),
  );
}

/** Columns of an enrolment, in the order in which they are sent. */
const ENROLLED = `subject_id, contributor, external_id, caveats, provenance, suspended, handling_code, handling_instructions,
  handling_contact, expire_time, review_time, minor_until, mac_key_id, mac`;

/**
 * Adds the subjects with unused external ids, also in a fixed order. If another transaction is inserting the same
 * external id, this one waits for its outcome.
 */
async function insertSubjects(
  client: pg.PoolClient,
  keys: Keys,
  enrolments: readonly NewEnrolment[],
  now: Date,
): Promise<Set<NewEnrolment>> {
  if (enrolments.length === 0) return new Set();
  const ordered = inOrderOf(enrolments, ({ subject }) => JSON.stringify([subject.contributor, subject.externalId]));
  const subjects = ordered.map(({ subject }) => ({
    subject_id: subject.subjectId,
    contributor: subject.contributor,
    external_id: subject.externalId ?? null,
    caveats: subject.caveats,
    provenance: subject.provenance,
    suspended: subject.suspended,
    handling_code: subject.handling?.code ?? null,
    handling_instructions: subject.handling?.instructions ?? null,
    handling_contact: subject.handling?.contact ?? null,
  }));
  // Sent as timestamps: the database cannot parse JSON's notation for years after 9999.
  const times = (['expireTime', 'reviewTime', 'minorUntil'] as const).map((name) =>
    ordered.map(({ subject }) => subject[name] ?? null),
  );
  const macs = ordered.map((enrolment) => {
    const { subject, references } = asStored(enrolment, now);
    return macOf(keys, subject, partsOf(subject.galleries, references));
  });
  const { rows } = await client.query<{ subject_id: string }>(
    `INSERT INTO subject (${ENROLLED}, version, create_time, update_time)
     SELECT ${ENROLLED}, 1, $2, $2
     FROM ROWS FROM (
       jsonb_to_recordset($1::jsonb) AS (subject_id uuid, contributor text, external_id text, caveats text[], provenance text,
         suspended boolean, handling_code text, handling_instructions text, handling_contact text),
       unnest($3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::bytea[])
     ) AS s(${ENROLLED})
     ON CONFLICT (contributor, external_id) DO NOTHING RETURNING subject_id`,
    [JSON.stringify(subjects), now, ...times, macs.map(({ keyId }) => keyId), macs.map(({ bytes }) => bytes)],
  );
  const ids = new Set(rows.map(({ subject_id }) => subject_id));
  const added = enrolments.filter(({ subject }) => ids.has(subject.subjectId));
  const memberships = added.flatMap(({ subject }) =>
    galleriesOf(subject).map((gallery) => [gallery, subject.subjectId]),
  );
  await client.query('INSERT INTO gallery_membership SELECT * FROM unnest($1::text[], $2::uuid[])', [
    memberships.map(([gallery]) => gallery),
    memberships.map(([, subjectId]) => subjectId),
  ]);
  return new Set(added);
}

/** In the order in which the store returns them. */
function galleriesOf({ galleries }: NewEnrolment['subject']): string[] {
  return [...new Set(galleries)].sort();
}

/** Reads subjects under a lock that prevents their change and expunging until this transaction ends. */
async function readUnchanging(client: pg.PoolClient, keys: Keys, ids: readonly string[]): Promise<SubjectsRead> {
  if (ids.length === 0) return { subjects: [], unreadable: [] };
  await client.query('SELECT FROM subject WHERE subject_id = ANY($1) ORDER BY subject_id FOR SHARE', [ids]);
  return provenOf(await readSubjects(client, keys, 's.subject_id = ANY($1)', [ids]));
}

/** The latest change of each subject. */
async function sequencesOf(client: pg.PoolClient, keys: Keys, ids: readonly string[]): Promise<Map<string, number>> {
  const last = await lastChanges(client, keys, ids);
  return new Map([...last].map(([subjectId, change]) => [subjectId, change === 'unknown' ? 0 : change.seq]));
}

/** The outcome of an enrolment with a known request id. */
function repetition(
  enrolment: NewEnrolment,
  earlier: StoredRequest | undefined,
  present: readonly SubjectWithReferences[],
  unreadable: ReadonlyMap<string, string>,
  sequences: ReadonlyMap<string, number>,
): EnrolmentOutcome {
  // An enrolment with the same id in this batch was refused, which freed the id: the caller must repeat this one.
  if (earlier === undefined) return { failure: changeCollided() };
  if (earlier.digest === null) return { failure: subjectExpunged() };
  if (!earlier.digest.equals(enrolment.clientRequest?.digest ?? Buffer.alloc(0))) return { failure: requestIdReused() };
  const damage = unreadable.get(earlier.subject_id);
  if (damage !== undefined) return { failure: subjectUnreadable(damage) };
  const subject = present.find((candidate) => candidate.subject.subjectId === earlier.subject_id);
  // It was expunged after its request was read.
  if (subject === undefined) return { failure: subjectExpunged() };
  return { ...subject, seq: sequences.get(earlier.subject_id) ?? 0, repeated: true };
}

function asStored({ subject, references }: NewEnrolment, now: Date): SubjectWithReferences {
  return {
    subject: { ...subject, galleries: galleriesOf(subject), version: 1, createTime: now, updateTime: now },
    references: references.map((reference) => ({ ...reference, subjectId: subject.subjectId })),
  };
}
