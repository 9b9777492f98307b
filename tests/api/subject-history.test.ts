/** What the history of a subject says, to which clients, and what is left of it when the subject is expunged. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClientKind, Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import {
  GalleryClient,
  HistoryState,
  Provenance,
  type SubjectData,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Keys } from '../../src/security/keys.ts';
import { UNLIMITED } from '../../src/store/records.ts';
import { openStore } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients, type ActingClient } from './registered-clients.ts';
import {
  call,
  dataDirectoryOf,
  enrolPerson,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
let database: pg.Client;
let local: GalleryClient;
const clients = registeredClients(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
  database = new pg.Client({ connectionString: url });
  await database.connect();
  local = clients.clientOf(GalleryClient, running.headers.authorization.replace('Bearer ', ''));
});
afterAll(async () => {
  clients.close();
  await database.end();
  await running.stop();
  await cluster.stop();
});

const DATA: SubjectData = {
  contributor: 'agency',
  externalId: '',
  galleries: ['main'],
  caveats: [],
  provenance: Provenance.CONTROLLED,
  ...UNLIMITED,
};
const enrolOne = async (person: number, data: Partial<SubjectData> = {}) => {
  const { subject } = await enrolPerson(running, person, { data: { ...DATA, ...data } });
  return subject?.subjectId ?? '';
};
const update = (by: GalleryClient, subjectId: string, data: Partial<SubjectData>, paths: string[]) =>
  call(by, by.updateSubject.bind(by), {
    subjectId,
    expectedVersion: 0,
    data: { ...DATA, ...data },
    samples: [],
    updateMask: paths.map((path) => `data.${path}`),
  });
const history = (by: GalleryClient, subjectId: string, pageSize = 0, afterGalleryVersion = 0) =>
  call(by, by.readHistory.bind(by), { subjectId, pageSize, afterGalleryVersion });
const expunge = (subjectId: string) => call(local, local.expungeSubject.bind(local), { subjectId, reason: 'a test' });
const rowsOf = async (subjectId: string) =>
  (await database.query('SELECT FROM subject_history WHERE subject_id = $1', [subjectId])).rowCount;
const owner = (changes: Parameters<typeof clients.as>[0] = {}): Promise<ActingClient> =>
  clients.as({ agency: 'agency', roles: [Role.CONTRIBUTOR], ...changes });

describe('the history of a subject', () => {
  it('says of each change who made it, when, and what was before', async () => {
    const { gallery, clientId } = await owner();
    const subjectId = await enrolOne(1, { externalId: 'P-17' });
    const expireTime = new Date('2031-01-01T00:00:00Z');
    const changed = { externalId: 'P-71', galleries: ['second', 'main'], caveats: ['X-ARMED'], expireTime };
    const paths = ['external_id', 'galleries', 'caveats', 'expire_time', 'provenance'];
    await update(gallery, subjectId, changed, paths);
    await update(gallery, subjectId, {}, ['external_id', 'expire_time']);
    const { entries, nextAfterGalleryVersion } = await history(gallery, subjectId);
    expect(nextAfterGalleryVersion).toBe(0);
    expect(entries).toMatchObject([
      { version: 1, state: HistoryState.KNOWN, clientId: 'local', agency: 'local', fields: [] },
      {
        version: 2,
        clientId,
        agency: 'agency',
        fields: [
          { field: 'external_id', before: ['P-17'], after: ['P-71'] },
          { field: 'galleries', before: ['main'], after: ['main', 'second'] },
          { field: 'caveats', before: [], after: ['X-ARMED'] },
          { field: 'expire_time', before: [], after: ['2031-01-01T00:00:00.000Z'] },
        ],
      },
      {
        version: 3,
        fields: [
          { field: 'external_id', before: ['P-71'], after: [] },
          { field: 'expire_time', before: ['2031-01-01T00:00:00.000Z'], after: [] },
        ],
      },
    ]);
    const times = entries.map(({ time }) => time?.getTime() ?? 0);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('names replaced references by id and digest, and keeps no template', async () => {
    const subjectId = await enrolOne(2);
    const { subject } = await call(local, local.getSubject.bind(local), { subjectId });
    const samples = samplesOf(3, 0).slice(0, 1);
    const request = { subjectId, expectedVersion: 0, data: undefined, samples, updateMask: ['samples'] };
    const replaced = await call(local, local.updateSubject.bind(local), request);
    const [, change] = (await history(local, subjectId)).entries;
    const idsOf = (found: typeof subject) => found?.references.map(({ referenceId }) => referenceId);
    expect(change?.removedReferences.map(({ referenceId }) => referenceId)).toEqual(idsOf(subject));
    expect(change?.addedReferences.map(({ referenceId }) => referenceId)).toEqual(idsOf(replaced.subject));
    for (const { digest } of [...(change?.removedReferences ?? []), ...(change?.addedReferences ?? [])])
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
    const { rows } = await database.query<{ text: string }>(
      'SELECT h::text AS text FROM subject_history h WHERE subject_id = $1',
      [subjectId],
    );
    for (const { data } of samples)
      for (const form of ['hex', 'base64'] as const)
        expect(rows.map(({ text }) => text).join()).not.toContain(data.subarray(0, 24).toString(form));
  });

  it('comes page by page', async () => {
    const subjectId = await enrolOne(4);
    for (const caveat of ['X-A', 'X-B', 'X-C']) await update(local, subjectId, { caveats: [caveat] }, ['caveats']);
    const whole = (await history(local, subjectId)).entries;
    const first = await history(local, subjectId, 3);
    const second = await history(local, subjectId, 3, first.nextAfterGalleryVersion);
    expect([...first.entries, ...second.entries]).toEqual(whole);
    expect([first.entries.length, second.entries.length, second.nextAfterGalleryVersion]).toEqual([3, 1, 0]);
  });

  it('goes with the subject', async () => {
    const subjectId = await enrolOne(5, { externalId: 'P-5' });
    await update(local, subjectId, { externalId: 'P-6' }, ['external_id']);
    expect(await rowsOf(subjectId)).toBe(2);
    await expect(database.query('DELETE FROM subject_history WHERE subject_id = $1', [subjectId])).rejects.toThrow(
      'goes with the subject',
    );
    await expunge(subjectId);
    expect(await rowsOf(subjectId)).toBe(0);
    expect(await refused(history(local, subjectId))).toMatchObject({ reason: 'SUBJECT_NOT_FOUND' });
  });

  it('is append-only', async () => {
    const subjectId = await enrolOne(6);
    for (const sql of ["UPDATE subject_history SET client_id = 'x'", 'TRUNCATE subject_history'])
      await expect(database.query(sql)).rejects.toThrow('append-only');
    expect((await history(local, subjectId)).entries).toMatchObject([{ clientId: 'local' }]);
  });

  it('tells nothing of rows that were changed or moved in the database, and says so', async () => {
    const [subjectId, other] = [await enrolOne(7), await enrolOne(8)];
    await update(local, subjectId, { caveats: ['X-A'] }, ['caveats']);
    await database.query('ALTER TABLE subject_history DISABLE TRIGGER USER');
    try {
      const set = "UPDATE subject_history SET agency = 'other' WHERE subject_id = $1 AND version = 1";
      await database.query(set, [subjectId]);
      await database.query('DELETE FROM subject_history WHERE subject_id = $1', [other]);
      await database.query(
        'UPDATE subject_history SET subject_id = $2, version = 1 WHERE subject_id = $1 AND version = 2',
        [subjectId, other],
      );
    } finally {
      await database.query('ALTER TABLE subject_history ENABLE TRIGGER USER');
    }
    const damaged = { state: HistoryState.DAMAGED, clientId: '', agency: '', fields: [] };
    expect((await history(local, subjectId)).entries).toMatchObject([damaged, { state: HistoryState.UNKNOWN }]);
    expect((await history(local, other)).entries).toMatchObject([damaged]);
  });

  it('stays what it is when the keys are rotated, and none of it needs the old key', async () => {
    const subjectId = await enrolOne(9);
    await update(local, subjectId, { caveats: ['X-A'] }, ['caveats']);
    const before = (await history(local, subjectId)).entries;
    const keys = new Keys({ keyFile: undefined, dataDir: dataDirectoryOf(url) });
    const store = await openStore({
      ...{ databaseUrl: url, dataDir: dataDirectoryOf(url), keys, mode: 'present' as const },
      log: () => undefined,
    });
    let keyId: string;
    try {
      keyId = await store.templateKeys.rotate(new Date());
      await store.templateKeys.sealAll('all', () => undefined);
    } finally {
      await store.close();
    }
    const { rows } = await database.query<{ mac_key_id: string }>(
      'SELECT DISTINCT mac_key_id FROM subject_history WHERE subject_id = $1',
      [subjectId],
    );
    expect(rows).toEqual([{ mac_key_id: keyId }]);
    expect((await history(local, subjectId)).entries).toEqual(before);
  });
});

describe('which clients read it', () => {
  it('the owner, its supervisors, administrators and auditors, and auditors of all', async () => {
    const subjectId = await enrolOne(10, { caveats: ['NO-ONWARD'] });
    const person = { kind: ClientKind.PERSON };
    for (const role of [Role.CONTRIBUTOR, Role.SUPERVISOR, Role.ADMINISTRATOR, Role.AUDITOR]) {
      const { gallery } = await owner({ ...person, roles: [role] });
      expect((await history(gallery, subjectId)).entries).toHaveLength(1);
    }
    const { gallery } = await owner({ ...person, agency: 'authority', roles: [Role.AUDITOR] });
    expect((await history(gallery, subjectId)).entries).toHaveLength(1);
  });

  it('no client of another agency, which does not learn whether there is such a subject', async () => {
    const subjectId = await enrolOne(11);
    for (const role of [Role.CONTRIBUTOR, Role.SUPERVISOR, Role.ADMINISTRATOR]) {
      const { gallery } = await owner({ kind: ClientKind.PERSON, agency: 'other', roles: [role] });
      const answer = await refused(history(gallery, subjectId));
      expect(answer).toMatchObject({ code: Code.NOT_FOUND, reason: 'SUBJECT_NOT_FOUND' });
    }
    const { gallery } = await owner({ roles: [Role.CHECKPOINT] });
    expect(await refused(history(gallery, subjectId))).toMatchObject({ reason: 'ACTION_NOT_PERMITTED' });
  });

  it('and the audit names each of them with the subject', async () => {
    const subjectId = await enrolOne(12);
    const { gallery, clientId } = await owner();
    await history(gallery, subjectId);
    const { rows } = await database.query<{ client_id: string }>(
      `SELECT client_id FROM audit_record WHERE subjects @> ARRAY[$1::uuid]
         AND entry::json->>'method' = 'Gallery/ReadHistory'`,
      [subjectId],
    );
    expect(rows).toEqual([{ client_id: clientId }]);
  });
});
