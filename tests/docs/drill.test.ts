/**
 * The drill of docs/operating.md, run line by line as printed there, with other ports and folders and a single backup.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import getPort from 'get-port';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolPerson, runService, type RunningService } from '../api/running-service.ts';
import { temporaryDirectory } from '../cluster.ts';
import { pages, root, shellLines } from './pages.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the drill of docs/operating.md', () => {
  const [dataDir, safe, place] = [temporaryDirectory(), temporaryDirectory(), temporaryDirectory()];
  let running: RunningService;
  let restored: ChildProcess | undefined;
  let lines: string[];

  beforeAll(async () => {
    running = await runService(undefined, { RIDGEWATCH_DATA_DIR: dataDir, RIDGEWATCH_DEMO: 'never' });
    for (const person of [1, 2, 3]) await enrolPerson(running, person);
    const [grpcPort, httpPort] = [await getPort(), await getPort()];
    const text = pages.find(({ name }) => name === 'docs/operating.md')?.text ?? '';
    const [, drill = ''] = text.split('**The drill.**');
    lines = shellLines({ name: '', text: drill.split('**Restoring in earnest.**')[0] ?? '' })
      .filter((line) => line.includes('ridgewatch '))
      .map((line) =>
        line
          .replaceAll('/backups/', `${place}/`)
          .replaceAll('/safe/keys.json', join(safe, 'keys.json'))
          .replaceAll('/tmp/drill', join(place, 'restored'))
          .replaceAll('50152', String(grpcPort))
          .replaceAll('9152', String(httpPort))
          .replace(/(^|\s)ridgewatch /, `$1${join(root, 'src/cli/ridgewatch.sh')} `),
      );
    copyFileSync(join(dataDir, 'keys.json'), join(safe, 'keys.json'));
  });
  afterAll(async () => {
    if (restored?.exitCode === null) {
      const ended = once(restored, 'exit');
      restored.kill();
      await ended;
    }
    await running.stop();
  });

  function start(line: string): ChildProcess {
    // `exec` lets a signal end the program, not the shell.
    const command = line.replace(/^((?:[A-Z_]+=\S+ )*)/, '$1exec ');
    return spawn('/bin/sh', ['-c', command], {
      env: {
        ...process.env,
        RIDGEWATCH_DATA_DIR: dataDir,
        RIDGEWATCH_ADDRESS: `127.0.0.1:${running.service.grpcPort}`,
      },
    });
  }

  async function run(line: string): Promise<Ended> {
    const child = start(line);
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  }

  it('restores the same content from only the backup and the copy of the keys', async () => {
    expect(lines).toHaveLength(5);
    const [hash = '', backup = '', restore = '', serve = '', hashAgain = ''] = lines;
    const before = await run(hash);
    expect(before).toMatchObject({ code: 0, stderr: '' });
    expect(before.stdout).toContain('3 subjects');
    expect(await run(backup)).toMatchObject({ code: 0 });
    expect(await run(restore)).toMatchObject({ code: 0 });
    restored = start(`${serve} --json`);
    let log = '';
    restored.stdout?.on('data', (text: Buffer) => (log += text.toString()));
    await expect.poll(() => log, { timeout: 50_000 }).toContain('"msg":"ready"');
    expect(await run(hashAgain)).toEqual(before);
  });
});
