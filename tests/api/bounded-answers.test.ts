import { once } from 'node:events';
import { openSession } from './raw-call.ts';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EnrollStreamResponse, type Subject } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentifyStreamRequest,
  IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { readStatus } from '../../src/api/status.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  enrolRequest,
  identifyRequest,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';
import { field } from '../contract/wire-messages.ts';

let cluster: TestCluster;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

/** Sum of all refusal counters. */
async function refusedCount(): Promise<number> {
  const text = await metricsOf(running);
  const figures = [...text.matchAll(/^ridgewatch_refused_total\{.*\} (\d+)$/gm)];
  return figures.reduce((sum, [, figure]) => sum + Number(figure), 0);
}

describe('streams', () => {
  it('answer an unreadable search in its place and continue with the next one', async () => {
    const bad = Buffer.concat([field(1, Buffer.concat([field(9, Buffer.from('bad')), field(8, Buffer.from([0xff]))]))]);
    const good = { request: identifyRequest(samplesOf(90, 1), { clientRequestId: 'good' }) };
    const stream = running.identification.makeBidiStreamRequest(
      '/ridgewatch.v1.Identification/IdentifyStream',
      (bytes: Buffer) => bytes,
      (bytes) => IdentifyStreamResponse.decode(bytes),
    );
    const answers = new Map<string, string>();
    stream.on('data', ({ requestId, outcome }: IdentifyStreamResponse) => {
      answers.set(
        requestId,
        outcome?.$case === 'error' ? (readStatus(outcome.value).reason ?? '') : (outcome?.$case ?? ''),
      );
    });
    stream.write(bad);
    stream.write(Buffer.from(IdentifyStreamRequest.encode(good).finish()));
    stream.end();
    await once(stream, 'end');
    expect(Object.fromEntries(answers)).toEqual({ bad: 'REQUEST_UNREADABLE', good: 'response' });
  });

  it('end with an outcome for each enrolled record when the answer is full', async () => {
    const small = await runService(await cluster.createDatabase(), { RIDGEWATCH_MAX_MESSAGE_BYTES: '65536' });
    const { gallery, operations } = small;
    const face = samplesOf(3, 0).slice(2);
    const answer = await new Promise<EnrollStreamResponse>((resolve, reject) => {
      const stream = gallery.enrollStream((error, response) => (error === null ? resolve(response) : reject(error)));
      for (let i = 0; i < 2000; i++) {
        const isBad = i % 10 !== 0;
        stream.write({ record: enrolRequest(isBad ? [] : face, { clientRequestId: `${'r'.repeat(50)}-${i}` }) });
      }
      stream.end();
    });
    const { outcomes, endedEarly, enrolledCount, refusedCount } = answer;
    expect(endedEarly).toBe(true);
    expect(outcomes.length).toBeGreaterThan(100);
    expect(outcomes.length).toBeLessThan(2000);
    expect(EnrollStreamResponse.encode(answer).finish().length).toBeLessThanOrEqual(65_536);
    expect(enrolledCount + refusedCount).toBe(outcomes.length);
    const last = outcomes.at(-1)?.outcome;
    expect(last?.$case === 'error' && readStatus(last.value).reason).toBe('TOO_MANY_OUTCOMES');
    // The gallery holds no subject that the answer does not name.
    const status = await call(operations, operations.getStatus.bind(operations), {});
    expect(status.subjectCount).toBe(enrolledCount);
    await small.stop();
  });

  it('stop reading while the caller takes no answers, and lose none of the answers', async () => {
    const session = openSession(running.service.grpcPort);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/ridgewatch.v1.Identification/IdentifyStream',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...running.headers,
    });
    stream.pause();
    const bad = field(1, field(9, Buffer.alloc(60, 'a')));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bad.length, 1);
    const sent = 1500;
    const before = await refusedCount();
    stream.end(Buffer.alloc(sent * (5 + bad.length), Buffer.concat([head, bad])));
    let [seen, still] = [0, 0];
    while (still < 30) {
      await setTimeout(10);
      const now = (await refusedCount()) - before;
      still = now === seen && now > 0 ? still + 1 : 0;
      seen = now;
    }
    expect(seen).toBeLessThan(sent / 2);

    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    stream.resume();
    await once(stream, 'close');
    session.destroy();
    expect((await refusedCount()) - before).toBe(sent);
    expect(bytes).toBeGreaterThan(sent * 100);
  });
});

describe('a page of subjects', () => {
  it('holds as many subjects as fit; the next page begins after its last one', async () => {
    const small = await runService(await cluster.createDatabase(), { RIDGEWATCH_MAX_MESSAGE_BYTES: '65536' });
    const { gallery } = small;
    const galleries = Array.from({ length: 32 }, (_, i) => `${'g'.repeat(60)}-${i}`);
    const face = samplesOf(3, 0).slice(2);
    const { data } = enrolRequest([]);
    const enrolled: string[] = [];
    for (let i = 0; i < 60; i++) {
      const request = enrolRequest(face, { data: data && { ...data, galleries } });
      const { subject } = await call(gallery, gallery.enroll.bind(gallery), request);
      enrolled.push(subject?.subjectId ?? '');
    }
    const listed: Subject[] = [];
    let pages = 0;
    for (let pageToken = ''; pages === 0 || pageToken !== ''; pages++) {
      const request = { gallery: galleries[0] ?? '', contributor: '', pageSize: 1000, pageToken };
      const page = await call(gallery, gallery.listSubjects.bind(gallery), request);
      listed.push(...page.subjects);
      pageToken = page.nextPageToken;
    }
    expect(pages).toBeGreaterThan(1);
    expect(listed.map(({ subjectId }) => subjectId)).toEqual(enrolled.toSorted());
    await small.stop();
  });
});
