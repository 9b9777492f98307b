/** A service on a store in whose database changes and clients were forged. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { tokenFingerprint, makeToken } from '../../src/access/tokens.ts';
import { OperationsClient } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  metricsOf,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;
let database: pg.Client;
let env: { DATABASE_URL: string; RIDGEWATCH_DATA_DIR: string };
const { identify, expunge, status } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  const url = await cluster.createDatabase();
  env = { DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) };
  running = await runService(url);
  database = new pg.Client({ connectionString: url });
  await database.connect();
  await database.query("SET session_replication_role = 'replica'");
  return async () => {
    await database.end();
    await running.stop();
  };
});

const firstFor = async (person: number) => (await identify(samplesOf(person, 1))).candidates[0]?.subjectId;
const enrolOne = async (person: number) => (await enrolPerson(running, person)).subject?.subjectId ?? '';

/** As a genuine expunge looks, but for the MAC, and with the notification of one. */
async function forgeExpunge(subjectId: string): Promise<void> {
  await database.query('UPDATE change_counter SET seq = seq + 1');
  await database.query(
    `INSERT INTO change (seq, kind, subject_id, subject_version, reason, at, mac, mac_key_id)
     SELECT s.seq, 'expunge', $1, 2, 'by request', now(), c.mac, c.mac_key_id
     FROM change_counter s, (SELECT * FROM change ORDER BY seq DESC LIMIT 1) c`,
    [subjectId],
  );
  await database.query("SELECT pg_notify('ridgewatch_change', seq::text) FROM change_counter");
}

it('does not follow a forged expunge, names it, and follows what comes after', async () => {
  const [wanted, other] = [await enrolOne(1), await enrolOne(2)];
  await forgeExpunge(wanted);
  await expect.poll(async () => (await status()).damagedChangeCount, { timeout: 10_000 }).toBe(1);
  expect(await firstFor(1)).toBe(wanted);
  const line = running.log.find((one) => one.includes('CHANGE_MAC_MISMATCH'));
  expect(line).toBeDefined();
  expect(running.log.join()).not.toContain(wanted);
  expect(await metricsOf(running)).toContain('ridgewatch_damaged_changes 1');
  // A genuine one is followed, and so is what follows it.
  await expunge(other);
  const later = await enrolOne(3);
  expect([await firstFor(3), await firstFor(2)]).toEqual([later, undefined]);
  expect((await status()).damagedReferenceCount).toBe(0);
  // Nor at a start.
  await running.stop();
  running = await runService(env.DATABASE_URL);
  expect([await firstFor(1), await firstFor(3)]).toEqual([wanted, later]);

  const check = (...options: string[]) => ridgewatch(['store', 'check', '--json', ...options], env);
  const found = await check();
  expect([found.code, JSON.parse(found.stdout)]).toMatchObject([
    7,
    { damaged: [], damaged_changes: [{ reason: 'CHANGE_MAC_MISMATCH', count: 1 }] },
  ]);
  const repaired = await check('--repair');
  expect([repaired.code, JSON.parse(repaired.stdout)]).toMatchObject([0, { damaged_changes: [], changes_replaced: 1 }]);
  expect((await check()).code).toBe(0);
  expect(await firstFor(1)).toBe(wanted);
});

it('finds a person whose rows were deleted behind a forged expunge, names the loss, and no repair expunges it', async () => {
  const wanted = await enrolOne(1);
  for (const table of ['subject', 'reference', 'gallery_membership'])
    await database.query(`DELETE FROM ${table} WHERE subject_id = $1`, [wanted]);
  await forgeExpunge(wanted);
  await expect.poll(async () => (await status()).damagedChangeCount, { timeout: 10_000 }).toBe(1);
  expect(await firstFor(1)).toBe(wanted);
  await expect.poll(async () => (await status()).damagedReferenceCount, { timeout: 10_000 }).toBeGreaterThan(0);
  const repaired = await ridgewatch(['store', 'check', '--json', '--repair'], env);
  expect([repaired.code, JSON.parse(repaired.stdout)]).toMatchObject([
    7,
    { damaged: [{ subject_id: wanted, reason: 'SUBJECT_DAMAGED' }] },
  ]);
});

