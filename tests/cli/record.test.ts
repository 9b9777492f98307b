/** The life of a record on the command line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runService, samplesOf, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

let cluster: TestCluster;
let running: RunningService;
const folder = temporaryDirectory();
const token = join(folder, 'owner.token');

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  const address = ['--address', `127.0.0.1:${running.service.grpcPort}`];
  const owner = ['client', 'add', 'owner', '--agency', 'agency-o', '--role', 'contributor', '--all-galleries'];
  expect(await ridgewatch([...owner, '--token-out', token, ...address])).toMatchObject({ code: 0 });
  mkdirSync(join(folder, 'people/p-1'), { recursive: true });
  writeFileSync(join(folder, 'people/p-1/2.iso'), samplesOf(1, 0)[0]?.data ?? '');
  writeFileSync(join(folder, 'again.iso'), samplesOf(1, 1)[0]?.data ?? '');
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const as = (...args: string[]) =>
  ridgewatch([...args, '--address', `127.0.0.1:${running.service.grpcPort}`, '--token-file', token]);
const json = async (...args: string[]) => {
  const { code, stdout } = await as(...args, '--json');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
};
const search = () =>
  ridgewatch([
    ...['identify', join(folder, 'again.iso'), '--gallery', 'life'],
    ...['--address', `127.0.0.1:${running.service.grpcPort}`],
  ]);

it('enrols, shows, limits, suspends and resumes a record', async () => {
  const enroll = ['enroll', join(folder, 'people'), '--contributor', 'agency-o', '--gallery', 'life'];
  const limits = ['--review', '2901-01-31', '--handling', 'inquiry-check', '--contact', 'duty desk'];
  const { enrolled } = (await json(...enroll, ...limits)) as { enrolled: { subject_id: string }[] };
  const id = enrolled[0]?.subject_id ?? '';
  expect(await json('show', id)).toMatchObject({
    data: { review_time: '2901-01-31T00:00:00.000Z', handling: { contact: 'duty desk' } },
  });
  expect((await search()).stdout).toContain('Candidate 1, its owner asks for: inquiry-check; call duty desk.');
  // The same templates with the same limits are the same record; other limits are not silently left out.
  expect(await json(...enroll, ...limits)).toMatchObject({ refused_count: 0 });
  expect((await as(...enroll, '--review', 'never')).stdout).toContain('ridgewatch update');

  expect((await as('update', id, '--suspended', '--minor-until', '2901-02-03')).stdout).toContain('no search finds it');
  expect((await search()).stdout).toContain('Nothing was searched');
  const changed = await json('update', id, '--resumed', '--minor-until', 'never', '--handling', 'nothing');
  expect(changed).toMatchObject({ subject: { version: 3 } });
  const { stdout } = await as('show', id);
  for (const gone of ['suspended', 'minor', 'at a hit']) expect(stdout).not.toContain(gone);
  expect(stdout).toContain('2901-01-31');
  expect((await search()).stdout).toContain(id);
  expect((await as('update', id, '--review', '2001-01-01')).stderr).toContain('REVIEW_OVERDUE');
  expect((await search()).stdout).toContain('Nothing was searched');
}, 60_000);

it.each([
  [['update', 'x'], 'Name what is to be changed'],
  [['update', 'x', '--suspended', '--resumed'], 'exclude each other'],
  [['update', 'x', '--contact', 'desk'], 'need --handling'],
  [['update', 'x', '--review', 'soon'], 'It must be a time'],
  [['enroll', '/no/such/folder', '--instructions', 'x'], 'need --handling'],
  [['show', 'x'], 'must be a UUID'],
])('refuses %s', async (args, sentence) => {
  const { code, stderr } = await as(...args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
});
