/** Searches beyond what the service may run and queue, over gRPC. Each is held for as long as the test wants. */
import { status as Code } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdmissionQueue, type Waiting } from '../../src/matching/search/admission.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  enrolPerson,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

/** Concurrent searches per worker thread. */
const AT_ONCE = 2;

/** Holds admitted searches, and records the order in which they were admitted. */
class Holder {
  readonly begun: Waiting['kind'][] = [];
  readonly #restore: () => void;
  readonly #gate = Promise.withResolvers<void>();
  #queue: AdmissionQueue | undefined;

  constructor() {
    const hold = (queue: AdmissionQueue, kind: Waiting['kind']) => {
      this.#queue = queue;
      this.begun.push(kind);
      return this.#gate.promise;
    };
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the queue that it was called on
    const { run } = AdmissionQueue.prototype;
    AdmissionQueue.prototype.run = function <T>(this: AdmissionQueue, who: Waiting, search: () => Promise<T>) {
      return run.call(this, who, () => hold(this, who.kind).then(search)) as Promise<T>;
    };
    this.#restore = () => (AdmissionQueue.prototype.run = run);
  }

  /** Resolves when the given numbers of searches have begun and wait. */
  async holds(begun: number, waiting: number): Promise<void> {
    await expect
      .poll(() => [this.begun.length, this.#queue?.waiting ?? 0], { timeout: 20_000 })
      .toEqual([begun, waiting]);
  }

  /** Releases all held searches, and holds no later ones. */
  release(): void {
    this.#restore();
    this.#gate.resolve();
  }
}

let cluster: TestCluster;
let running: RunningService;
let holder: Holder | undefined;
const { identify, verify } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(() => {
  holder = undefined;
});
afterEach(async () => {
  holder?.release();
  await running.stop();
});

/** One worker thread, a queue of the given length, and one subject: person 1. @returns its id */
async function serve(maxWaiting: number): Promise<string> {
  const settings = { RIDGEWATCH_WORKERS: '1', RIDGEWATCH_MAX_QUEUED_SEARCHES: String(maxWaiting) };
  running = await runService(await cluster.createDatabase(), settings);
  return (await enrolPerson(running, 1)).subject?.subjectId ?? '';
}

function hold(): Holder {
  return (holder = new Holder());
}

/** Runs one search that takes exactly this long, so that the service can estimate the cost of a search. */
async function learn(costMs: number): Promise<void> {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const held = hold();
    const answer = identify(samplesOf(1, 1));
    while (held.begun.length === 0) await new Promise(setImmediate);
    vi.advanceTimersByTime(costMs);
    held.release();
    await answer;
  } finally {
    vi.useRealTimers();
  }
}

describe('a service under overload', () => {
  it.each([
    { waiting: 1, retryAfterMs: 400 },
    { waiting: 3, retryAfterMs: 800 },
    { waiting: 6, retryAfterMs: 1400 },
  ])(
    'accepts $waiting waiting searches and rejects the others with a retry time of $retryAfterMs ms',
    async ({ waiting, retryAfterMs }) => {
      const subjectId = await serve(waiting);
      await learn(400);
      const held = hold();
      const admitted = Array.from({ length: AT_ONCE + waiting }, () => identify(samplesOf(1, 1)));
      await held.holds(AT_ONCE, waiting);
      const others = Array.from({ length: 20 }, () => refused(identify(samplesOf(1, 1))));
      for (const { code, reason, ...rest } of await Promise.all(others)) {
        expect([code, reason]).toEqual([Code.RESOURCE_EXHAUSTED, 'QUEUE_FULL']);
        expect(rest.retryAfterMs).toBe(retryAfterMs);
      }
      await held.holds(AT_ONCE, waiting);
      held.release();
      const found = (await Promise.all(admitted)).map(({ candidates }) => candidates[0]?.subjectId);
      expect(found).toEqual(admitted.map(() => subjectId));
      // Afterwards the service accepts searches again.
      expect((await identify(samplesOf(1, 1))).candidates[0]?.subjectId).toBe(subjectId);
    },
  );

  it('refuses no search because of records that are searched and not shown', async () => {
    const subjectId = await serve(1);
    const data = { ...enrolRequest([]).data!, caveats: ['SILENT'] };
    await enrolPerson(running, 2, { data });
    const held = hold();
    const searches = Array.from({ length: AT_ONCE + 1 }, () => identify(samplesOf(1, 1)));
    await held.holds(AT_ONCE, 1);
    held.release();
    for (const { candidates } of await Promise.all(searches)) expect(candidates[0]?.subjectId).toBe(subjectId);
  });

  it('runs verifications before waiting searches', async () => {
    const subjectId = await serve(10);
    const held = hold();
    const searches = Array.from({ length: AT_ONCE + 3 }, () => identify(samplesOf(1, 1)));
    await held.holds(AT_ONCE, 3);
    const claim = { $case: 'subjectId', value: subjectId } as const;
    const verifications = [1, 2].map(() => verify(samplesOf(1, 1), claim));
    await held.holds(AT_ONCE, 5);
    held.release();
    await Promise.all([...searches, ...verifications]);
    expect(held.begun).toEqual(['search', 'search', 'verification', 'verification', 'search', 'search', 'search']);
    for (const { scores } of await Promise.all(verifications)) expect(scores).toHaveLength(3);
  });

  it('rejects at once a search that would miss its deadline, with the time it lacks', async () => {
    await serve(10);
    await learn(400);
    const held = hold();
    const admitted = Array.from({ length: AT_ONCE }, () => identify(samplesOf(1, 1)));
    await held.holds(AT_ONCE, 0);
    const { identification } = running;
    const within = (milliseconds: number, allowPartial = false) =>
      call(
        identification,
        identification.identify.bind(identification),
        { ...identifyRequest(samplesOf(1, 1)), allowPartial },
        { deadline: Date.now() + milliseconds },
      );
    // A place becomes free in 400 ms. The search then shares the machine with another one: a quarter more than 1200 ms.
    const began = Date.now();
    const late = await refused(within(1000));
    const passedMs = Date.now() - began;
    expect(late).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: 'QUEUE_TOO_LONG' });
    expect(late.retryAfterMs).toBeGreaterThanOrEqual(500 - 2);
    expect(late.retryAfterMs).toBeLessThanOrEqual(500 + passedMs);
    const patient = [within(30_000), within(30_000, true)];
    await held.holds(AT_ONCE, 2);
    held.release();
    await Promise.all([...admitted, ...patient]);
  });

  it('still enrols subjects and serves metrics', async () => {
    await serve(1);
    const held = hold();
    const crowd = Array.from({ length: AT_ONCE + 1 }, () => identify(samplesOf(1, 1)));
    await held.holds(AT_ONCE, 1);
    const { subject } = await enrolPerson(running, 2);
    expect(subject?.subjectId).toMatch(/./);
    const metrics = await metricsOf(running);
    expect(metrics).toMatch(/^ridgewatch_searches_under_way 2$/m);
    expect(metrics).toMatch(/^ridgewatch_searches_waiting 1$/m);
    held.release();
    await Promise.all(crowd);
    expect((await identify(samplesOf(2, 1))).candidates[0]?.subjectId).toBe(subject?.subjectId);
  });
});
