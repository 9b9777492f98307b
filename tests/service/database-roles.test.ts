/** Whole services whose database roles are separated. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UpdateSubjectRequest } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { EnrollRequest } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  enrolRequest,
  runService,
  samplesOf,
  type RunningService,
} from '../api/running-service.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';

let cluster: TestCluster;
let administrator: pg.Client;
let serviceUrl: string;
let ownerUrl: string;

beforeAll(async () => {
  cluster = await startTestCluster();
  const any = await cluster.createDatabase();
  const first = new pg.Client({ connectionString: any });
  await first.connect();
  await first.query("CREATE ROLE owner LOGIN PASSWORD 'p'; CREATE ROLE watch LOGIN PASSWORD 'p'");
  await first.query('CREATE DATABASE store OWNER owner');
  await first.end();
  const url = any.replace(/[^/]*$/, 'store');
  const as = (user: string) => Object.assign(new URL(url), { username: user, password: 'p' }).href;
  [serviceUrl, ownerUrl] = [as('watch'), as('owner')];
  administrator = new pg.Client({ connectionString: url });
  await administrator.connect();
});
afterAll(async () => {
  await administrator.end();
  await cluster.stop();
});

const start = () => runService(serviceUrl, { RIDGEWATCH_DATABASE_OWNER_URL: ownerUrl });

/** Database users of all connections to the store but this one. */
async function users(): Promise<string[]> {
  const sql = `SELECT DISTINCT usename AS name FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY 1`;
  return (await administrator.query<{ name: string }>(sql)).rows.map(({ name }) => name);
}

/** A command on the store; what it printed. */
async function command(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ridgewatch([...args, '--json'], {
    DATABASE_URL: serviceUrl,
    RIDGEWATCH_DATABASE_OWNER_URL: ownerUrl,
    RIDGEWATCH_DATA_DIR: dataDirectoryOf(serviceUrl),
  });
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe('services on separated roles', () => {
  it(
    'do all their work, with the commands beside them, and keep no connection of the owner',
    { timeout: 300_000 },
    async () => {
      let one: RunningService = await start();
      const other = await start();
      const calls = callsOf(() => one);
      expect(await users()).toEqual(['watch']);
      const [kept, gone] = [await enrolPerson(one, 1), await enrolPerson(other, 2)];
      const [subjectId, goneId] = [kept.subject?.subjectId ?? '', gone.subject?.subjectId ?? ''];
      await calls.update(
        UpdateSubjectRequest.fromPartial({
          subjectId,
          data: { galleries: ['main', 'second'] },
          updateMask: ['data.galleries'],
        }),
      );
      await calls.expunge(goneId);
      const found = async (running: RunningService, person: number) =>
        (await callsOf(() => running).identify(samplesOf(person, 1))).candidates.map((one) => one.subjectId);
      await expect.poll(() => found(other, 2)).toEqual([]);
      expect(await found(other, 1)).toEqual([subjectId]);
      const file = join(temporaryDirectory(), 'people.ndjson');
      writeFileSync(file, `${JSON.stringify(EnrollRequest.toJSON(enrolRequest(samplesOf(3, 0))))}\n`);
      expect(await command('import', file)).toMatchObject({ enrolled: 1 });
      expect(await command('keys', 'rotate')).toMatchObject({ encrypted: 6 });
      await command('index', 'build', '--publish', '--address', `127.0.0.1:${one.service.grpcPort}`);
      expect(await command('audit', 'verify')).toMatchObject({ verified: true, faults: [] });
      expect(await command('store', 'check')).toMatchObject({
        database_roles: 'separated',
        excess_rights: [],
        damaged: [],
      });
      expect(await users()).toEqual(['watch']);
      await one.stop();
      one = await start();
      expect(await users()).toEqual(['watch']);
      expect([await found(one, 1), await found(one, 2), (await found(one, 3)).length]).toEqual([[subjectId], [], 1]);
      const lines = [...one.log, ...other.log].map((line) => JSON.parse(line) as { level: string; reason?: string });
      expect(lines.filter(({ reason }) => reason?.startsWith('STORE_'))).toEqual([]);
      await Promise.all([one.stop(), other.stop()]);
    },
  );

  it('are refused, with the setting named, when the owner cannot be reached', async () => {
    const wrong = ownerUrl.replace(':p@', ':s3cret@');
    await expect(runService(serviceUrl, { RIDGEWATCH_DATABASE_OWNER_URL: wrong })).rejects.toMatchObject({
      reason: 'DATABASE_UNREACHABLE',
      message: expect.stringMatching(
        /^The database at [\d.:]+\/store \(RIDGEWATCH_DATABASE_OWNER_URL\) cannot be used/,
      ) as string,
    });
  });
});
