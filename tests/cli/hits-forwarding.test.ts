/** Hits sent to a webhook by the command line. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { programFile } from '../../bench/service/program-file.ts';
import { callsOf, enrolPerson, runService, samplesOf, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { startReceiver, withStatus, type ReceivedMessage, type TestReceiver } from '../webhooks/receiver.ts';
import { ridgewatch, type CommandRun } from './command.ts';

let cluster: TestCluster;
let running: RunningService;
let receiver: TestReceiver;
const folder = temporaryDirectory();
const keyFile = join(folder, 'webhook.pem');
const caFile = join(folder, 'ca.pem');
let owners = 0;
const calls = callsOf(() => running);
const at = () => ['--address', `127.0.0.1:${running.service.grpcPort}`];
const search = () => calls.identify(samplesOf(1, 1));

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  await enrolPerson(running, 1);
  receiver = await startReceiver();
  writeFileSync(caFile, receiver.ca);
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = withStatus(204);
});
afterAll(async () => {
  await receiver.close();
  await running.stop();
  await cluster.stop();
});

/** A client of the owner that has acknowledged the hits so far, and then there are two more. */
interface Owner {
  readonly name: string;
  readonly hits: (...args: string[]) => Promise<CommandRun>;
  /** `hits forward` to the receiver. */
  readonly forward: (...args: string[]) => Promise<CommandRun>;
  readonly start: () => ChildProcess;
}

async function ownerOfTwoHits(): Promise<Owner> {
  const name = `owner-${++owners}`;
  const token = join(folder, `${name}.token`);
  const added = ['add', name, '--agency', 'agency', '--role', 'contributor', '--all-galleries'];
  expect(await ridgewatch(['client', ...added, '--token-out', token, ...at()])).toMatchObject({ code: 0 });
  const connection = () => [...at(), '--token-file', token];
  const hits = (...args: string[]) => ridgewatch(['hits', ...args, ...connection()]);
  const way = ['forward', receiver.url, '--signing-key', keyFile, '--receiver-ca', caFile, '--private-network'];
  await hits('watch', '--once', '--ack');
  await search();
  await search();
  return {
    name,
    hits,
    forward: (...args) => hits(...way, ...args),
    start: () =>
      spawn(process.execPath, [programFile, 'hits', ...way, ...connection()], {
        cwd: resolve(import.meta.dirname, '../..'),
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
  };
}

/** Exit code and reason of a failed command with --json. */
const failureOf = ({ code, stderr }: CommandRun) => {
  const { error } = JSON.parse(stderr) as { error: { reason: string } };
  return [code, error.reason];
};
const idsOf = (messages: readonly ReceivedMessage[]) => messages.map(({ headers }) => headers['webhook-id']);
const printed = ({ stdout }: CommandRun) =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { hit_id: string; time: string });

it('delivers each hit in order, signed, once a receiver that failed takes it, and none twice', async () => {
  const { hits, forward } = await ownerOfTwoHits();
  const expected = printed(await hits('watch', '--once', '--json'));
  receiver.answer = (answer) => {
    receiver.answer = withStatus(204);
    withStatus(503)(answer);
  };
  expect(await forward('--once', '--json')).toEqual({ code: 0, stdout: '{"delivered":2}\n', stderr: '' });
  const ids = expected.map(({ hit_id }) => hit_id);
  expect(idsOf(receiver.received)).toEqual([ids[0], ...ids]);
  const { stdout } = await ridgewatch(['hits', 'webhook-key', keyFile, '--json']);
  const { key, pem } = JSON.parse(stdout) as { key: string; pem: string };
  expect(key).toMatch(/^whpk_.{44}$/);
  for (const { headers, body } of receiver.received) {
    expect(headers['content-type']).toBe('application/cloudevents+json');
    const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    const signature = Buffer.from(String(headers['webhook-signature']).replace('v1a,', ''), 'base64');
    expect(verify(null, Buffer.from(content), createPublicKey(pem), signature)).toBe(true);
    expect(Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp']))).toBeLessThan(60);
  }
  const events = receiver.received.slice(1).map(({ body }) => JSON.parse(body) as object);
  const attributes = { specversion: '1.0', type: 'ridgewatch.v1.hit', source: '/ridgewatch/hits' };
  expect(events).toEqual(
    expected.map((data) => ({
      ...{ ...attributes, id: data.hit_id, datacontenttype: 'application/json', data },
      time: new Date(data.time).toISOString(),
    })),
  );
  expect(await forward('--once')).toEqual({ code: 0, stdout: 'Delivered 0 hits.\n', stderr: '' });
  expect(receiver.received).toHaveLength(3);
});

it('sends again, with the same id, what was under way when it was killed', async () => {
  const { start, forward } = await ownerOfTwoHits();
  const { promise, resolve: reached } = Promise.withResolvers<void>();
  receiver.answer = () => reached();
  const forwarding = start();
  await promise;
  const ended = once(forwarding, 'exit');
  forwarding.kill('SIGKILL');
  await ended;
  receiver.answer = withStatus(204);
  expect(await forward('--once')).toMatchObject({ code: 0, stdout: 'Delivered 2 hits.\n' });
  const [lost, again, next] = idsOf(receiver.received);
  expect(again).toBe(lost);
  expect(next).not.toBe(lost);
  expect(receiver.received).toHaveLength(3);
});

it('ends where the receiver wants no more, and when it gives up; the hits come again', async () => {
  const { hits, forward } = await ownerOfTwoHits();
  receiver.answer = withStatus(410);
  expect(failureOf(await forward('--json'))).toEqual([1, 'WEBHOOK_GONE']);
  receiver.answer = withStatus(500);
  expect(failureOf(await forward('--json', '--give-up', '0.0001'))).toEqual([1, 'WEBHOOK_UNDELIVERED']);
  expect(printed(await hits('watch', '--once', '--json'))).toHaveLength(2);
});

it('sends nothing more once its client is disabled', async () => {
  const { name, forward } = await ownerOfTwoHits();
  receiver.answer = (answer) => {
    const disabled = ridgewatch(['client', 'disable', name, '--reason', 'test', '--yes', ...at()]);
    void disabled.then(() => withStatus(500)(answer));
  };
  expect((await forward()).code).not.toBe(0);
  expect(receiver.received).toHaveLength(1);
});

it('refuses receivers that are not https, or in a private network, before it sends anything', async () => {
  const { hits } = await ownerOfTwoHits();
  const forward = (url: string) => hits('forward', url, '--signing-key', keyFile, '--once', '--json');
  for (const url of [receiver.url.replace('https', 'http'), receiver.url])
    expect(failureOf(await forward(url))).toEqual([2, 'WEBHOOK_URL_REFUSED']);
  expect(receiver.received).toEqual([]);
});
