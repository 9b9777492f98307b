import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programFile } from '../../bench/service/program-file.ts';
import { createPerson } from '../../fixtures/person.ts';
import { oddsOf } from '../../src/cli/candidate-table.ts';
import { groupFiles, readTemplateFile } from '../../src/cli/template-files.ts';
import { DEMO_SEED } from '../../src/service/demo-gallery.ts';
import { runService, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

let cluster: TestCluster;
let running: RunningService;
let folder: string;

const at = () => ({ RIDGEWATCH_ADDRESS: `127.0.0.1:${running.service.grpcPort}` });
const json = async (args: readonly string[]) => {
  const { stdout } = await ridgewatch([...args, '--json'], at());
  return JSON.parse(stdout) as Record<string, unknown>;
};

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), {
    RIDGEWATCH_DEMO: 'always',
    RIDGEWATCH_DEMO_SUBJECTS: '30',
  });
  folder = temporaryDirectory();
  for (const index of [1, 2, 3]) {
    const person = createPerson(DEMO_SEED, 5000 + index);
    mkdirSync(join(folder, `people/p-${index}`), { recursive: true });
    for (const position of [2, 7] as const)
      writeFileSync(join(folder, `people/p-${index}/${position}.iso`), person.fingerRecord(position, 0));
    writeFileSync(join(folder, `p-${index}-again.iso`), person.fingerRecord(2, 1, 0.6));
    writeFileSync(join(folder, `p-${index}-again-left.iso`), person.fingerRecord(7, 1, 0.6));
    writeFileSync(join(folder, `people/p-${index}/face.f32`), Buffer.from(person.faceEmbedding(0).buffer));
  }
  writeFileSync(join(folder, 'people/broken.iso'), Buffer.from('FMR\0 20\0 no record'));
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

