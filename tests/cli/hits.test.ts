/** Hits on the command line, as an agency's operator uses it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { programFile } from '../../bench/service/program-file.ts';
import { callsOf, enrolPerson, runService, samplesOf, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch, type CommandRun } from './command.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
const folder = temporaryDirectory();
let owners = 0;
const calls = callsOf(() => running);
const at = () => ['--address', `127.0.0.1:${running.service.grpcPort}`];

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
  await enrolPerson(running, 1);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

/** A client of the owner, which has acknowledged the hits so far. */
interface Owner {
  readonly hits: (...args: string[]) => Promise<CommandRun>;
  readonly token: string;
  /** Position of the last hit so far. */
  readonly last: number;
}

async function newOwner(): Promise<Owner> {
  const name = `owner-${++owners}`;
  const token = join(folder, `${name}.token`);
  const added = ['add', name, '--agency', 'agency', '--role', 'contributor', '--all-galleries'];
  expect(await ridgewatch(['client', ...added, '--token-out', token, ...at()])).toMatchObject({ code: 0 });
  const hits = (...args: string[]) => ridgewatch(['hits', ...args, ...at(), '--token-file', token]);
  const before = lines((await hits('watch', '--once', '--ack', '--json')).stdout);
  return { hits, token, last: before.at(-1)?.position ?? 0 };
}

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { position: number; band: string; checkpoint_id: string });

it('prints hits, acknowledges them, and prints none twice', async () => {
  const { hits, last } = await newOwner();
  expect(await hits('watch', '--once', '--ack')).toEqual({ code: 0, stdout: '', stderr: '' });
  await calls.identify(samplesOf(1, 1));
  await calls.identify(samplesOf(1, 1));
  const text = await hits('watch', '--once');
  expect(text.stdout).toMatch(
    /^\d+ {2}\S+ {2}subject \S+ {2}strong candidate, false match rate 10\^-\d+\.\d, at gate-1 of local/,
  );
  const json = lines((await hits('watch', '--once', '--json')).stdout);
  expect(json).toMatchObject([
    { position: last + 1, band: 'strong-candidate', checkpoint_id: 'gate-1' },
    { position: last + 2, band: 'strong-candidate' },
  ]);
  expect((await hits('ack', String(last + 1))).stdout).toBe(`Acknowledged up to ${last + 1}.\n`);
  const rest = lines((await hits('watch', '--once', '--ack', '--json')).stdout);
  expect(rest.map(({ position }) => position)).toEqual([last + 2]);
  expect((await hits('watch', '--once')).stdout).toBe('');
  expect(lines((await hits('watch', '--once', '--after', '0', '--json')).stdout)).toHaveLength(last + 2);
});

it('refuses what is no position, and one that no hit has reached', async () => {
  const { hits } = await newOwner();
  expect(await hits('ack', 'x')).toMatchObject({ code: 2 });
  expect((await hits('ack', '99', '--json')).stderr).toContain('POSITION_UNKNOWN');
  expect(await hits('watch', '--after', '99')).toMatchObject({ code: 2 });
});

it('goes on by itself when the service is restarted, and ends with Ctrl-C', async () => {
  const { last, token } = await newOwner();
  const port = running.service.grpcPort;
  const args = ['hits', 'watch', '--json', ...at(), '--token-file', token];
  const watching = spawn(process.execPath, [programFile, ...args], {
    cwd: resolve(import.meta.dirname, '../..'),
  });
  const ended = once(watching, 'exit');
  const printed = createInterface(watching.stdout)[Symbol.asyncIterator]();
  const next = async () => lines((await printed.next()).value as string)[0]?.position;
  await calls.identify(samplesOf(1, 1));
  expect(await next()).toBe(last + 1);
  await running.stop();
  running = await runService(url, { RIDGEWATCH_GRPC_PORT: String(port) });
  await calls.identify(samplesOf(1, 1));
  expect(await next()).toBe(last + 2);
  watching.kill('SIGINT');
  expect((await ended)[0]).toBe(0);
});
