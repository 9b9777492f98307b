import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NewEnrolment, SubjectWithReferences } from '../../src/store/records.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { queryOf, withoutGalleryNames } from './earlier-schemas.ts';
import { enrolment, reference } from './records.ts';
import { UNLIMITED } from '../../src/store/records.ts';

const keys = temporaryKeys();

let cluster: TestCluster;
let store: Store;
let url: string;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  return () => store.close();
});

const enroll = ({ subject, references, clientRequest }: NewEnrolment) =>
  store.subjects.enroll(subject, references, clientRequest);

async function allChanges(): Promise<{ seq: number; kind: string; subjectId: string }[]> {
  return store.subjects.readChanges(0, 100_000);
}

describe('enrolment', () => {
  it('stores a subject and everything about it', async () => {
    const face = reference({
      modality: 'face',
      fingerPosition: 0,
      format: 'face-embedding-float32',
      storedFormat: 'face-values-int8',
      modelId: 'm',
      dimension: 64,
      minutiaCount: 0,
      captureTime: new Date(5_000),
    });
    const given = {
      ...enrolment({
        ...{ externalId: 'x-1', galleries: ['a', 'b'], caveats: ['Z'] },
        ...{ expireTime: new Date(9_000), reviewTime: new Date(8_000), suspended: true, minorUntil: new Date(7_000) },
        handling: { code: 'inquiry-check', instructions: 'Ask for the vehicle.', contact: '' },
      }),
      references: [reference({ template: new Uint8Array(300).fill(7) }), face],
    };
    const { seq } = await enroll(given);
    expect(seq).toBe(1);
    const found = await store.subjects.get(given.subject.subjectId);
    expect(found?.subject).toMatchObject({ ...given.subject, version: 1 });
    expect(found?.references.map(({ template, ...rest }) => ({ ...rest, template: [...template] }))).toEqual(
      given.references.map((r) => ({ ...r, subjectId: given.subject.subjectId, template: [...r.template] })),
    );
  });

  it('numbers changes without holes and in commit order, whatever fails in between', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 60 }, (_, i) => enroll(enrolment({ externalId: `e${i % 40}` }))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(40);
    for (const result of results)
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ reason: 'EXTERNAL_ID_TAKEN', kind: 'already-exists' });
    expect((await allChanges()).map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(await store.subjects.headSequence()).toBe(40);
  });

  it('answers a repeated request with the subject it enrolled before', async () => {
    const first = await enroll(enrolment({}, 'r-1'));
    const again = await enroll(enrolment({}, 'r-1'));
    expect(again).toMatchObject({ repeated: true, seq: 1, subject: { subjectId: first.subject.subjectId } });
    await expect(enroll(enrolment({}, 'r-1', 'other'))).rejects.toMatchObject({ reason: 'CLIENT_REQUEST_ID_REUSED' });
    expect(await enroll(enrolment({ contributor: 'other' }, 'r-1'))).toMatchObject({ repeated: false });
    expect(await allChanges()).toHaveLength(2);
  });

  it('enrols once when the same request arrives many times concurrently', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => enroll(enrolment({}, 'r-1'))));
    expect(results.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(new Set(results.map(({ subject }) => subject.subjectId)).size).toBe(1);
    expect(await allChanges()).toHaveLength(1);
  });

  it('accepts a corrected request under the id of a refused one', async () => {
    await enroll(enrolment({ externalId: 'taken' }));
    await expect(enroll(enrolment({ externalId: 'taken' }, 'r-1'))).rejects.toMatchObject({
      reason: 'EXTERNAL_ID_TAKEN',
    });
    expect(await enroll(enrolment({ externalId: 'free' }, 'r-1', 'mended'))).toMatchObject({ repeated: false });
  });

  it('does not bring back an expunged subject', async () => {
    const { subject } = await enroll(enrolment({}, 'r-1'));
    await store.subjects.expunge(subject.subjectId, 'asked', () => 'receipt');
    await expect(enroll(enrolment({}, 'r-1'))).rejects.toMatchObject({ reason: 'SUBJECT_EXPUNGED' });
  });

  it('of a batch refuses only the bad records', async () => {
    await enroll(enrolment({ externalId: 'taken' }, 'old'));
    const batch = [
      enrolment({ externalId: 'a' }),
      enrolment({ externalId: 'taken' }),
      enrolment({}, 'old', 'other'),
      enrolment({ externalId: 'b' }, 'new'),
      enrolment({ externalId: 'a' }),
    ];
    const outcomes = await store.subjects.enrollMany(batch);
    const summary = outcomes.map((outcome) => ('failure' in outcome ? outcome.failure.reason : outcome.seq));
    expect(summary).toEqual([2, 'EXTERNAL_ID_TAKEN', 'CLIENT_REQUEST_ID_REUSED', 3, 'EXTERNAL_ID_TAKEN']);
    expect((await allChanges()).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('leaves nothing behind when the transaction fails', async () => {
    const bad = { ...enrolment({}, 'r-1'), references: [reference({ fingerPosition: 99 as 2 })] };
    await expect(enroll(bad)).rejects.toMatchObject({
      kind: 'internal',
      reason: 'STORE_ERROR',
      detail: { metadata: { sqlstate: '23514' } },
    });
    expect(await allChanges()).toEqual([]);
    expect(await store.subjects.get(bad.subject.subjectId)).toBeUndefined();
    expect(await enroll(enrolment({}, 'r-1'))).toMatchObject({ seq: 1, repeated: false });
  });
});

describe('update and expunge', () => {
  it('changes the named fields and keeps the others', async () => {
    const { subject } = await enroll(enrolment({ externalId: 'e', caveats: ['A'], expireTime: new Date(1000) }));
    const updated = await store.subjects.update(
      subject.subjectId,
      1,
      { galleries: ['x', 'y'], expireTime: null },
      undefined,
    );
    expect(updated).toMatchObject({
      seq: 2,
      subject: { version: 2, galleries: ['x', 'y'], caveats: ['A'], externalId: 'e', expireTime: undefined },
    });
    expect(updated.references).toHaveLength(1);
  });

  it('changes each limit in time, a suspension and what is asked for, and takes them away', async () => {
    const { subject } = await enroll(enrolment());
    const changes = {
      ...{ reviewTime: new Date(1000), suspended: true, minorUntil: new Date(2000) },
      handling: { code: 'locate', instructions: '', contact: 'desk' },
    } as const;
    let known: object = { reviewTime: undefined, suspended: false, minorUntil: undefined, handling: undefined };
    for (const [name, value] of Object.entries(changes)) {
      known = { ...known, [name]: value };
      expect((await store.subjects.update(subject.subjectId, undefined, { [name]: value }, undefined)).subject).toEqual(
        expect.objectContaining(known),
      );
    }
    const none = { reviewTime: null, suspended: false, minorUntil: null, handling: null };
    const updated = await store.subjects.update(subject.subjectId, undefined, none, undefined);
    expect(updated.subject).toMatchObject({ ...UNLIMITED, version: 6 });
  });

  it('replaces references', async () => {
    const { subject, references } = await enroll(enrolment());
    const updated = await store.subjects.update(subject.subjectId, undefined, {}, [reference(), reference()]);
    expect(updated.references).toHaveLength(2);
    expect(updated.references.map(({ referenceId }) => referenceId)).not.toContain(references[0]?.referenceId);
  });

  it('refuses a change based on an older version, and changes nothing', async () => {
    const { subject } = await enroll(enrolment());
    await expect(store.subjects.update(subject.subjectId, 9, { caveats: ['B'] }, undefined)).rejects.toMatchObject({
      reason: 'VERSION_MISMATCH',
      kind: 'aborted',
    });
    expect(await store.subjects.headSequence()).toBe(1);
  });

  it('lets one of two updates of the same version win', async () => {
    const { subject } = await enroll(enrolment());
    const results = await Promise.allSettled(
      ['A', 'B', 'C'].map((caveat) => store.subjects.update(subject.subjectId, 1, { caveats: [caveat] }, undefined)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('deletes a subject with all its data', async () => {
    const { subject } = await enroll(enrolment());
    expect(await store.subjects.expunge(subject.subjectId, 'court order', () => 'receipt')).toEqual({
      seq: 2,
      referencesRemoved: 1,
      receipt: 'receipt',
    });
    expect(await store.subjects.get(subject.subjectId)).toBeUndefined();
    await expect(store.subjects.expunge(subject.subjectId, 'again', () => 'receipt')).rejects.toMatchObject({
      kind: 'not-found',
    });
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query(
      'SELECT (SELECT count(*) FROM reference) + (SELECT count(*) FROM gallery_membership) AS left',
    );
    await expect(client.query('DELETE FROM change')).rejects.toThrow('append-only');
    await expect(client.query('UPDATE change SET seq = 5')).rejects.toThrow('append-only');
    await client.end();
    expect(rows).toEqual([{ left: '0' }]);
  });
});

describe('reading', () => {
  it('pages through subjects by id, filtered', async () => {
    const given = await store.subjects.enrollMany(
      Array.from({ length: 25 }, (_, i) => enrolment({ galleries: [i % 2 ? 'odd' : 'even'] })),
    );
    const seen: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await store.subjects.list({
        gallery: 'odd',
        contributor: 'agency',
        limit: 5,
        afterSubjectId: after,
      });
      if (page.length === 0) break;
      seen.push(...page.map(({ subject }) => subject.subjectId));
      after = seen.at(-1);
    }
    const expected = given.flatMap((outcome) =>
      'failure' in outcome || !outcome.subject.galleries.includes('odd') ? [] : [outcome.subject.subjectId],
    );
    expect(seen).toEqual(expected.sort());
  });

  it('streams a snapshot while others write', async () => {
    await store.subjects.enrollMany(Array.from({ length: 30 }, () => enrolment()));
    const seen: SubjectWithReferences[] = [];
    const { seq, subjectCount } = await store.subjects.snapshot(async (batch) => {
      seen.push(...batch);
      await enroll(enrolment());
      await store.subjects.expunge(batch[0]?.subject.subjectId ?? '', 'meanwhile', () => 'receipt');
    }, 10);
    expect([seq, subjectCount, seen.length]).toEqual([30, 30, 30]);
    expect(await store.subjects.headSequence()).toBe(36);
  });

  it('replays to the same state as a plain map', async () => {
    const step = fc.record({
      subject: fc.integer({ min: 0, max: 4 }),
      action: fc.constantFrom('enroll', 'update', 'expunge'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const before = await store.subjects.headSequence();
        const model = new Map<number, { id: string; version: number }>();
        let changes = 0;
        for (const { subject, action } of steps) {
          const present = model.get(subject);
          if (action === 'enroll' && present === undefined) {
            model.set(subject, { id: (await enroll(enrolment())).subject.subjectId, version: 1 });
            changes++;
          } else if (action === 'update' && present !== undefined) {
            await store.subjects.update(present.id, present.version, { caveats: ['C'] }, undefined);
            present.version++;
            changes++;
          } else if (action === 'expunge' && present !== undefined) {
            await store.subjects.expunge(present.id, 'r', () => 'receipt');
            model.delete(subject);
            changes++;
          }
        }
        expect(await store.subjects.headSequence()).toBe(before + changes);
        for (const { id, version } of model.values())
          expect((await store.subjects.get(id))?.subject.version).toBe(version);
      }),
      { numRuns: 8 },
    );
  });
});

describe('an unusable database', () => {
  it('is reported as unavailable, without any part of the request', async () => {
    const database = new URL(url).pathname.slice(1);
    const administrator = new URL(url);
    administrator.pathname = '/postgres';
    const client = new pg.Client({ connectionString: administrator.href });
    await client.connect();
    await client.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
    await client.end();
    const failure: Error = await enroll(enrolment({ externalId: 'secret-name' })).then(
      () => new Error('it was enrolled'),
      (error: unknown) => error as Error,
    );
    expect(failure).toMatchObject({ reason: expect.stringMatching(/^STORE_/) as string });
    expect(`${failure.message}${JSON.stringify(failure)}`).not.toContain('secret-name');
  });

  it.each([
    ['not a url', 'DATABASE_URL_INVALID'],
    ['mysql://u:secret@127.0.0.1/x', 'DATABASE_URL_INVALID'],
    ['postgres://u:secret@127.0.0.1:1/x', 'DATABASE_UNREACHABLE'],
    ['postgres://u:secret@no-such-host.invalid:5432/x', 'DATABASE_UNREACHABLE'],
  ])('ends the start with one sentence: %s', async (databaseUrl, reason) => {
    const failed = openStore({ databaseUrl, dataDir: '', keys, log: () => undefined });
    await expect(failed).rejects.toMatchObject({ reason });
    await expect(failed).rejects.toSatisfy(
      (error: Error) => !error.message.includes('secret') && !error.message.includes('\n'),
    );
  });

  it('is named: wrong password, missing database', async () => {
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(openStore({ databaseUrl: wrong.href, dataDir: '', keys, log: () => undefined })).rejects.toThrow(
      'refuses the user or the password',
    );
    const missing = new URL(url);
    missing.pathname = '/nowhere';
    await expect(openStore({ databaseUrl: missing.href, dataDir: '', keys, log: () => undefined })).rejects.toThrow(
      'no database of this name',
    );
  });

  it('of a newer schema is refused', async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("INSERT INTO migration (name, run_on) VALUES ('9999_future', now())");
    await client.end();
    await expect(openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined })).rejects.toMatchObject({
      reason: 'SCHEMA_TOO_NEW',
    });
  });

  it('of an older schema is left to the service that may run on it', async () => {
    const older = await cluster.createDatabase();
    const client = new pg.Client({ connectionString: older });
    await client.connect();
    const open = (mode: 'own' | 'present') =>
      openStore({ databaseUrl: older, dataDir: '', keys, log: () => undefined, mode });
    await (await open('own')).close();
    await withoutGalleryNames(queryOf(client), keys);
    await expect(open('present')).rejects.toMatchObject({ reason: 'SCHEMA_TOO_OLD' });
    const { rows } = await client.query("SELECT to_regclass('gallery') AS found");
    expect(rows).toEqual([{ found: null }]);
    await client.end();
    await (await open('own')).close();
    await (await open('present')).close();
  });
});
