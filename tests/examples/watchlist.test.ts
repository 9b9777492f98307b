/** docs/examples: a watchlist imported into the store beside a running service. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOf, runService, type RunningService } from '../api/running-service.ts';
import { temporaryDirectory } from '../cluster.ts';
import { root, run } from './run-example.ts';

describe('the example of a watchlist', () => {
  let running: RunningService;
  const dataDir = temporaryDirectory();
  const { status } = callsOf(() => running);
  const people = 'docs/examples/templates/people';
  const load = (...more: string[]) =>
    run(process.execPath, [
      'docs/examples/watchlist/import-watchlist.ts',
      ...['--command', join(root, 'src/cli/ridgewatch.sh')],
      ...['--data-dir', dataDir, '--address', `127.0.0.1:${running.service.grpcPort}`],
      ...more,
    ]);

  beforeAll(async () => {
    running = await runService(undefined, { RIDGEWATCH_DATA_DIR: dataDir, RIDGEWATCH_DEMO: 'never' });
  });
  afterAll(() => running.stop());

  it('enrols its subjects once, and publishes an index that the service loads', async () => {
    const first = await load(people);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain('3 records: 3 subjects enrolled, 0 enrolled before, 0 refused.');
    expect(first.stdout).toContain('No subject belonged to these galleries before: watchlist.');
    const name = /Index (\S+) of \d+ subjects with \d+ references/.exec(first.stdout)?.[1];
    await expect.poll(status, { timeout: 20_000 }).toMatchObject({ indexName: name });
    const again = await load(people);
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain('0 subjects enrolled, 3 enrolled before');
  });

  it('names the refused record, and enrols the others', async () => {
    const folder = temporaryDirectory();
    cpSync(join(root, people), folder, { recursive: true });
    writeFileSync(join(folder, 'person-3/left-index.iso'), 'FMR\0 20\0');
    const { code, stdout, stderr } = await load('--gallery', 'spoilt', '--contributor', 'spoilt', folder);
    expect(code).toBe(1);
    expect(stdout).toContain('3 records: 2 subjects enrolled, 0 enrolled before, 1 refused.');
    expect(stderr).toMatch(/1 records were refused.*\n {2}record \d: TRUNCATED \(samples\[\d\]\.data\)\n$/);
  });

  it('ends with a sentence when there is nothing to import', async () => {
    expect(await load('nowhere')).toMatchObject({
      code: 1,
      stderr: 'Name a folder with a sub-folder for each subject.\n',
    });
    expect((await load(join(people, 'person-2'))).stderr).toContain('has no sub-folders');
  });
});