it('lets no forged client in, names it to administrators, and records it', async () => {
  const clients = registeredClients(() => running);
  const token = makeToken();
  const statusBy = (shown: string) => {
    const operations = clients.clientOf(OperationsClient, shown);
    return call(operations, operations.getStatus.bind(operations), {});
  };
  const own = await clients.add({ clientId: 'own' });
  await database.query(
    `INSERT INTO client (client_id, kind, agency, roles, purposes, clearance, create_time, created_by, mac, mac_key_id)
     SELECT 'forged', kind, agency, '{administrator,operator}', purposes, 3, now(), 'local', mac, mac_key_id FROM client LIMIT 1`,
  );
  await database.query(
    `INSERT INTO client_credential (credential_id, client_id, kind, fingerprint, create_time, created_by)
     VALUES (gen_random_uuid(), 'forged', 'token', decode($1, 'hex'), now(), 'local')`,
    [tokenFingerprint(token)],
  );
  await database.query("UPDATE client_version SET version = version + 1; SELECT pg_notify('ridgewatch_client', '')");
  await expect.poll(async () => (await status()).damagedClientCount, { timeout: 10_000 }).toBe(1);
  expect(await refused(statusBy(token))).toMatchObject({ reason: 'CREDENTIALS_UNKNOWN' });
  const at = ['--address', `127.0.0.1:${running.service.grpcPort}`, '--token-file', running.tokenFile];
  expect((await ridgewatch(['client', 'list', ...at])).stdout).toMatch(/forged .*damaged: CLIENT_MAC_MISMATCH/);
  expect(await metricsOf(running)).toContain('ridgewatch_damaged_clients 1');
  const line = running.log.find((one) => one.includes('CLIENT_MAC_MISMATCH')) ?? '';
  expect(line).toContain('"client_count":1');
  expect(line).not.toContain('forged');
  const check = await ridgewatch(['store', 'check', '--json'], env);
  expect([check.code, JSON.parse(check.stdout)]).toMatchObject([
    7,
    { damaged_clients: [{ client_id: 'forged', reason: 'CLIENT_MAC_MISMATCH' }] },
  ]);
  const shown = await ridgewatch(['audit', 'show', '--json'], env);
  expect(shown.stdout).toContain('CLIENT_MAC_MISMATCH');

  // A genuine one that is given another role is not let in any more; disabling both ends it.
  expect(await refused(statusBy(own.token))).toMatchObject({ reason: 'ACTION_NOT_PERMITTED' });
  await database.query("UPDATE client SET roles = '{operator}' WHERE client_id = 'own'");
  await database.query("UPDATE client_version SET version = version + 1; SELECT pg_notify('ridgewatch_client', '')");
  await expect.poll(async () => (await status()).damagedClientCount, { timeout: 10_000 }).toBe(2);
  expect(await refused(statusBy(own.token))).toMatchObject({ reason: 'CREDENTIALS_UNKNOWN' });
  for (const id of ['forged', 'own'])
    expect((await ridgewatch(['client', 'disable', id, '--reason', 'forged', '--yes', ...at])).code).toBe(0);
  expect((await status()).damagedClientCount).toBe(0);
  clients.close();
});

it('starts although its local client was changed, and a recovery makes it anew', async () => {
  await running.stop();
  await database.query("UPDATE client SET clearance = 0; UPDATE agency SET code = 'OTHER'");
  running = await runService(env.DATABASE_URL);
  expect(await refused(status())).toMatchObject({ reason: 'CREDENTIALS_UNKNOWN' });
  const file = `${env.RIDGEWATCH_DATA_DIR}/recovered.token`;
  expect(await ridgewatch(['client', 'recover', 'local', '--token-out', file], env)).toMatchObject({ code: 0 });
  const at = ['--address', `127.0.0.1:${running.service.grpcPort}`, '--token-file', file];
  await expect.poll(async () => (await ridgewatch(['client', 'list', ...at])).code, { timeout: 20_000 }).toBe(0);
});
