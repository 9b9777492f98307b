/** Rows of the change sequence that were forged in the database, and earlier states of subjects that were put back. */
import { randomUUID } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Keys } from '../../src/security/keys.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { queryOf, withoutChangeMacs } from './earlier-schemas.ts';
import { enrolment } from './records.ts';

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
  // An administrator of the database is held up by no trigger and no constraint.
  await database.query("SET session_replication_role = 'replica'");
  return async () => {
    await database.end();
    await store.close();
  };
});

function open(): Promise<Store> {
  log = [];
  const note = ({ level, message }: { level: string; message: string }) => void log.push(`${level}: ${message}`);
  return openStore({ databaseUrl: url, dataDir: '', keys, log: note });
}

async function reopen(): Promise<void> {
  await store.close();
  store = await open();
}

async function enrol(count: number): Promise<string[]> {
  const made = Array.from({ length: count }, () => enrolment({ externalId: randomUUID() }));
  await store.subjects.enrollMany(made);
  return made.map(({ subject }) => subject.subjectId);
}

const update = (id: string) => store.subjects.update(id, undefined, { caveats: [randomUUID().slice(0, 8)] }, undefined);
const expunge = (id: string) => store.subjects.expunge(id, 'test', () => '{}');
const unmark = () => database.query('ALTER TABLE change DROP CONSTRAINT IF EXISTS change_is_signed');
const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => (error as { reason?: string }).reason,
  );
const damagedOf = async () =>
  new Map((await store.subjects.readChanges(0, 10_000)).flatMap(({ seq, damage }) => (damage ? [[seq, damage]] : [])));

/** Adds a row as the service would, but for the MAC. */
async function forge(kind: 'upsert' | 'expunge', subjectId: string, isCounted = true): Promise<number> {
  if (isCounted) await database.query('UPDATE change_counter SET seq = seq + 1');
  const { rows } = await database.query<{ seq: string }>(
    `INSERT INTO change (seq, kind, subject_id, subject_version, at, mac, mac_key_id)
     SELECT seq + $3, $1, $2, 99, now(), decode(repeat('ab', 32), 'hex'), $4 FROM change_counter RETURNING seq`,
    [kind, subjectId, isCounted ? 0 : 1, keys.ring.currentId],
  );
  return Number(rows[0].seq);
}

const id = fc.uuid({ version: 4 });
/** What an administrator of the database may do to a row; `$1` is its number, `$2` that of another one. */
const tampering = fc.oneof(
  fc.record({
    sql: fc.constant(
      "UPDATE change SET kind = CASE kind WHEN 'upsert' THEN 'expunge' ELSE 'upsert' END WHERE seq = $1",
    ),
  }),
  fc.record({ sql: fc.constant('UPDATE change SET subject_id = $2 WHERE seq = $1'), value: id }),
  fc.record({
    sql: fc.constant('UPDATE change SET subject_version = subject_version + $2 WHERE seq = $1'),
    value: fc.integer({ min: 1, max: 1000 }),
  }),
  fc.record({
    sql: fc.constant('UPDATE change SET reason = $2 WHERE seq = $1'),
    value: fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
  }),
  fc.record({
    sql: fc.constant("UPDATE change SET at = at + $2::int * interval '1 ms' WHERE seq = $1"),
    value: fc.integer({ min: 1, max: 1e6 }),
  }),
  fc.record({ sql: fc.constant("UPDATE change SET at = 'infinity' WHERE seq = $1") }),
  fc.record({ sql: fc.constant('UPDATE change SET mac = NULL WHERE seq = $1') }),
  fc.record({ sql: fc.constant('UPDATE change SET mac_key_id = NULL WHERE seq = $1') }),
  fc.record({ sql: fc.constant("UPDATE change SET mac_key_id = 'never' WHERE seq = $1") }),
  fc.record({
    sql: fc.constant('UPDATE change SET mac = $2 WHERE seq = $1'),
    value: fc.uint8Array({ maxLength: 33 }).map((b) => Buffer.from(b)),
  }),
  // A row that was written under another number, whose own row is gone.
  fc.record({
    sql: fc.constant(
      `WITH other AS (SELECT * FROM change WHERE seq <> $1 ORDER BY seq LIMIT 1)
       UPDATE change c SET kind = o.kind, subject_id = o.subject_id, subject_version = o.subject_version, reason = o.reason,
         at = o.at, mac = o.mac, mac_key_id = o.mac_key_id FROM other o WHERE c.seq = $1`,
    ),
  }),
);

