import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { programFile } from '../../bench/service/program-file.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';

const root = resolve(import.meta.dirname, '../..');
/** Raises the requested kind of error. */
const MISTAKES = `process.on('message', ({ mistake, data }) => {
  if (mistake === 'rejection') void Promise.reject(new Error(data));
  if (mistake === 'exception') setImmediate(() => { throw new TypeError(data); });
  if (mistake === 'no error') setImmediate(() => { throw data; });
});`;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());

it.each(['rejection', 'exception', 'no error'])(
  'logs an error that reaches no handler without data, and stops the service in order: %s',
  async (mistake) => {
    const service = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(MISTAKES)}`, programFile, 'serve'],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        env: {
          ...process.env,
          DATABASE_URL: await cluster.createDatabase(),
          RIDGEWATCH_DATA_DIR: temporaryDirectory(),
          RIDGEWATCH_GRPC_PORT: '0',
          RIDGEWATCH_HTTP_PORT: '0',
          RIDGEWATCH_WORKERS: '1',
        },
      },
    );
    let said = '';
    const ready = new Promise<void>((done) => {
      service.stderr?.on('data', (text: Buffer) => {
        said += text.toString();
        if (said.includes('is ready')) done();
      });
    });
    let log = '';
    service.stdout?.on('data', (text: Buffer) => (log += text.toString()));
    const exited = once(service, 'exit');
    await Promise.race([ready, exited]);
    service.send({ mistake, data: 'the data of Kowalski' });
    // The channel would keep the process alive until its last resort ends it.
    service.disconnect();
    expect((await exited)[0]).toBe(1);

    const lines = log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ level }) => level === 'fatal')).toHaveLength(1);
    expect(lines.at(-1)?.msg).toBe('stopped');
    expect(log + said).not.toContain('Kowalski');
  },
);
