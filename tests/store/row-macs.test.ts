/** Rows that were changed in the database: each is noticed, and nothing of its subject is used. */
import { createHmac, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  HANDLING_CODES,
  type DamagedReference,
  type NewEnrolment,
  type NewReference,
  type NewSubject,
  type SubjectRecord,
} from '../../src/store/records.ts';
import { macOf, openMac, partsOf, referenceDigest } from '../../src/store/row-macs.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { enrolment, faceReference, reference } from './records.ts';

const keys = temporaryKeys();
let cluster: TestCluster;
let store: Store;
let database: pg.Client;

beforeAll(async () => {
  cluster = await startTestCluster();
  const url = await cluster.createDatabase();
  store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  database = new pg.Client({ connectionString: url });
  await database.connect();
  // An attacker who changes rows by hand is not held up by the rules for those that the service writes.
  const { rows } = await database.query<{ tab: string; conname: string }>(
    `SELECT conrelid::regclass::text AS tab, conname FROM pg_constraint
     WHERE conrelid IN ('subject'::regclass, 'reference'::regclass) AND contype IN ('c', 'f')`,
  );
  for (const { tab, conname } of rows) await database.query(`ALTER TABLE ${tab} DROP CONSTRAINT "${conname}"`);
});
afterAll(async () => {
  await database.end();
  await store.close();
  await cluster.stop();
});

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => (error as { reason?: string }).reason,
  );

const LIFE = {
  reviewTime: new Date(6e12),
  suspended: true,
  minorUntil: new Date(7e12),
  handling: { code: 'notify-only', instructions: 'call', contact: 'desk' },
} as const;

/** Enrols a subject with two fingers and a face. */
async function enrol(changes: Partial<NewSubject> = {}): Promise<NewEnrolment> {
  const references = [reference(), reference({ fingerPosition: 7 }), faceReference(8)];
  const one = {
    ...enrolment({ galleries: ['a', 'b'], caveats: ['Z'], externalId: randomUUID(), ...LIFE, ...changes }),
    references,
  };
  await store.subjects.enroll(one.subject, references);
  return one;
}

async function unreadableOf(ids: readonly string[]): Promise<readonly DamagedReference[]> {
  const found: DamagedReference[] = [];
  const seen: string[] = [];
  await store.subjects.snapshot((subjects, _, unreadable = []) => {
    found.push(...unreadable.filter(({ subjectId }) => ids.includes(subjectId)));
    seen.push(...subjects.map(({ subject }) => subject.subjectId));
    return Promise.resolve();
  }, 100);
  expect(seen.filter((id) => found.some(({ subjectId }) => subjectId === id))).toEqual([]);
  return found;
}