describe('a change', () => {
  it('that was altered anywhere in the database is named, and no other one', async () => {
    const [one, two] = await enrol(4);
    await update(one);
    await expunge(two);
    const head = await store.subjects.headSequence();
    expect(await damagedOf()).toEqual(new Map());
    await unmark();
    await fc.assert(
      fc.asyncProperty(tampering, fc.integer({ min: 1, max: head }), async (tampered, seq) => {
        await database.query('BEGIN');
        await database.query('CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT * FROM change WHERE seq = $1', [
          seq,
        ]);
        await database.query(tampered.sql, 'value' in tampered ? [seq, tampered.value] : [seq]);
        const { rows } = await database.query('SELECT FROM change c JOIN kept k USING (seq) WHERE c = k');
        const isSame = rows.length === 1;
        await database.query('CREATE TABLE aside AS SELECT * FROM kept');
        await database.query('COMMIT');
        const damaged = await damagedOf();
        const listed = await store.repair.damagedChanges();
        await database.query('DELETE FROM change WHERE seq = $1', [seq]);
        await database.query('INSERT INTO change SELECT * FROM aside');
        await database.query('DROP TABLE aside');
        expect([...damaged.keys()]).toEqual(isSame ? [] : [seq]);
        expect(listed).toEqual([...damaged].map(([number, reason]) => ({ seq: number, reason })));
        if (!isSame)
          expect(damaged.get(seq)).toBe(
            tampered.sql.includes('mac = NULL') ? 'CHANGE_UNSIGNED' : 'CHANGE_MAC_MISMATCH',
          );
      }),
      { numRuns: 60 },
    );
    expect(await damagedOf()).toEqual(new Map());
  });

  it('that was removed is missed', async () => {
    await enrol(3);
    await database.query('DELETE FROM change WHERE seq = 2');
    expect((await store.repair.examine()).missingChanges).toBe(1);
  });

  it('that says that a subject was expunged hides neither the subject nor that its rows were deleted', async () => {
    const [kept, robbed] = await enrol(2);
    await forge('expunge', kept);
    await forge('expunge', robbed);
    await database.query('DELETE FROM subject WHERE subject_id = $1', [robbed]);
    await database.query('DELETE FROM reference WHERE subject_id = $1', [robbed]);
    expect((await store.subjects.get(kept))?.subject.subjectId).toBe(kept);
    const { subjects, unreadable } = await store.subjects.readSubjects([kept, robbed]);
    expect([subjects.length, unreadable.map((one) => [one.subjectId, one.reason])]).toEqual([
      1,
      [[robbed, 'SUBJECT_DAMAGED']],
    ]);
    expect(await store.repair.vanishedSubjects()).toEqual([robbed]);
    expect((await store.subjects.lookForLost()).unreadable.map(({ subjectId }) => subjectId)).toEqual([robbed]);
  });

  it('is found behind any number of forged ones of its subject, and where there are too many the subject is damaged', async () => {
    const [one, flooded] = await enrol(2);
    for (let i = 0; i < 20; i++) await forge('expunge', one);
    await database.query(
      `INSERT INTO change SELECT 1000 + n, 'upsert', $1, 5000 + n, NULL, now(), '', 'never' FROM generate_series(1, 1000) n`,
      [flooded],
    );
    expect(await reasonOf(store.subjects.get(one))).toBe('none');
    expect(await reasonOf(store.subjects.get(flooded))).toBe('ROW_MAC_MISMATCH');
  });
});

