import { status as Code } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReceivedStatus } from '../../src/api/status.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { callsOf, enrolPerson, runService, samplesOf, type RunningService } from './running-service.ts';

/** Two searches may be under way, one may wait. */
const SETTINGS = { RIDGEWATCH_WORKERS: '1', RIDGEWATCH_MAX_QUEUED_SEARCHES: '1' };

let cluster: TestCluster;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), SETTINGS);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const { identify, verify } = callsOf(() => running);

describe('a crowd of searches', () => {
  it('is answered as far as there is room, and the others are told when to come back', async () => {
    const { subject } = await enrolPerson(running, 1);
    const samples = samplesOf(1, 1);
    const crowd = await Promise.allSettled(Array.from({ length: 60 }, () => identify(samples)));
    const [answers, refusals] = Object.values(
      Object.groupBy(crowd, ({ status }) => (status === 'fulfilled' ? 'answers' : 'refusals')),
    );
    expect(answers?.length).toBeGreaterThanOrEqual(3);
    expect(refusals?.length).toBeGreaterThan(0);
    for (const outcome of crowd) {
      if (outcome.status === 'fulfilled') {
        expect(outcome.value.candidates[0]?.subjectId).toBe(subject?.subjectId);
      } else {
        const { code, reason, retryAfterMs } = outcome.reason as ReceivedStatus;
        expect([code, reason]).toEqual([Code.RESOURCE_EXHAUSTED, 'QUEUE_FULL']);
        expect(retryAfterMs).toBeGreaterThanOrEqual(50);
        expect(retryAfterMs).toBeLessThanOrEqual(10_000);
      }
    }
    // Afterwards everything is as before, for searches and for enrolments.
    expect((await identify(samples)).candidates[0]?.subjectId).toBe(subject?.subjectId);
    const claim = { $case: 'subjectId', value: subject?.subjectId ?? '' } as const;
    expect((await verify(samples, claim)).scores).toHaveLength(3);
  });

  it('does not keep anybody from being enrolled', async () => {
    const searches = Promise.allSettled(Array.from({ length: 30 }, () => identify(samplesOf(1, 1))));
    const { subject } = await enrolPerson(running, 2);
    expect(subject?.subjectId).toMatch(/./);
    const outcomes = await searches;
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    expect((await identify(samplesOf(2, 1))).candidates[0]?.subjectId).toBe(subject?.subjectId);
  });
});