/** SQL with the ids of the subject, of another one, and of the first reference of each. */
const CHANGES: readonly (readonly [string, string])[] = [
  ['a version', 'UPDATE subject SET version = version + 1 WHERE subject_id = $1'],
  ['a contributor', "UPDATE subject SET contributor = 'other' WHERE subject_id = $1"],
  ['an external id', "UPDATE subject SET external_id = 'other' WHERE subject_id = $1"],
  ['an external id that is removed', 'UPDATE subject SET external_id = NULL WHERE subject_id = $1'],
  ['caveats', "UPDATE subject SET caveats = '{}' WHERE subject_id = $1"],
  ['the provenance', "UPDATE subject SET provenance = 'controlled' WHERE subject_id = $1"],
  ['the expiry', "UPDATE subject SET expire_time = '2001-01-01' WHERE subject_id = $1"],
  ['a review that is put off', "UPDATE subject SET review_time = '2901-01-01' WHERE subject_id = $1"],
  ['a review that is taken away', 'UPDATE subject SET review_time = NULL WHERE subject_id = $1'],
  ['a suspension', 'UPDATE subject SET suspended = NOT suspended WHERE subject_id = $1'],
  ['an age', "UPDATE subject SET minor_until = '2001-01-01' WHERE subject_id = $1"],
  ['what its owner asks for', "UPDATE subject SET handling_code = 'detain-for-owner' WHERE subject_id = $1"],
  ['instructions', "UPDATE subject SET handling_instructions = 'other' WHERE subject_id = $1"],
  ['a contact', "UPDATE subject SET handling_contact = 'other' WHERE subject_id = $1"],
  [
    'all that limits it',
    `UPDATE subject SET review_time = NULL, suspended = false, minor_until = NULL, handling_code = NULL,
       handling_instructions = NULL, handling_contact = NULL WHERE subject_id = $1`,
  ],
  ['the time of the enrolment', "UPDATE subject SET create_time = '2001-01-01' WHERE subject_id = $1"],
  ['the time of the change', "UPDATE subject SET update_time = '2001-01-01' WHERE subject_id = $1"],
  ['a membership that is added', "INSERT INTO gallery_membership VALUES ('c', $1)"],
  ['a membership that is removed', "DELETE FROM gallery_membership WHERE subject_id = $1 AND gallery = 'a'"],
  ['all memberships', 'DELETE FROM gallery_membership WHERE subject_id = $1'],
  [
    'a membership of another gallery',
    "UPDATE gallery_membership SET gallery = 'c' WHERE subject_id = $1 AND gallery = 'a'",
  ],
  ['a reference that is deleted', 'DELETE FROM reference WHERE reference_id = $3'],
  ['a reference that is moved away', 'UPDATE reference SET subject_id = $2 WHERE reference_id = $3'],
  ['a reference that is moved here', 'UPDATE reference SET subject_id = $1, ordinal = 3 WHERE reference_id = $4'],
  [
    'a reference that is exchanged',
    'UPDATE reference SET subject_id = CASE reference_id WHEN $3 THEN $2::uuid ELSE $1 END WHERE reference_id IN ($3, $4)',
  ],
  ['the order of references', 'UPDATE reference SET ordinal = 2 - ordinal WHERE subject_id = $1'],
  ['a position', 'UPDATE reference SET finger_position = 3 WHERE reference_id = $3'],
  ['a format', "UPDATE reference SET format = 'other' WHERE reference_id = $3"],
  ['a stored format', "UPDATE reference SET stored_format = 'incits-378-2004' WHERE reference_id = $3"],
  ['a quality', 'UPDATE reference SET quality = 61 WHERE reference_id = $3'],
  ['a model', "UPDATE reference SET model_id = 'other' WHERE subject_id = $1 AND modality = 'face'"],
  ['a dimension', "UPDATE reference SET dimension = 9 WHERE subject_id = $1 AND modality = 'face'"],
  ['a number of minutiae', 'UPDATE reference SET minutia_count = 31 WHERE reference_id = $3'],
  ['what is compared', 'UPDATE reference SET comparable = false WHERE reference_id = $3'],
  ['a time of capture', "UPDATE reference SET capture_time = '2001-01-01' WHERE reference_id = $3"],
  [
    "another subject's MAC",
    'UPDATE subject SET mac = (SELECT mac FROM subject WHERE subject_id = $2) WHERE subject_id = $1',
  ],
  ['a MAC that is cut off', 'UPDATE subject SET mac = substr(mac, 33) WHERE subject_id = $1'],
  ['an empty MAC', "UPDATE subject SET mac = '' WHERE subject_id = $1"],
  ['no key', 'UPDATE subject SET mac_key_id = NULL WHERE subject_id = $1'],
  ['a key that never was', "UPDATE subject SET mac_key_id = 'never' WHERE subject_id = $1"],
];

