/** A service on a store with damaged rows: it serves everything else and names the damaged references. */
import { join } from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { KeyRing } from '../../src/security/key-ring.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
/** Each damages one reference, by SQL with its id as $1 and the id of another reference of the same subject as $2. */
const KINDS: readonly (readonly [string, string, string])[] = [
  [
    'a flipped bit',
    'SEALED_DATA_DAMAGED',
    'UPDATE reference SET template = set_bit(template, 300, 1 - get_bit(template, 300)) WHERE reference_id = $1',
  ],
  [
    'a template that is cut off',
    'SEALED_DATA_DAMAGED',
    'UPDATE reference SET template = substr(template, 1, 20) WHERE reference_id = $1',
  ],
  ['an empty template', 'SEALED_DATA_DAMAGED', "UPDATE reference SET template = '' WHERE reference_id = $1"],
  [
    "another one's template",
    'SEALED_DATA_DAMAGED',
    'UPDATE reference SET template = (SELECT template FROM reference WHERE reference_id = $2) WHERE reference_id = $1',
  ],
  ['another key', 'SEALED_DATA_DAMAGED', "UPDATE reference SET key_id = 'other' WHERE reference_id = $1"],
  ['a key that never was', 'KEY_UNKNOWN', "UPDATE reference SET key_id = 'never' WHERE reference_id = $1"],
  [
    'a plain template',
    'SEALED_DATA_DAMAGED',
    "UPDATE reference SET key_id = NULL, template = '\\x464d52' WHERE reference_id = $1",
  ],
  ['an unknown format', 'ROW_INVALID', "UPDATE reference SET stored_format = 'nonsense' WHERE reference_id = $1"],
  ['a position that no finger has', 'ROW_INVALID', 'UPDATE reference SET finger_position = 77 WHERE reference_id = $1'],
  ['an unknown modality', 'ROW_INVALID', "UPDATE reference SET modality = 'iris' WHERE reference_id = $1"],
  ['a time without end', 'ROW_INVALID', "UPDATE reference SET capture_time = 'infinity' WHERE reference_id = $1"],
];

interface Person {
  readonly subjectId: string;
  readonly references: readonly string[];
}
/** A service on a store in which several subjects have one damaged reference each. */
interface Damaged {
  readonly url: string;
  readonly database: pg.Client;
  readonly running: RunningService;
  readonly people: readonly Person[];
  /** A subject whose references are all damaged, and a subject whose own row is damaged. */
  readonly wholly: Person;
  readonly unreadable: Person;
  stop(): Promise<void>;
}

async function enrolOne(running: RunningService, person: number): Promise<Person> {
  const { subject } = await enrolPerson(running, person);
  return { subjectId: subject?.subjectId ?? '', references: (subject?.references ?? []).map((one) => one.referenceId) };
}

async function startDamaged(): Promise<Damaged> {
  const url = await cluster.createDatabase();
  const before = await runService(url);
  const people: Person[] = [];
  for (const person of KINDS.keys()) people.push(await enrolOne(before, person));
  const wholly = await enrolOne(before, 50);
  const unreadable = await enrolOne(before, 51);
  await before.stop();
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  const { rows } = await database.query<{ conname: string }>(
    "SELECT conname FROM pg_constraint WHERE conrelid = 'reference'::regclass AND contype IN ('c', 'f')",
  );
  for (const { conname } of rows)
    await database.query(`ALTER TABLE reference DROP CONSTRAINT ${pg.escapeIdentifier(conname)}`);
  // A key that is in the key file, but did not seal the row.
  const file = join(dataDirectoryOf(url), 'keys.json');
  const ring = KeyRing.parse(readFileSync(file, 'utf8'), file).withKey('other');
  await database.query("INSERT INTO template_key VALUES ('other', $1)", [ring.proof('other')]);
  writeFileSync(file, ring.serialise());
  for (const [i, [, , sql]] of KINDS.entries()) {
    const { references } = people[i];
    await database.query(sql, sql.includes('$2') ? [references[0], references[1]] : [references[0]]);
  }
  await database.query('UPDATE reference SET template = $2 WHERE subject_id = $1', [
    wholly.subjectId,
    Buffer.alloc(64),
  ]);
  await database.query("UPDATE subject SET expire_time = 'infinity' WHERE subject_id = $1", [unreadable.subjectId]);
  const running = await runService(url);
  const stop = async () => {
    await database.end();
    await running.stop();
  };
  return { url, database, running, people, wholly, unreadable, stop };
}

let damaged: Damaged;
const { identify, verify, enroll, update, status } = callsOf(() => damaged.running);
const damagedIds = async () => (await status()).damagedReferences.map((one) => one.referenceId);