describe('ridgewatch', () => {
  it('demo shows a traveller who is enrolled and one who is not', async () => {
    const { code, stdout } = await ridgewatch(['demo'], at());
    expect(code).toBe(0);
    expect(stdout).toContain('The mate is candidate 1 of 1.');
    expect(stdout).toContain('No candidate reached the threshold.');
    expect(stdout).toContain('for a trained examiner to look at, not an identification');
    const { travellers } = await json(['demo']);
    expect(travellers).toMatchObject([{ mated: true, response: { subjects_searched: 30 } }, { mated: false }]);
  });

  it('enrols a folder once and reports refused records', async () => {
    const enroll = [
      'enroll',
      join(folder, 'people'),
      '--contributor',
      'agency-a',
      '--gallery',
      'cli',
      '--model',
      'synthetic-512',
    ];
    const first = await ridgewatch([...enroll, '--json'], at());
    const report = JSON.parse(first.stdout) as {
      enrolled: unknown[];
      refused: { external_id: string; reason: string; metadata: Record<string, string> }[];
    };
    expect([first.code, report.enrolled.length]).toEqual([4, 3]);
    expect(report.refused).toMatchObject([{ external_id: 'broken', reason: expect.any(String) as string }]);
    expect(await json(enroll)).toMatchObject({ enrolled: report.enrolled });
    const status = (await json(['status'])) as { galleries: { gallery: string; subject_count: number }[] };
    expect(status.galleries).toContainEqual({ gallery: 'cli', subject_count: 3 });
    const { stdout } = await ridgewatch(['status'], at());
    expect(stdout).toContain('indexed searches: target hit rate 99.90 %');
    // Such a gallery is too small for a measurement.
    expect(stdout).toMatch(/ fingers +│? *0\.75 % +│? *0\.50 % +│? *not measured/);
  });

  it('identifies, verifies and expunges', async () => {
    const probe = [join(folder, 'p-2-again.iso'), join(folder, 'p-2-again-left.iso')];
    // A separate record, since it will be expunged.
    cpSync(join(folder, 'people/p-2'), join(folder, 'leaving/p-2'), { recursive: true });
    const enroll = ['enroll', join(folder, 'leaving'), '--contributor', 'agency-b', '--gallery', 'leaving'];
    expect(await json([...enroll, '--model', 'synthetic-512'])).toMatchObject({ enrolled: [{}], refused: [] });
    const identify = ['identify', ...probe, '--gallery', 'leaving'];
    const found = (await json(identify)) as { candidates: { subject_id: string; rank: number }[] };
    expect(found.candidates).toHaveLength(1);
    const subject = found.candidates[0]?.subject_id ?? '';
    expect((await ridgewatch([...identify, '--exit-code'], at())).code).toBe(3);
    expect(await json(['verify', ...probe, '--subject', subject])).toMatchObject({
      scores: [{ sample_index: 0 }, { sample_index: 1 }],
    });
    expect(
      (await ridgewatch(['verify', probe[0] ?? '', '--against', join(folder, 'people/p-2/2.iso')], at())).stdout,
    ).toContain('R index');
    expect(await ridgewatch(['expunge', subject, '--reason', 'test'], at())).toMatchObject({ code: 2, stdout: '' });
    expect(await json(['expunge', subject, '--reason', 'test', '--yes'])).toMatchObject({ references_removed: 3 });
    expect(await json(identify)).toMatchObject({ band: 'BAND_NO_CANDIDATE' });
    // An empty gallery must not look like a search without a match.
    for (const options of [[], ['--json'], ['--exit-code']])
      expect((await ridgewatch([...identify, ...options], at())).code).toBe(8);
    const again = await ridgewatch(['expunge', subject, '--reason', 'test', '--yes', '--json'], at());
    expect([again.code, again.stdout, JSON.parse(again.stderr)]).toMatchObject([
      2,
      '',
      { error: { code: 'NOT_FOUND', reason: 'SUBJECT_NOT_FOUND' } },
    ]);
  });

  it('prints warnings about sent files, with their place', async () => {
    const odd = temporaryDirectory();
    const padded = (name: string, capture: number) => {
      const record = createPerson(DEMO_SEED, 5001).fingerRecord(2, capture);
      writeFileSync(join(odd, name), Buffer.concat([record, Buffer.alloc(9)]));
      return `Warning: ${join(odd, name)}: Zeros follow after the end of the record; they are left out (byte ${record.length}).\n`;
    };
    const [one, other] = [padded('odd-1.iso', 1), padded('odd-2.iso', 0)];
    const [odd1, odd2] = [join(odd, 'odd-1.iso'), join(odd, 'odd-2.iso')];
    const identify = ['identify', join(folder, 'p-1-again.iso'), odd1];
    expect(await ridgewatch(identify, at())).toMatchObject({ code: 0, stderr: one });
    const verify = ['verify', odd1, '--against', odd2];
    expect(await ridgewatch(verify, at())).toMatchObject({ code: 0, stderr: one + other });
    for (const args of [identify, verify])
      expect(await ridgewatch([...args, '--json'], at())).toMatchObject({
        stderr: '',
        stdout: expect.stringContaining('PADDED') as string,
      });
  });

  it('compares two files without a service', async () => {
    const [a, b] = [join(folder, 'people/p-1/2.iso'), join(folder, 'p-1-again.iso')];
    const same = JSON.parse((await ridgewatch(['compare', a, b, '--json'])).stdout) as {
      score: number;
      estimated_fmr: number;
    };
    const other = JSON.parse((await ridgewatch(['compare', a, join(folder, 'p-3-again.iso'), '--json'])).stdout) as {
      score: number;
      estimated_fmr: number;
    };
    expect(same.score).toBeGreaterThan(other.score);
    expect(same.estimated_fmr).toBeLessThan(1e-3);
    const face = join(folder, 'people/p-1/face.f32');
    expect((await ridgewatch(['compare', face, face, '--model', 'any'])).stdout).toContain('Score');
    expect(await ridgewatch(['compare', a, face, '--model', 'm'])).toMatchObject({
      code: 2,
      stderr: 'A finger and a face cannot be compared.\n',
    });
  });

  it.each([
    [['identify', '/no/such/file.iso'], 2, 'cannot be read'],
    [['identify', 'package.json'], 2, 'neither a finger minutiae record'],
    [['enroll', '/no/such/folder'], 2, 'cannot be read'],
    [['compare', 'LICENSE', 'LICENSE'], 2, 'neither a finger minutiae record'],
    [['status', '--address', '127.0.0.1:1', '--timeout', '5'], 1, 'No service answers at 127.0.0.1:1'],
    [['identify'], 2, "missing required argument 'files'"],
    [['identify', 'package.json', '--first-hit', '--exact'], 2, "'--first-hit' cannot be used with option '--exact'"],
    [['fly'], 2, "unknown command 'fly'"],
    [['status', '--timeout', 'soon'], 2, "'--timeout <seconds>' argument 'soon' is invalid"],
    [['index', 'build', '--workers', '1e1'], 2, '--workers: RIDGEWATCH_WORKERS is not a whole number'],
    [['enroll', 'package.json'], 2, 'cannot be read'],
    [['compare', '.', '.'], 2, 'cannot be read'],
    [['import', '/no/such.ndjson'], 2, 'cannot be read'],
    [['import', '.'], 2, 'cannot be read'],
  ])('%j ends with %i and a sentence', async (args, code, sentence) => {
    const run = await ridgewatch(args);
    expect(run.code).toBe(code);
    expect(run.stderr).toContain(sentence);
    expect(run.stderr).not.toContain('    at ');
  });

  it('serve reports an obstacle in one sentence', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((listening) => blocker.once('listening', listening));
    const port = String((blocker.address() as AddressInfo).port);
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const cases: [string[], NodeJS.ProcessEnv, string][] = [
      [['--http-port', port], {}, `HTTP port ${port} on 127.0.0.1 is in use`],
      [
        ['--http-port', '0', '--grpc-port', port, '--data-dir', temporaryDirectory()],
        {},
        `gRPC port ${port} on 127.0.0.1 is in use`,
      ],
      [['--http-port', '0', '--data-dir', join(file, 'data')], {}, 'cannot be written to'],
      [
        ['--http-port', '0'],
        { DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/x' },
        'The database at 127.0.0.1:1/x (DATABASE_URL) cannot be used: nothing listens there.',
      ],
      [['--workers', 'many'], {}, 'RIDGEWATCH_WORKERS is not a whole number.'],
      [
        ['--http-port', '0'],
        { RIDGEWATCH_GRPC_HOST: '0.0.0.0' },
        'Without TLS the service listens on the loopback address only',
      ],
    ];
    for (const [args, env, sentence] of cases) {
      const run = await ridgewatch(['serve', ...args], { RIDGEWATCH_LOG_LEVEL: 'silent', ...env });
      expect([run.code, run.stdout]).toEqual([1, '']);
      expect(run.stderr).toContain(sentence);
      expect(run.stderr.trim().split('\n')).toHaveLength(1);
      expect(run.stderr).not.toContain('secret');
    }
    blocker.close();
  });

  it('rejects a flat folder with ambiguous file names', async () => {
    const flat = join(folder, 'flat');
    mkdirSync(flat);
    for (const index of [1, 2])
      for (const position of [2, 7] as const)
        writeFileSync(
          join(flat, `${100 + index}_${position}_1.iso`),
          createPerson(77, index).fingerRecord(position, 0),
        );
    const refused = await ridgewatch(['enroll', flat, '--json'], at());
    expect([refused.code, refused.stdout]).toEqual([2, '']);
    const { error } = JSON.parse(refused.stderr) as { error: { reason: string; message: string } };
    expect(error.reason).toBe('GROUPING_AMBIGUOUS');
    expect(error.message).toContain('4 people, or 2');
    const suggested = /--group-by "([^"]+)"/.exec(error.message)?.[1] ?? '';
    const grouped = ['enroll', flat, '--contributor', 'flat', '--gallery', 'first', '--group-by', suggested];
    expect(await json(grouped)).toMatchObject({ enrolled_count: 2, refused_count: 0 });
    const separate = ['enroll', flat, '--contributor', 'apart', '--gallery', 'apart', '--each-file-a-person'];
    expect(await json(separate)).toMatchObject({ enrolled_count: 4, refused_count: 0 });

    // The same subjects into a second gallery: they are not enrolled twice. A repetition changes nothing.
    const second = grouped.map((argument) => (argument === 'first' ? 'second' : argument));
    const { enrolled } = (await json(grouped)) as { enrolled: { subject_id: string }[] };
    const ids = enrolled.map(({ subject_id }) => subject_id);
    expect(await json(second)).toMatchObject({
      enrolled: ids.map((subject_id) => ({ subject_id, added_to_galleries: true })),
    });
    const again = (await json(second)) as { enrolled: object[] };
    expect(again.enrolled.map((one) => 'added_to_galleries' in one)).toEqual([false, false]);
    const { galleries } = (await json(['status'])) as { galleries: object[] };
    expect(galleries).toContainEqual({ gallery: 'first', subject_count: 2 });
    expect(galleries).toContainEqual({ gallery: 'second', subject_count: 2 });

    // Different caveats are refused, unlike a different gallery.
    const other = await ridgewatch([...second, '--caveat', 'RESTRICTED', '--json'], at());
    expect(other.code).toBe(4);
    expect(other.stdout).toContain('other caveats');
  });

  it('continues when a reader closes its end, and reports other write errors', async () => {
    const piped = (command: string) =>
      new Promise<{ stderr: string; stdout: string }>((done) =>
        execFile('/bin/bash', ['-c', command], { cwd: resolve(import.meta.dirname, '../..') }, (_, stdout, stderr) =>
          done({ stdout, stderr }),
        ),
      );
    const program = `'${process.execPath}' ${programFile}`;
    for (const args of ['--help', 'identify --help']) {
      const { stdout, stderr } = await piped(`${program} ${args} | head -1; echo "\${PIPESTATUS[0]}"`);
      expect([stdout.split('\n')[0]?.startsWith('Usage:'), stderr]).toEqual([true, '']);
      expect(['0', '141']).toContain(stdout.split('\n')[1]);
    }
    const closed = await piped(`${program} --help >&-; ${program} fly 2>&-; true`);
    expect(closed.stderr).not.toContain('    at ');
    if (existsSync('/dev/full')) {
      const full = await piped(`${program} --help >/dev/full; echo "$?"`);
      expect([full.stdout.trim(), full.stderr]).toEqual(['1', 'The answer cannot be written (ENOSPC).\n']);
    }
  });

  it('lists commands, exit codes and examples in its help', async () => {
    const { stdout, code } = await ridgewatch(['--help']);
    expect(code).toBe(0);
    for (const word of [
      'serve',
      'demo',
      'enroll',
      'identify',
      'verify',
      'compare',
      'status',
      'expunge',
      'Exit codes:',
      'Examples:',
    ])
      expect(stdout).toContain(word);
  });
});