describe('a subject is not used after a change of', () => {
  it.each(CHANGES)('%s', async (_, sql) => {
    const [{ subject, references }, other, third] = [await enrol(), await enrol(), await enrol()];
    const { subjectId } = subject;
    expect((await store.subjects.get(subjectId))?.references).toHaveLength(references.length);
    const ids = [subjectId, other.subject.subjectId, references[0].referenceId, other.references[0].referenceId];
    const used = ids.filter((__, i) => sql.includes(`$${i + 1}`));
    // Parameters that a statement does not name are not sent.
    await database.query(numbered(sql), used);
    expect(await reasonOf(store.subjects.get(subjectId))).toBe('ROW_MAC_MISMATCH');
    const unreadable = await unreadableOf([subjectId, third.subject.subjectId]);
    expect(new Set(unreadable.map((one) => [one.subjectId, one.reason].join()))).toEqual(
      new Set([`${subjectId},ROW_MAC_MISMATCH`]),
    );
    const left = await database.query('SELECT FROM reference WHERE subject_id = $1', [subjectId]);
    expect(unreadable).toHaveLength(left.rowCount ?? 0);
    const filter = { gallery: undefined, contributor: undefined, limit: 1000, afterSubjectId: undefined };
    const listed = (await store.subjects.list(filter)).map((one) => one.subject.subjectId);
    expect([listed.includes(subjectId), listed.includes(third.subject.subjectId)]).toEqual([false, true]);
  });
});

function numbered(sql: string): string {
  let next = 0;
  const numbers = new Map<string, number>();
  for (const name of ['$1', '$2', '$3', '$4']) if (sql.includes(name)) numbers.set(name, ++next);
  return sql.replaceAll(/\$\d/g, (name) => `$${numbers.get(name)}`);
}

describe('a subject', () => {
  it('without a MAC is named as unsigned, and not signed by an update', async () => {
    const { subject } = await enrol();
    await database.query('UPDATE subject SET mac = NULL WHERE subject_id = $1', [subject.subjectId]);
    expect(await reasonOf(store.subjects.get(subject.subjectId))).toBe('ROW_UNSIGNED');
    expect((await unreadableOf([subject.subjectId])).map(({ reason }) => reason)).toEqual(
      Array(3).fill('ROW_UNSIGNED'),
    );
    const update = store.subjects.update(subject.subjectId, undefined, { caveats: [] }, undefined);
    expect(await reasonOf(update)).toBe('ROW_UNSIGNED');
  });

  it('with a plain template is read without it', async () => {
    const { subject, references } = await enrol();
    const sql = "UPDATE reference SET key_id = NULL, template = '\\x464d52' WHERE reference_id = $1";
    await database.query(sql, [references[0].referenceId]);
    const found = await store.subjects.get(subject.subjectId);
    expect(found?.references.map(({ referenceId }) => referenceId)).toEqual(
      references.slice(1).map((r) => r.referenceId),
    );
    expect(found?.damaged?.map(({ reason }) => reason)).toEqual(['SEALED_DATA_DAMAGED']);
  });

  it('does not become right by an update of something else', async () => {
    const [{ subject, references }, other] = [await enrol(), await enrol()];
    await database.query('UPDATE reference SET subject_id = $1, ordinal = 3 WHERE reference_id = $2', [
      subject.subjectId,
      other.references[0].referenceId,
    ]);
    const head = await store.subjects.headSequence();
    for (const patch of [{ caveats: ['Y'] }, { galleries: ['c'] }, { expireTime: new Date(5e12) }])
      expect(await reasonOf(store.subjects.update(subject.subjectId, undefined, patch, undefined))).toBe(
        'ROW_MAC_MISMATCH',
      );
    expect(await store.subjects.headSequence()).toBe(head);
    const again = references.map((one) => ({ ...one, referenceId: randomUUID() }));
    await store.subjects.update(subject.subjectId, undefined, {}, again);
    expect((await store.subjects.get(subject.subjectId))?.references).toHaveLength(3);
    // The one that lost its reference stays damaged.
    expect(await reasonOf(store.subjects.get(other.subject.subjectId))).toBe('ROW_MAC_MISMATCH');
  });

  it('whose own row was changed cannot be updated, only expunged and enrolled again', async () => {
    const { subject, references } = await enrol();
    const { subjectId } = subject;
    await database.query("UPDATE subject SET provenance = 'controlled' WHERE subject_id = $1", [subjectId]);
    const again = references.map((one) => ({ ...one, referenceId: randomUUID() }));
    const patch = { galleries: ['a'], caveats: [], provenance: 'field' as const, externalId: null, expireTime: null };
    expect(await reasonOf(store.subjects.update(subjectId, undefined, patch, again))).toBe('ROW_MAC_MISMATCH');
    await store.subjects.expunge(subjectId, 'test', () => '{}');
    await store.subjects.enroll({ ...subject, subjectId: randomUUID() }, again);
    expect(await reasonOf(store.subjects.get(subjectId))).toBe('none');
  });

  it('whose enrolment is repeated is not returned', async () => {
    const one = enrolment({}, randomUUID());
    await store.subjects.enroll(one.subject, one.references, one.clientRequest);
    await database.query("UPDATE subject SET caveats = '{X}' WHERE subject_id = $1", [one.subject.subjectId]);
    const repeated = store.subjects.enroll(
      { ...one.subject, subjectId: randomUUID() },
      one.references,
      one.clientRequest,
    );
    expect(await reasonOf(repeated)).toBe('ROW_MAC_MISMATCH');
  });

  it('that is deleted by hand is missed', async () => {
    const { subject } = await enrol();
    await database.query('DELETE FROM subject WHERE subject_id = $1', [subject.subjectId]);
    await database.query('DELETE FROM reference WHERE subject_id = $1', [subject.subjectId]);
    expect((await unreadableOf([subject.subjectId])).map(({ reason }) => reason)).toEqual(['SUBJECT_DAMAGED']);
    const { unreadable } = await store.subjects.readSubjects([subject.subjectId]);
    expect(unreadable.map(({ subjectId }) => subjectId)).toEqual([subject.subjectId]);
  });
});

