import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOf, enrolPerson, runService, samplesOf, type RunningService } from '../api/running-service.ts';
import { temporaryDirectory } from '../cluster.ts';
import { ridgewatch } from './command.ts';

/** Embedded: the commands share the database of the service that has started it. */
let running: RunningService;
let dataDir: string;
const calls = callsOf(() => running);
const start = () => runService(undefined, { RIDGEWATCH_DATA_DIR: dataDir, RIDGEWATCH_DEMO: 'never' });

interface Listed {
  readonly keys: readonly { readonly id: string; readonly current: boolean; readonly templates: number }[];
}

async function keys(...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await ridgewatch(['keys', ...args, '--data-dir', dataDir, '--json']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

beforeAll(async () => {
  dataDir = temporaryDirectory();
  running = await start();
});
afterAll(() => running.stop());

describe('ridgewatch keys', () => {
  it('rotates under a running service, which continues and restarts without the old key', async () => {
    const { subject } = await enrolPerson(running, 1);
    const before = ((await keys('list')) as Listed).keys;
    expect(before).toEqual([{ id: expect.any(String) as string, current: true, templates: 3 }]);
    expect(await keys('rotate')).toMatchObject({ encrypted: 3 });
    await enrolPerson(running, 2);
    const after = ((await keys('list')) as Listed).keys;
    expect(after).toEqual([
      { id: before[0].id, current: false, templates: 0 },
      { id: expect.not.stringMatching(before[0].id) as string, current: true, templates: 6 },
    ]);
    const told = () => running.log.filter((line) => line.includes('encrypts with another key from now on'));
    await expect.poll(told, { timeout: 10_000 }).toHaveLength(1);
    expect(JSON.parse(told()[0])).toMatchObject({ level: 'info', key_id: after[1].id });
    const unasked = await ridgewatch(['keys', 'forget', before[0].id, '--data-dir', dataDir]);
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('the backups that were made') as string });
    expect(((await keys('list')) as Listed).keys).toHaveLength(2);
    expect(await keys('forget', before[0].id, '--yes')).toEqual({ forgotten: before[0].id });
    await running.stop();
    running = await start();
    const { candidates } = await calls.identify(samplesOf(1, 1));
    expect(candidates.map(({ subjectId }) => subjectId)).toEqual([subject?.subjectId]);
  });

  it('names the obstacle', async () => {
    const nowhere = await ridgewatch(['keys', 'list', '--data-dir', join(dataDir, 'none')]);
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no database in') as string });
    const [{ id }] = ((await keys('list')) as Listed).keys;
    const needed = await ridgewatch(['keys', 'forget', id, '--data-dir', dataDir]);
    expect(needed).toMatchObject({ code: 1, stderr: `Key ${id} is the current one: rotate first.\n` });
    // An unknown key needs no confirmation.
    const unknown = await ridgewatch(['keys', 'forget', 'never-was', '--data-dir', dataDir, '--json']);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(JSON.parse(unknown.stderr)).toMatchObject({ error: { code: 'NOT_FOUND', reason: 'KEY_NOT_FOUND' } });
    const written = await ridgewatch(['keys', 'create', join(dataDir, 'keys.json')]);
    expect(written).toMatchObject({ code: 2, stderr: expect.stringContaining('already exists') as string });
  });

  it('creates a key file that the service accepts', async () => {
    const file = join(temporaryDirectory(), 'keys.json');
    expect((await ridgewatch(['keys', 'create', file])).stdout).toContain('Keep a copy elsewhere');
    expect(Object.keys((JSON.parse(readFileSync(file, 'utf8')) as { keys: object }).keys)).toHaveLength(1);
    const own = await runService(undefined, {
      RIDGEWATCH_DATA_DIR: temporaryDirectory(),
      RIDGEWATCH_KEY_FILE: file,
      RIDGEWATCH_DEMO: 'never',
    });
    await own.stop();
    expect(own.log.join('')).not.toContain('made a first key');
  });
});
