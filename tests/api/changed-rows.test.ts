/** A service on a store in whose database templates were moved between people. */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let running: RunningService;
let database: pg.Client;
let env: { DATABASE_URL: string; RIDGEWATCH_DATA_DIR: string };
const { identify, verify, enroll, update, expunge, status } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  const url = await cluster.createDatabase();
  env = { DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) };
  running = await runService(url);
  database = new pg.Client({ connectionString: url });
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await running.stop();
  await cluster.stop();
});

async function restart(): Promise<void> {
  await running.stop();
  running = await runService(env.DATABASE_URL);
}

const damaged = async () =>
  new Map((await status()).damagedReferences.map(({ referenceId, reason }) => [referenceId, reason]));
const firstFor = async (person: number) => (await identify(samplesOf(person, 1))).candidates[0]?.subjectId;

async function enrolOne(person: number): Promise<{ id: string; references: string[] }> {
  const { subject } = await enrolPerson(running, person);
  return { id: subject?.subjectId ?? '', references: subject?.references.map((one) => one.referenceId) ?? [] };
}

it('never finds a person by a template that was moved, and names what was moved until it is enrolled again', async () => {
  const [wanted, innocent, other] = [await enrolOne(1), await enrolOne(2), await enrolOne(3)];
  await database.query('UPDATE reference SET subject_id = $1, ordinal = ordinal + 9 WHERE subject_id = $2', [
    innocent.id,
    wanted.id,
  ]);
  // What is in memory was right when it was read.
  const order = { subjectId: innocent.id, expectedVersion: 0, data: DATA, samples: [], updateMask: ['data.caveats'] };
  expect(await refused(update(order))).toMatchObject({ reason: 'ROW_MAC_MISMATCH', code: 9 });
  expect(await firstFor(1)).toBe(wanted.id);
  await restart();
  expect([await firstFor(1), await firstFor(2)]).not.toContain(innocent.id);
  expect([await firstFor(1), await firstFor(3)]).not.toContain(wanted.id);
  expect(await firstFor(3)).toBe(other.id);
  const found = await damaged();
  for (const id of [...wanted.references, ...innocent.references])
    expect([id, found.get(id)]).toEqual([id, 'ROW_MAC_MISMATCH']);
  for (const id of other.references) expect(found.has(id)).toBe(false);
  for (const id of wanted.references)
    expect(running.log.filter((line) => line.includes(`"damaged_reference":"${id}"`))).toHaveLength(1);
  expect(running.log.join()).not.toContain(wanted.id);
  const { gallery } = running;
  const get = (subjectId: string) => call(gallery, gallery.getSubject.bind(gallery), { subjectId });
  expect(await refused(get(innocent.id))).toMatchObject({ reason: 'ROW_MAC_MISMATCH', code: 9 });
  const claim = { $case: 'subjectId', value: innocent.id } as const;
  expect(await refused(verify([samplesOf(2, 1)[0]], claim))).toMatchObject({ reason: 'REFERENCE_DAMAGED' });

  const repaired = await ridgewatch(['store', 'check', '--repair', '--json'], env);
  expect(repaired.code).toBe(7);
  const { damaged: listed } = JSON.parse(repaired.stdout) as { damaged: { subject_id: string; reason: string }[] };
  expect(new Set(listed.map((one) => `${one.subject_id} ${one.reason}`))).toEqual(
    new Set([wanted.id, innocent.id].map((id) => `${id} ROW_MAC_MISMATCH`)),
  );
  const removed = await ridgewatch(['store', 'check', '--expunge', '--yes', '--expunge-at-most', '2'], env);
  expect([removed.code, removed.stderr]).toEqual([0, '']);
  await expect.poll(async () => (await damaged()).size, { timeout: 10_000 }).toBe(0);
  const again = await enrolOne(1);
  expect(await firstFor(1)).toBe(again.id);
  expect((await ridgewatch(['store', 'check'], env)).code).toBe(0);
});

it('keeps what it has in memory when a change leads it to rows changed in the database', async () => {
  const { id, references } = await enrolOne(10);
  await database.query("UPDATE subject SET caveats = '{X}' WHERE subject_id = $1", [id]);
  await database.query(
    `WITH n AS (UPDATE change_counter SET seq = seq + 1 RETURNING seq)
     INSERT INTO change (seq, kind, subject_id, subject_version, at, mac) SELECT seq, 'upsert', $1, 1, now(), '' FROM n`,
    [id],
  );
  await enroll(samplesOf(11, 0));
  expect(await firstFor(10)).toBe(id);
  expect([...(await damaged()).keys()]).toEqual(expect.arrayContaining(references));
  // It cannot be told whose it is: the command expunges it, no call does.
  expect(await refused(expunge(id))).toMatchObject({ reason: 'ROW_MAC_MISMATCH' });
  await ridgewatch(['store', 'check', '--expunge', '--yes', '--expunge-at-most', '1'], env);
  await expect.poll(() => firstFor(10), { timeout: 10_000 }).not.toBe(id);
});

it('finds no subject as an index has it, where it was changed since and the change was undone in the database', async () => {
  const [changed, damagedSince, plain] = [await enrolOne(20), await enrolOne(21), await enrolOne(22)];
  expect((await ridgewatch(['index', 'build', '--publish'], env)).stderr).toBe('');
  const suspend = ({ id: subjectId }: { id: string }) =>
    update({
      ...{ subjectId, expectedVersion: 0, data: { ...DATA, suspended: true }, samples: [] },
      updateMask: ['data.suspended'],
    });
  await suspend(changed);
  await suspend(damagedSince);
  await database.query('UPDATE subject SET suspended = false WHERE subject_id = $1', [changed.id]);
  await database.query("UPDATE subject SET suspended = false, review_time = 'infinity' WHERE subject_id = $1", [
    damagedSince.id,
  ]);
  await restart();
  expect(running.log.some((line) => line.includes('the gallery was loaded from the index'))).toBe(true);
  expect([await firstFor(20), await firstFor(21)]).not.toContain(changed.id);
  expect(await firstFor(21)).not.toBe(damagedSince.id);
  expect(await firstFor(22)).toBe(plain.id);
  const found = await damaged();
  for (const id of changed.references) expect(found.get(id)).toBe('ROW_MAC_MISMATCH');
  for (const id of damagedSince.references) expect(found.get(id)).toBe('SUBJECT_DAMAGED');
  expect((await identify(samplesOf(22, 1))).damagedReferenceCount).toBeGreaterThanOrEqual(6);
  await ridgewatch(['store', 'check', '--expunge', '--yes', '--expunge-at-most', '2'], env);
  await expect.poll(async () => (await damaged()).size, { timeout: 10_000 }).toBe(0);
});

const DATA = {
  contributor: 'agency',
  externalId: '',
  galleries: [],
  caveats: ['X-Y'],
  provenance: Provenance.SYNTHETIC,
  ...UNLIMITED,
};