const text = fc.string({ unit: 'binary', maxLength: 12 }).map((s) => s.replaceAll('\0', ''));
const time = fc.date({ min: new Date(0), max: new Date('+020000-01-01T00:00:00Z'), noInvalidDate: true });
const handling = fc.record({ code: fc.constantFrom(...HANDLING_CODES), instructions: text, contact: text });
const anySubject = fc.record({
  contributor: text.filter((s) => s !== ''),
  externalId: fc.option(text, { nil: undefined }),
  galleries: fc.uniqueArray(
    text.filter((s) => s !== ''),
    { maxLength: 4 },
  ),
  caveats: fc.array(text, { maxLength: 3 }),
  provenance: fc.constantFrom<NewSubject['provenance'][]>('unspecified', 'controlled', 'field', 'latent', 'synthetic'),
  expireTime: fc.option(time, { nil: undefined }),
  ...{ reviewTime: fc.option(time, { nil: undefined }), minorUntil: fc.option(time, { nil: undefined }) },
  suspended: fc.boolean(),
  handling: fc.option(handling, { nil: undefined }),
});
const anyReference = fc.record({
  fingerPosition: fc.constantFrom<NewReference['fingerPosition'][]>(0, 1, 10),
  format: text.filter((s) => s !== ''),
  quality: fc.integer({ min: 0, max: 100 }),
  minutiaCount: fc.nat(255),
  comparable: fc.boolean(),
  captureTime: fc.option(time, { nil: undefined }),
});