beforeAll(async () => {
  cluster = await startTestCluster();
  damaged = await startDamaged();
});
afterAll(async () => {
  await damaged.stop();
  await cluster.stop();
});

describe('a service on a store with damaged rows', () => {
  it('starts, and names the damaged references in status, log and metrics', async () => {
    const { people, wholly, unreadable, running } = damaged;
    const { damagedReferenceCount, damagedReferences, readiness } = await status();
    expect(readiness).toBe(2);
    const reasons = new Map(damagedReferences.map((one) => [one.referenceId, one.reason]));
    for (const [i, [kind, reason]] of KINDS.entries())
      expect([kind, reasons.get(people[i].references[0])]).toEqual([kind, reason]);
    for (const id of wholly.references) expect(reasons.get(id)).toBe('SEALED_DATA_DAMAGED');
    for (const id of unreadable.references) expect(reasons.get(id)).toBe('SUBJECT_DAMAGED');
    // Other tests add damaged references, and repair one.
    expect(damagedReferenceCount).toBe(damagedReferences.length);
    expect(damagedReferenceCount).toBeGreaterThanOrEqual(KINDS.length + 6);
    const metrics = await metricsOf(running);
    expect(metrics).toContain(`ridgewatch_damaged_references ${damagedReferenceCount}`);
    for (const [id] of reasons) {
      expect(running.log.filter((line) => line.includes(`"damaged_reference":"${id}"`))).toHaveLength(1);
      expect(metrics).toContain(`ridgewatch_damaged_reference{reference="${id}"} 1`);
    }
    // The log names references only, never subjects.
    for (const { subjectId } of [...people, wholly, unreadable]) expect(running.log.join()).not.toContain(subjectId);
  });

  it('reports the number of damaged references in readiness and status', async () => {
    const { running } = damaged;
    const { damagedReferenceCount, detail } = await status();
    const sentence = `${damagedReferenceCount} stored references are damaged`;
    expect(detail).toContain(sentence);
    const ready = await fetch(`http://127.0.0.1:${running.service.httpPort}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ readiness: 'ready', damaged_references: damagedReferenceCount });
    const shown = await ridgewatch(['status', '--address', `127.0.0.1:${running.service.grpcPort}`]);
    expect([shown.code, shown.stdout.split('\n')[0]]).toEqual([0, expect.stringContaining(sentence)]);
  });

  it('returns with every search how many references of its scope could not be compared', async () => {
    const { running, wholly, unreadable } = damaged;
    const before = await enroll(samplesOf(70, 0), { data: { ...enrolData(), galleries: ['whole'] } });
    const elsewhere = await identify(samplesOf(70, 1), { galleries: ['whole'] });
    expect(elsewhere.candidates[0]?.subjectId).toBe(before.subject?.subjectId);
    // The galleries of a subject with an unreadable row are unknown.
    expect(elsewhere.damagedReferenceCount).toBe(unreadable.references.length);
    const everywhere = await identify(samplesOf(70, 1));
    expect(everywhere.damagedReferenceCount).toBeGreaterThanOrEqual(
      KINDS.length + wholly.references.length + unreadable.references.length,
    );
    expect(running.log.some((line) => line.includes(`"damaged_references":${unreadable.references.length},`))).toBe(
      true,
    );
  });

  it('finds every subject by its undamaged references', async () => {
    for (const [i, { subjectId }] of damaged.people.entries())
      expect((await identify(samplesOf(i, 1))).candidates[0]?.subjectId).toBe(subjectId);
  });

  it('refuses only those verifications that need a damaged reference', async () => {
    const { people, wholly, unreadable } = damaged;
    const [{ subjectId }] = people;
    const claim = (value: string) => ({ $case: 'subjectId', value }) as const;
    const [first, second] = samplesOf(0, 1);
    expect(await refused(verify([first], claim(subjectId)))).toMatchObject({ reason: 'REFERENCE_DAMAGED', code: 9 });
    expect((await verify([second], claim(subjectId))).scores).toHaveLength(1);
    for (const { subjectId: id } of [wholly, unreadable])
      expect(await refused(verify([second], claim(id)))).toMatchObject({ reason: 'REFERENCE_DAMAGED' });
  });

  it('returns the undamaged references of a subject, and accepts an update that replaces all of them', async () => {
    const { running, database, unreadable } = damaged;
    const { subjectId, references } = await enrolOne(running, 52);
    await database.query("UPDATE reference SET template = '\\x00' WHERE reference_id = $1", [references[0]]);
    const { gallery } = running;
    const get = (id: string) => call(gallery, gallery.getSubject.bind(gallery), { subjectId: id });
    const { subject } = await get(subjectId);
    expect(subject?.damagedReferenceIds).toEqual([references[0]]);
    expect(subject?.references).toHaveLength(2);
    expect(await damagedIds()).toContain(references[0]);
    expect(await refused(get(unreadable.subjectId))).toMatchObject({ reason: 'SUBJECT_DAMAGED', code: 9 });
    const samples = samplesOf(52, 0);
    const order = { subjectId, expectedVersion: 0, data: undefined, samples, updateMask: ['samples'] };
    expect((await update(order)).subject?.damagedReferenceIds).toEqual([]);
    expect(await damagedIds()).not.toContain(references[0]);
    expect((await verify([samplesOf(52, 1)[0]], { $case: 'subjectId', value: subjectId })).scores).toHaveLength(1);
  });

  it('keeps a reference in memory that is damaged later, even when its subject is updated', async () => {
    const { database } = damaged;
    const { subject } = await enroll(samplesOf(60, 0));
    const { subjectId = '', references = [] } = subject ?? {};
    await database.query("UPDATE reference SET template = '\\x00' WHERE subject_id = $1", [subjectId]);
    const data = { ...enrolData(), galleries: ['other'] };
    await update({ subjectId, expectedVersion: 0, data, samples: [], updateMask: ['data.galleries'] });
    expect((await identify(samplesOf(60, 1), { galleries: ['other'] })).candidates[0]?.subjectId).toBe(subjectId);
    expect(await damagedIds()).toEqual(expect.arrayContaining(references.map((one) => one.referenceId)));
  });

  it('is rotated, exported and checked despite the damage, and repaired by store check --expunge', async () => {
    const own = await startDamaged();
    onTestFinished(() => own.stop());
    const { url, database, people, wholly, unreadable, running } = own;
    const { status, identify } = callsOf(() => running);
    const at = (file: string) => join(temporaryDirectory(), file);
    const env = { DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) };
    const rotated = await ridgewatch(['keys', 'rotate', '--json'], env);
    expect(rotated.code).toBe(4);
    expect((JSON.parse(rotated.stdout) as { damaged: unknown[] }).damaged.length).toBeGreaterThan(KINDS.length - 5);
    const exported = await ridgewatch(['export', at('all.ndjson'), '--json'], env);
    expect(exported.code).toBe(4);
    expect(exported.stderr).toContain(people[0].references[0]);
    const backup = await ridgewatch(['backup', at('all.rwb'), '--json'], env);
    expect(backup.code).toBe(4);
    expect(backup.stderr).toMatch(/\d+ references in the backup are damaged, as in the store/);
    const { damaged: inBackup } = JSON.parse(backup.stdout) as { damaged: { referenceId: string }[] };
    expect(inBackup.map((one) => one.referenceId).sort()).toEqual(
      (await status()).damagedReferences.map((one) => one.referenceId),
    );
    const checked = await ridgewatch(['store', 'check', '--json'], env);
    expect(checked.code).toBe(7);
    const found = JSON.parse(checked.stdout) as { damaged: { reference_id: string }[] };
    expect(found.damaged.map((one) => one.reference_id).sort()).toEqual(
      (await status()).damagedReferences.map((one) => one.referenceId),
    );
    expect((await ridgewatch(['store', 'check', '--expunge'], env)).code).toBe(2);
    // More than a tenth of the store: needs an explicit --expunge-at-most.
    const many = await ridgewatch(['store', 'check', '--expunge', '--yes', '--json'], env);
    expect([many.code, many.stderr]).toEqual([2, expect.stringContaining('EXPUNGE_LIMIT')]);
    const order = ['store', 'check', '--expunge', '--yes', '--expunge-at-most', '2', '--json'];
    const mended = await ridgewatch(order, env);
    expect([mended.code, mended.stderr]).toEqual([0, '']);
    const { repaired } = JSON.parse(mended.stdout) as { repaired: { subject_id: string; outcome: string }[] };
    const outcomes = new Map(repaired.map((one) => [one.subject_id, one.outcome]));
    expect(outcomes.get(people[0].subjectId)).toBe('references removed');
    expect(outcomes.get(wholly.subjectId)).toBe('expunged');
    expect(outcomes.get(unreadable.subjectId)).toBe('expunged');
    const { rows } = await database.query<{ n: string }>('SELECT count(*) AS n FROM receipt');
    expect(Number(rows[0].n)).toBe(repaired.length);
    await expect.poll(async () => (await status()).damagedReferenceCount, { timeout: 10_000 }).toBe(0);
    expect((await identify(samplesOf(0, 1))).candidates[0]?.subjectId).toBe(people[0].subjectId);
    expect((await ridgewatch(['store', 'check'], env)).code).toBe(0);
  });
});

function enrolData() {
  return {
    contributor: 'agency',
    externalId: '',
    galleries: [],
    caveats: [],
    provenance: Provenance.SYNTHETIC,
    ...UNLIMITED,
  };
}
