/** When rows get their MACs, and what says that they had them. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Keys } from '../../src/security/keys.ts';
import { migrate } from '../../src/store/migrations.ts';
import { RowSigning } from '../../src/store/row-signing.ts';
import { openStore, type Store, type StoreMode } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { queryOf, withoutMacs } from './earlier-schemas.ts';
import { enrolment, faceReference, reference } from './records.ts';

let cluster: TestCluster;
let url: string;
let keys: Keys;
let store: Store;
let database: pg.Client;
let log: string[];

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  keys = temporaryKeys();
  store = await open();
  database = new pg.Client({ connectionString: url });
  await database.connect();
  return async () => {
    await database.end();
    await store.close();
  };
});

function open(with_ = keys, mode: StoreMode = 'own'): Promise<Store> {
  log = [];
  const note = ({ level, message }: { level: string; message: string }) => void log.push(`${level}: ${message}`);
  return openStore({ databaseUrl: url, dataDir: '', keys: with_, log: note, mode });
}

async function reopen(with_ = keys): Promise<void> {
  await store.close();
  store = await open(with_);
}

async function enrol(count: number): Promise<string[]> {
  const made = Array.from({ length: count }, (_, i) => ({
    ...enrolment({ galleries: i % 2 === 0 ? ['a'] : [], expireTime: new Date(i) }),
    references: [reference({ quality: i % 100 }), faceReference(8)].slice(i % 3 === 0 ? 1 : 0),
  }));
  await store.subjects.enrollMany(made);
  return made.map(({ subject }) => subject.subjectId);
}

async function damageOf(ids: readonly string[]): Promise<string[]> {
  const { subjects, unreadable } = await store.subjects.readSubjects(ids);
  expect(subjects.length + new Set(unreadable.map(({ subjectId }) => subjectId)).size).toBe(ids.length);
  return [...new Set(unreadable.map(({ subjectId, reason }) => `${subjectId} ${reason}`))].sort();
}

const count = async (condition: string) =>
  Number((await database.query<{ n: string }>(`SELECT count(*) AS n FROM subject WHERE ${condition}`)).rows[0].n);
const markOf = ({ dataDir }: Keys) => existsSync(join(dataDir, 'rows-signed'));
const unmark = () => database.query('ALTER TABLE subject DROP CONSTRAINT subject_is_signed');

describe('the rows of an earlier version', () => {
  it('are signed at the first start, which says so, and from then on a missing MAC is damage', async () => {
    const ids = await enrol(2500);
    await withoutMacs(queryOf(database), keys);
    await reopen();
    expect(log).toContain('info: signed the rows of 2500 subjects that an earlier version had stored');
    expect(await damageOf(ids)).toEqual([]);
    expect(markOf(keys)).toBe(true);
    await unmark();
    await database.query('UPDATE subject SET mac = NULL WHERE subject_id = $1', [ids[7]]);
    await reopen();
    expect(log.filter((line) => line.includes('signed the rows'))).toEqual([]);
    expect(await damageOf(ids)).toEqual([`${ids[7]} ROW_UNSIGNED`]);
  });

  it('are signed by a start that goes on where another one was interrupted', async () => {
    const ids = await enrol(2500);
    await withoutMacs(queryOf(database), keys);
    await migrate(url);
    const pool = new pg.Pool({ connectionString: url });
    const seen: number[] = [];
    const killed = new RowSigning(pool, keys).signAll((signed) => {
      seen.push(signed);
      if (signed >= 1000) throw new Error('killed');
    });
    await expect(killed).rejects.toThrow('killed');
    await pool.end();
    expect([seen, await count('mac IS NULL'), markOf(keys)]).toEqual([[1000], 1500, false]);
    await reopen();
    expect(log).toContain('info: signed the rows of 1500 subjects that an earlier version had stored');
    expect(await damageOf(ids)).toEqual([]);
  });

  it('are not served by a command before a service has signed them', async () => {
    await enrol(3);
    await withoutMacs(queryOf(database), keys);
    await database.query(
      'ALTER TABLE subject ADD COLUMN mac bytea, ADD COLUMN mac_key_id text REFERENCES template_key',
    );
    await database.query("INSERT INTO migration (name, run_on) VALUES ('0009_row_macs', now())");
    await database.query("INSERT INTO migration (name, run_on) VALUES ('0010_safeguard_records', now())");
    await expect(open(keys, 'present')).rejects.toMatchObject({ reason: 'SCHEMA_TOO_OLD' });
    expect(await count('mac IS NOT NULL')).toBe(0);
    await reopen();
    await (await open(keys, 'present')).close();
  });

  it('can no longer be added by an older service', async () => {
    const insert = `INSERT INTO subject (subject_id, version, contributor, caveats, provenance, create_time, update_time)
      VALUES (gen_random_uuid(), 1, 'agency', '{}', 'field', now(), now())`;
    await expect(database.query(insert)).rejects.toThrow('subject_is_signed');
  });
});

describe('a store whose rows were signed', () => {
  it('is not signed again when its database says that it never was', async () => {
    const [moved, robbed, other] = await enrol(3);
    await unmark();
    await database.query('UPDATE reference SET subject_id = $1, ordinal = 9 WHERE subject_id = $2', [moved, robbed]);
    await database.query('UPDATE subject SET mac = NULL, mac_key_id = NULL WHERE subject_id = ANY($1)', [
      [moved, robbed],
    ]);
    await reopen();
    expect(log.filter((line) => line.startsWith('error: the database no longer says'))).toHaveLength(1);
    expect(await damageOf([moved, robbed, other])).toEqual([`${moved} ROW_UNSIGNED`, `${robbed} ROW_UNSIGNED`].sort());
    // The mark is back.
    await reopen();
    expect(log.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('is known as such beside a new data directory, which then remembers it', async () => {
    const ids = await enrol(3);
    await store.close();
    const moved = new Keys({ keyFile: keys.file, dataDir: join(temporaryDirectory(), 'new') });
    store = await open(moved);
    expect(await damageOf(ids)).toEqual([]);
    expect(markOf(moved)).toBe(true);
    await unmark();
    await database.query('UPDATE subject SET mac = NULL WHERE subject_id = $1', [ids[1]]);
    rmSync(join(keys.dataDir, 'rows-signed'));
    await reopen(moved);
    expect(await damageOf(ids)).toEqual([`${ids[1]} ROW_UNSIGNED`]);
  });

  it('keeps plain templates out that were not there before', async () => {
    const [id] = await enrol(1);
    await database.query("UPDATE reference SET key_id = NULL, template = '\\x464d52'");
    await reopen();
    const { subjects } = await store.subjects.readSubjects([id]);
    expect(subjects[0].damaged?.map(({ reason }) => reason)).toEqual(['SEALED_DATA_DAMAGED']);
    expect((await database.query('SELECT FROM reference WHERE key_id IS NULL')).rowCount).toBe(1);
  });
});

describe('a rotation of the keys', () => {
  it('makes every MAC anew, but none that does not fit its rows', async () => {
    const ids = await enrol(1200);
    const old = keys.ring.currentId;
    await database.query("UPDATE subject SET caveats = '{X}' WHERE subject_id = $1", [ids[3]]);
    await database.query('UPDATE reference SET quality = 99 WHERE subject_id = $1', [ids[4]]);
    const id = await store.templateKeys.rotate(new Date());
    expect(await store.templateKeys.forget(old).catch((error: unknown) => (error as { reason: string }).reason)).toBe(
      'KEY_IN_USE',
    );
    const { damaged } = await store.templateKeys.sealAll('all', () => undefined);
    expect(damaged).toEqual([{ referenceId: '', subjectId: ids[3], reason: 'ROW_MAC_MISMATCH' }]);
    expect([await count(`mac_key_id = '${id}'`), await count(`mac_key_id = '${old}'`)]).toEqual([1199, 1]);
    expect(await damageOf(ids)).toEqual([`${ids[3]} ROW_MAC_MISMATCH`, `${ids[4]} ROW_MAC_MISMATCH`].sort());
    await expect(store.templateKeys.drop(old)).rejects.toMatchObject({ reason: 'KEY_IN_USE' });
    await store.subjects.expunge(ids[3], 'test', () => '{}');
    await store.templateKeys.drop(old);
    expect(await damageOf(ids.filter((one) => one !== ids[3]))).toEqual([`${ids[4]} ROW_MAC_MISMATCH`]);
  });

  it('misses no row that is written meanwhile', async () => {
    const ids = await enrol(1500);
    const old = keys.ring.currentId;
    const others = Array.from({ length: 30 }, (_, i) =>
      i % 2 === 0
        ? enrol(2)
        : store.subjects.update(ids[i], undefined, { caveats: [`${i}`] }, undefined).then(() => []),
    );
    await store.templateKeys.rotate(new Date());
    const sealing = store.templateKeys.sealAll('all', () => undefined);
    const during = (await Promise.all([...others, enrol(2)])).flat();
    expect((await sealing).damaged).toEqual([]);
    expect(await count(`mac_key_id = '${old}'`)).toBe(0);
    expect(await damageOf([...ids, ...during])).toEqual([]);
  });

  it('waits for an enrolment that has made its MAC with the old key and is not done', async () => {
    await enrol(1);
    const old = keys.ring.currentId;
    // Takes the external id, and does not come to its end.
    await database.query('BEGIN');
    await database.query(
      `INSERT INTO subject (subject_id, version, contributor, external_id, caveats, provenance, create_time, update_time, mac)
       VALUES (gen_random_uuid(), 1, 'agency', 'x', '{}', 'field', now(), now(), '')`,
    );
    const waiting = async () => (await database.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount;
    const { subject } = enrolment({ externalId: 'x' });
    const enrolling = store.subjects.enroll(subject, []);
    await expect.poll(waiting).toBe(1);
    await store.templateKeys.rotate(new Date());
    const sealing = store.templateKeys.sealAll('all', () => undefined);
    const first = await Promise.race([
      sealing.then(() => 'sealed'),
      expect
        .poll(waiting)
        .toBe(2)
        .then(() => 'waits'),
    ]);
    expect(first).toBe('waits');
    await database.query('ROLLBACK');
    await Promise.all([enrolling, sealing]);
    expect(await count(`mac_key_id = '${old}'`)).toBe(0);
  });
});