describe('a MAC', () => {
  it('fits what is read back, whatever was written and updated', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anySubject, fc.array(anyReference, { maxLength: 3 })), { minLength: 1, maxLength: 4 }),
        fc.record(
          {
            externalId: fc.option(text),
            galleries: anySubject.map((s) => s.galleries),
            caveats: fc.array(text),
            expireTime: fc.option(time),
            ...{ reviewTime: fc.option(time), minorUntil: fc.option(time) },
            suspended: fc.boolean(),
            handling: fc.option(handling),
          },
          { requiredKeys: [] },
        ),
        fc.option(fc.array(anyReference, { minLength: 1, maxLength: 3 }), { nil: undefined }),
        async (given, patch, replaced) => {
          const made = given.map(([subject, references]) => ({
            ...enrolment(subject),
            references: references.map((one) => reference(one)),
          }));
          const outcomes = await store.subjects.enrollMany(made);
          const ids = made.flatMap(({ subject }, i) => ('failure' in outcomes[i] ? [] : [subject.subjectId]));
          const isDamaged = async () => (await store.subjects.readSubjects(ids)).unreadable;
          expect(await isDamaged()).toEqual([]);
          if (ids[0] === undefined) return;
          const references = replaced?.map((one) => reference(one));
          const update = store.subjects.update(ids[0], undefined, patch, references);
          expect(['none', 'EXTERNAL_ID_TAKEN']).toContain(await reasonOf(update));
          expect(await isDamaged()).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('of a record without limits is that of earlier versions', async () => {
    await keys.open(false);
    const facts = { contributor: 'a', externalId: undefined, caveats: [], provenance: 'field' } as const;
    const times = { createTime: new Date(1), updateTime: new Date(2) };
    const record = { ...enrolment(facts).subject, subjectId: randomUUID(), version: 1, ...times };
    const parts = partsOf([], []).galleries;
    const said = JSON.stringify([record.subjectId, 1, 'a', null, [], 'field', null, 1, 2]);
    const { keyId, bytes } = macOf(keys, record, partsOf([], []));
    const key = keys.key(keyId, 'row');
    const tag = createHmac('sha256', key).update(`ridgewatch subject 1 ${said}\0`).update(parts).digest();
    expect(bytes).toEqual(Buffer.concat([parts, tag]));
  });

  it('opens only for the subject that it was made for', async () => {
    await keys.open(false);
    fc.assert(
      fc.property(anySubject, anySubject, fc.nat(3), (one, two, version) => {
        const record = (facts: typeof one, more: Partial<SubjectRecord> = {}): SubjectRecord => ({
          ...enrolment(facts).subject,
          subjectId: '0198c000-0000-7000-8000-000000000001',
          version: 1,
          createTime: new Date(1),
          updateTime: new Date(2),
          ...more,
        });
        const { keyId, bytes } = macOf(keys, record(one), partsOf(one.galleries, []));
        const opens = (subject: SubjectRecord) =>
          openMac(keys, subject, { mac: bytes, mac_key_id: keyId }) !== undefined;
        expect(opens(record(one))).toBe(true);
        // The memberships have a digest of their own.
        const isSame = JSON.stringify({ ...one, galleries: [] }) === JSON.stringify({ ...two, galleries: [] });
        expect(opens(record(two))).toBe(isSame);
        expect(opens(record(one, { version: version + 2 }))).toBe(false);
        // A text that moves to the field beside it.
        const moved = { ...one, contributor: `${one.contributor}${one.externalId ?? ''}`, externalId: '' };
        expect(opens(record(moved))).toBe(one.externalId === '');
        expect(opens(record({ ...one, caveats: [one.caveats.join(',')] }))).toBe(one.caveats.length === 1);
      }),
    );
  });

  it('has another digest for every other reference', () => {
    fc.assert(
      fc.property(anyReference, anyReference, (one, two) => {
        const referenceId = randomUUID();
        const digest = (facts: typeof one, ordinal = 0) =>
          referenceDigest(ordinal, reference({ ...facts, referenceId })).toString('hex');
        expect(digest(one) === digest(two)).toBe(JSON.stringify(one) === JSON.stringify(two));
        expect(digest(one, 1)).not.toBe(digest(one));
      }),
    );
  });
});