describe('template files', () => {
  it('are grouped by sub-folder, by name, or by a part of the name', () => {
    const names = (groups: ReturnType<typeof groupFiles>) =>
      groups.map(({ externalId, files }) => [externalId, files.length]);
    expect(names(groupFiles(join(folder, 'people')))).toEqual([
      ['broken', 1],
      ['p-1', 3],
      ['p-2', 3],
      ['p-3', 3],
    ]);
    expect(names(groupFiles(folder, /^(p-\d)/))).toContainEqual(['p-1', 2]);
    expect(() => groupFiles(folder, /^(q)/)).toThrow('no first group');
  });

  it('take a position from the command line only if they state none', () => {
    const read = readTemplateFile(join(folder, 'p-1-again.iso'), { model: undefined, position: 9 });
    expect(read).toMatchObject({ modality: 'finger', format: 'iso-19794-2-2005', fingerPosition: 0 });
    expect(() => readTemplateFile(join(folder, 'people/p-1/face.f32'), { model: undefined, position: 0 })).toThrow(
      '--model',
    );
  });
});

it('formats odds in words', () => {
  expect([0, -1, -3.5, -6.3, -9, -13, -40].map(oddsOf)).toEqual([
    '1 in 1',
    '1 in 10',
    '1 in 3,162',
    '1 in 2.0 million',
    '1 in 1.0 billion',
    '1 in 10 trillion',
    '1 in 10^40',
  ]);
});
