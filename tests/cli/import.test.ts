import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programFile } from '../../bench/service/program-file.ts';
import { call, callsOf, runService, type RunningService } from '../api/running-service.ts';
import { createPerson } from '../../fixtures/person.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { temporaryDirectory } from '../cluster.ts';
import { fileOf, lineOf, record } from '../transfer/import/record-files.ts';
import { ridgewatch } from './command.ts';

const spoilt = (person: number) => {
  const { samples, ...rest } = record(person);
  return { ...rest, samples: samples.slice(0, 1).map((sample) => ({ ...sample, data: sample.data.subarray(0, 30) })) };
};

describe('ridgewatch import', () => {
  let running: RunningService;
  let dataDir: string;
  const { identify } = callsOf(() => running);
  const probeOf = (person: number) => demoSamples(createPerson(0x1a907, person), 1);

  beforeAll(async () => {
    dataDir = temporaryDirectory();
    running = await runService(undefined, { RIDGEWATCH_DATA_DIR: dataDir, RIDGEWATCH_DEMO: 'never' });
  });
  afterAll(() => running.stop());

  it('enrols subjects that a running service finds, and reports refused records', async () => {
    const file = fileOf('watchlist.ndjson', Buffer.concat([record(1), spoilt(2), record(3)].map(lineOf)));
    const report = join(temporaryDirectory(), 'refused.ndjson');
    const args = ['import', file, '--data-dir', dataDir, '--workers', '1'];
    const first = await ridgewatch([...args, '--report', report, '--json']);
    expect(first).toMatchObject({ code: 4, stderr: '' });
    expect(JSON.parse(first.stdout)).toMatchObject({ records: 3, enrolled: 2, references: 6, refused: 1 });
    expect(JSON.parse(first.stdout)).toMatchObject({ new_gallery_count: 1, new_galleries: ['watchlist'] });
    expect(
      readFileSync(report, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([
      { record: 2, reason: 'TRUNCATED', field: 'samples[0].data', external_id: 'person-2', contributor: 'agency' },
    ]);
    await expect
      .poll(() => call(running.operations, running.operations.getStatus.bind(running.operations), {}))
      .toMatchObject({ subjectCount: 2 });
    const { candidates } = await identify(probeOf(3));
    expect(candidates).toMatchObject([{ rank: 1 }]);

    expect(await ridgewatch([...args, '--report', report])).toMatchObject({
      code: 2,
      stderr: `${report} already exists.\n`,
    });
    const again = await ridgewatch(args);
    expect(again.code).toBe(4);
    expect(again.stdout).toContain('0 subjects enrolled with 0 references, 2 enrolled before, 1 refused');
    expect(again.stdout).toContain('person-2');
    expect(again.stdout + again.stderr).not.toContain('belonged');
    const built = await ridgewatch(['index', 'build', '--graph', '--data-dir', dataDir, '--workers', '1', '--json']);
    expect(JSON.parse(built.stdout)).toMatchObject({ references: 6, reused: 6, graphs: 0 });

    const exported = join(temporaryDirectory(), 'exported.ndjson');
    const out = await ridgewatch(['export', exported, '--gallery', 'watchlist', '--data-dir', dataDir]);
    expect(out).toMatchObject({ code: 0, stdout: expect.stringContaining('2 subjects with 6 references') as string });
    const ids = readFileSync(exported, 'utf8').matchAll(/"external_id":"([^"]*)"/g);
    expect([...ids].map(([, id]) => id)).toEqual(['person-1', 'person-3']);
    expect(await ridgewatch(['export', exported, '--data-dir', dataDir])).toMatchObject({
      code: 2,
      stderr: `${exported} already exists.\n`,
    });
  });

  it('names new galleries: a mistyped name hides subjects', async () => {
    const lines = [record(11, { galleries: ['wachtlist', 'mian'] }), record(12, { galleries: ['wachtlist'] })];
    const file = fileOf('more.ndjson', Buffer.concat(lines.map(lineOf)));
    const { code, stdout, stderr } = await ridgewatch([
      'import',
      file,
      '--data-dir',
      temporaryDirectory(),
      '--workers',
      '1',
    ]);
    const sentence = 'No subject belonged to these galleries before: mian, wachtlist.';
    expect(code).toBe(0);
    expect(stderr).toContain(sentence);
    expect(stdout).toContain(sentence);
  });

  it('names the fault of a file that it cannot read', async () => {
    const unknown = await ridgewatch(['import', 'people.csv', '--data-dir', dataDir]);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('.ndjson') as string });
    const missing = await ridgewatch(['import', 'nowhere.ndjson', '--data-dir', dataDir]);
    expect(missing).toMatchObject({ code: 2, stderr: 'The file nowhere.ndjson cannot be read.\n' });
    for (const place of ['nowhere.ndjson', dataDir, '/dev/zero', '/dev/null']) {
      const { code, stdout, stderr } = await ridgewatch(['import', place, '--data-dir', dataDir, '--json']);
      const { error } = JSON.parse(stdout + stderr) as { error: object };
      expect([code, error]).toEqual([2, expect.objectContaining({ reason: 'IMPORT_FILE_UNREADABLE' })]);
    }
  });

  it('resumes after a kill at any moment', async () => {
    const people = 300;
    const samples = Array.from({ length: 10 }, (_, i) => record(i).samples);
    const requests = Array.from({ length: people }, (_, i) => ({
      ...record(0),
      ...named(i),
      samples: samples[i % 10],
    }));
    const file = fileOf('many.ndjson', Buffer.concat(requests.map(lineOf)));
    const directory = temporaryDirectory();
    const args = ['import', file, '--data-dir', directory, '--workers', '1', '--json'];
    const child = spawn(process.execPath, [programFile, ...args], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    // Its database is there before the first record.
    await expect.poll(() => existsSync(join(directory, 'index')), { timeout: 30_000, interval: 5 }).toBe(true);
    child.kill('SIGKILL');
    await ended;
    const { code, stdout } = await ridgewatch(args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ records: people, enrolled: people, references: 3 * people });
  });
});

function named(i: number) {
  const { data } = record(0);
  return { data: data && { ...data, externalId: `many-${i}` } };
}
