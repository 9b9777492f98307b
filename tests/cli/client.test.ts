/** Clients on the command line, and what commands on the store leave in the audit. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOCAL_CLIENT } from '../../src/access/local-client.ts';
import { dataDirectoryOf, runService, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
const folder = temporaryDirectory();
const at = () => ['--address', `127.0.0.1:${running.service.grpcPort}`];
const store = () => ({ DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) });

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const client = (...args: string[]) => ridgewatch(['client', ...args, ...at()]);
const as = (file: string) => ridgewatch(['status', ...at(), '--token-file', file]);

describe('ridgewatch client', () => {
  it('adds, shows, rotates and disables a client', async () => {
    const token = join(folder, 'monitor.token');
    const added = await client('add', 'monitor', '--agency', 'agency-m', '--role', 'monitor', '--token-out', token);
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(added.stdout).not.toContain(readFileSync(token, 'utf8').trim());
    expect(statSync(token).mode & 0o777).toBe(0o600);
    expect(await as(token)).toMatchObject({ code: 0 });
    expect((await client('list')).stdout).toMatch(/monitor .*agency-m/);
    const shown = JSON.parse((await client('show', 'monitor', '--json')).stdout) as object;
    expect(shown).toMatchObject({
      client: { client_id: 'monitor', roles: ['ROLE_MONITOR'] },
      created_by: LOCAL_CLIENT,
    });
    const second = join(folder, 'second.token');
    expect(await client('rotate', 'monitor', '--token-out', second)).toMatchObject({ code: 0 });
    expect((await as(token)).stderr).toContain('has expired');
    expect(await as(second)).toMatchObject({ code: 0 });
    expect(await client('disable', 'monitor', '--reason', 'a test', '--yes')).toMatchObject({ code: 0 });
    expect((await as(second)).stderr).toContain('has been disabled');
  });

  it('names what is wrong before it registers anything', async () => {
    const taken = join(folder, 'taken.token');
    const one = ['--agency', 'agency-n', '--role', 'monitor'];
    expect(await client('add', 'taken', ...one, '--token-out', taken)).toMatchObject({ code: 0 });
    const again = await client('add', 'other', ...one, '--token-out', taken, '--json');
    expect(JSON.parse(again.stderr)).toMatchObject({ error: { reason: 'OUTPUT_EXISTS' } });
    expect(await client('add', 'other', '--agency', 'agency-n', '--role', 'king')).toMatchObject({ code: 2 });
    expect((await client('show', 'other')).stderr).toContain('no client with this id');
  });

  it('sends no token to another machine unencrypted, and none of its own at all', async () => {
    const elsewhere = ['status', '--address', '192.0.2.1:50151', '--timeout', '0.2', '--json'];
    const named = await ridgewatch([...elsewhere, '--token-file', running.tokenFile]);
    expect(JSON.parse(named.stderr)).toMatchObject({ error: { reason: 'TOKEN_NEEDS_TLS' } });
    const missing = await ridgewatch(['status', ...at(), '--token-file', join(folder, 'nowhere'), '--json']);
    expect(JSON.parse(missing.stderr)).toMatchObject({ error: { reason: 'TOKEN_UNREADABLE' } });
  });

  it('recovers access to a store whose administrators have lost their credentials, and records it', async () => {
    const token = join(folder, 'recovered.token');
    const recover = (id: string, file: string) => ridgewatch(['client', 'recover', id, '--token-out', file], store());
    expect(await recover(LOCAL_CLIENT, token)).toMatchObject({ code: 0 });
    await expect.poll(async () => (await as(token)).code, { timeout: 10_000 }).toBe(0);
    const nobody = join(folder, 'nobody.token');
    expect((await recover('nobody', nobody)).stderr).toContain('no client with this id');
    expect(existsSync(nobody)).toBe(false);
    const shown = await ridgewatch(['audit', 'show', '--json'], store());
    expect(shown.stdout).toContain('ridgewatch client recover');
  });
});

it('an export is recorded before it begins, and when it has ended', async () => {
  const file = join(folder, 'all.ndjson');
  expect(await ridgewatch(['export', file], store())).toMatchObject({ code: 0 });
  const shown = await ridgewatch(['audit', 'show', '--json'], store());
  expect(shown.stdout.match(/"method":\s*"ridgewatch export"/g)).toHaveLength(2);
  expect(await ridgewatch(['audit', 'verify'], store())).toMatchObject({ code: 0 });
});