describe('a number that was taken by a forged row', () => {
  it('is passed over by the next change, and says nothing, whatever MAC it has', async () => {
    const [one] = await enrol(1);
    // A row of a state before a restore: its MAC fits.
    const [ahead] = await enrol(1);
    await database.query('UPDATE change_counter SET seq = 1');
    for (const table of ['subject', 'reference'])
      await database.query(`DELETE FROM ${table} WHERE subject_id = $1`, [ahead]);
    const forged = await forge('expunge', one, false).catch(() => 2);
    expect(forged).toBe(2);
    await database.query("INSERT INTO change SELECT 4, 'expunge', $1, 9, NULL, now(), '', 'never'", [one]);
    expect(await store.subjects.readChanges(1, 10)).toEqual([]);
    const [two] = await enrol(2);
    expect(await store.subjects.headSequence()).toBe(6);
    expect([...(await damagedOf())]).toEqual([
      [2, 'CHANGE_MAC_MISMATCH'],
      [4, 'CHANGE_MAC_MISMATCH'],
    ]);
    await update(two);
    expect(await reasonOf(store.subjects.get(one))).toBe('none');
  });

  it('keeps changes out where there are too many, until they are removed', async () => {
    await enrol(1);
    await database.query(
      `INSERT INTO change SELECT n, 'expunge', gen_random_uuid(), 1, NULL, now(), '', 'never' FROM generate_series(2, 10001) n`,
    );
    expect(await reasonOf(enrol(1))).toBe('CHANGE_NUMBERS_TAKEN');
    expect(await store.repair.replaceChanges('test')).toBe(10_000);
    await enrol(1);
    expect((await store.subjects.readChanges(0, 10)).map(({ seq, damage }) => [seq, damage])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
  });
});

describe('an earlier state of a subject', () => {
  const TABLES = ['subject', 'reference', 'gallery_membership'] as const;
  const keep = async (subjectId: string) => {
    for (const table of TABLES)
      await database.query(`CREATE TABLE old_${table} AS SELECT * FROM ${table} WHERE subject_id = '${subjectId}'`);
  };
  const putBack = async (subjectId: string) => {
    for (const table of TABLES) await database.query(`DELETE FROM ${table} WHERE subject_id = $1`, [subjectId]);
    for (const table of TABLES) await database.query(`INSERT INTO ${table} SELECT * FROM old_${table}`);
  };
  const everyWay = async (subjectId: string) => {
    const { unreadable } = await store.subjects.readSubjects([subjectId]);
    const loaded: string[] = [];
    await store.subjects.snapshot((subjects, _, more = []) => {
      loaded.push(...subjects.map(({ subject }) => subject.subjectId), ...more.map(({ reason }) => reason));
      return Promise.resolve();
    }, 100);
    return [
      await reasonOf(store.subjects.get(subjectId)),
      await reasonOf(store.subjects.facts(subjectId)),
      await reasonOf(update(subjectId)),
      ...unreadable.map(({ reason }) => reason),
      ...loaded,
    ];
  };

  it('is not used when it is put back, and no update makes it right', async () => {
    const [subjectId] = await enrol(1);
    await keep(subjectId);
    await update(subjectId);
    await putBack(subjectId);
    expect(new Set(await everyWay(subjectId))).toEqual(new Set(['ROW_PUT_BACK']));
    // Nor does a forged row that fits it.
    await forge('upsert', subjectId);
    expect(new Set(await everyWay(subjectId))).toEqual(new Set(['ROW_PUT_BACK']));
  });

  it('is not used when the subject was expunged since', async () => {
    const [subjectId] = await enrol(1);
    await keep(subjectId);
    await expunge(subjectId);
    await putBack(subjectId);
    expect(new Set(await everyWay(subjectId))).toEqual(new Set(['ROW_EXPUNGED']));
    const { unreadable } = await store.subjects.readSubjects([subjectId]);
    const [repaired] = await store.repair.removeAll(unreadable, 'test', 1, () => '{}');
    expect(repaired).toMatchObject({ isExpunged: true });
    expect(await store.subjects.get(subjectId)).toBeUndefined();
  });
});

describe('forged rows', () => {
  it('are replaced by a repair, which tells of the subjects whose changes were altered and expunges none', async () => {
    const [one, two, three] = await enrol(3);
    await update(one);
    await update(two);
    await unmark();
    await database.query("UPDATE change SET kind = 'expunge', subject_id = $1 WHERE seq = 4", [three]);
    await database.query('UPDATE change SET mac = NULL WHERE seq = 5');
    await forge('expunge', three);
    await forge('expunge', two, false);
    await database.query('DELETE FROM subject WHERE subject_id = $1', [three]);
    expect(await store.repair.replaceChanges('test')).toBe(4);
    expect(await store.repair.damagedChanges()).toEqual([]);
    const changes = await store.subjects.readChanges(3, 10);
    expect(changes.map(({ seq }) => seq)).toEqual([4, 5, 6]);
    const told = changes.filter(({ kind }) => kind === 'upsert').map(({ subjectId, version }) => [subjectId, version]);
    expect(told.sort()).toEqual(
      [
        [one, 2],
        [two, 2],
      ].sort(),
    );
    expect(changes.filter(({ kind }) => kind === 'expunge').map(({ subjectId }) => subjectId)).not.toContain(three);
    // The one that is gone is still missed.
    expect(await store.repair.vanishedSubjects()).toEqual([three]);
    await expect(database.query("SET session_replication_role = 'origin'; DELETE FROM change")).rejects.toThrow(
      'append-only',
    );
  });

  it('get no MAC by a rotation of the keys, which renews all others', async () => {
    const [one] = await enrol(3);
    const forged = await forge('expunge', one);
    await database.query('UPDATE change SET mac_key_id = $1 WHERE seq = $2', ['never', forged]);
    const old = keys.ring.currentId;
    await store.templateKeys.rotate(new Date());
    const { damaged } = await store.templateKeys.sealAll('all', () => undefined);
    expect(damaged.map(({ reason }) => reason)).toEqual(['CHANGE_MAC_MISMATCH']);
    await store.templateKeys.drop(old);
    await reopen();
    expect([...(await damagedOf()).keys()]).toEqual([forged]);
  });

  it('are not followed when the counter is rebuilt', async () => {
    await enrol(2);
    await forge('expunge', randomUUID(), false);
    await database.query("INSERT INTO change SELECT 1e15, 'expunge', gen_random_uuid(), 1, NULL, now(), '', 'never'");
    const structure = await store.repair.examine();
    expect([structure.isCounterWrong, structure.missingChanges]).toEqual([false, 0]);
    await database.query('DELETE FROM change_counter');
    await store.repair.restoreDerived({ ...structure, isCounterWrong: true });
    expect(await store.subjects.headSequence()).toBeLessThan(1e6);
  });
});

describe('the changes of an earlier version', () => {
  it('are signed at the first start, and from then on a missing MAC is damage', async () => {
    await enrol(5200);
    await withoutChangeMacs(queryOf(database), keys);
    await reopen();
    expect(log).toContain('info: signed 5200 changes that an earlier version had stored');
    expect(await damagedOf()).toEqual(new Map());
    expect(existsSync(join(keys.dataDir, 'changes-signed'))).toBe(true);
    await unmark();
    await database.query('UPDATE change SET mac = NULL, mac_key_id = NULL WHERE seq = 7');
    await reopen();
    expect(log.filter((line) => line.startsWith('error: the database no longer says'))).toHaveLength(1);
    expect([...(await damagedOf())]).toEqual([[7, 'CHANGE_UNSIGNED']]);
  });

  it('stay signed beside a new data directory', async () => {
    await enrol(2);
    for (const file of ['rows-signed', 'changes-signed', 'clients-signed']) rmSync(join(keys.dataDir, file));
    await unmark();
    await database.query('UPDATE change SET mac = NULL WHERE seq = 2');
    await database.query('ALTER TABLE change ADD CONSTRAINT change_is_signed CHECK (mac IS NOT NULL) NOT VALID');
    await reopen();
    expect([...(await damagedOf())]).toEqual([[2, 'CHANGE_UNSIGNED']]);
  });
});
