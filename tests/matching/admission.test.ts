import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { AdmissionQueue, type Waiting } from '../../src/matching/search/admission.ts';

const never = { signal: new AbortController().signal, deadlineMs: Infinity, kind: 'search' } as const;

/** Work that ends on request. */
function gate(): { work: () => Promise<string>; open: () => void; started: Promise<void> } {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  return {
    open,
    started,
    work: async () => {
      start();
      await opened;
      return 'done';
    },
  };
}

describe('admission of searches', () => {
  it('runs up to its limit, queues the next searches and rejects the rest at once', async () => {
    const queue = new AdmissionQueue(1, 1);
    const first = gate();
    const second = gate();
    const running = queue.run(never, first.work);
    await first.started;
    const waiting = queue.run(never, second.work);
    await expect(queue.run(never, () => Promise.resolve('never'))).rejects.toMatchObject({
      kind: 'resource-exhausted',
      reason: 'QUEUE_FULL',
      detail: { retryAfterMs: 50 },
    });
    expect([queue.running, queue.waiting]).toEqual([1, 1]);
    first.open();
    second.open();
    expect(await Promise.all([running, waiting])).toEqual(['done', 'done']);
  });

  it('frees the place of a call cancelled while waiting', async () => {
    const queue = new AdmissionQueue(1, 5);
    const first = gate();
    const running = queue.run(never, first.work);
    await first.started;
    const controller = new AbortController();
    let ran = false;
    const waiting = queue.run({ ...never, signal: controller.signal }, () => Promise.resolve((ran = true)));
    const reason = new Failure('cancelled', 'CANCELLED', 'gone');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(queue.waiting).toBe(0);
    first.open();
    await running;
    expect(ran).toBe(false);
  });

  it('passes on an error of the work and continues', async () => {
    const queue = new AdmissionQueue(1, 0);
    await expect(queue.run(never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await queue.run(never, () => Promise.resolve(1))).toBe(1);
  });

  it('runs a verification before waiting searches', async () => {
    const queue = new AdmissionQueue(1, 5);
    const first = gate();
    const order: string[] = [];
    const running = queue.run(never, first.work);
    await first.started;
    const note = (name: string) => () => Promise.resolve(void order.push(name));
    const waiting = [
      queue.run(never, note('search')),
      queue.run(never, note('another search')),
      queue.run({ ...never, kind: 'verification' }, note('verification')),
      queue.run({ ...never, kind: 'verification' }, note('another verification')),
    ];
    first.open();
    await Promise.all([running, ...waiting]);
    expect(order).toEqual(['verification', 'another verification', 'search', 'another search']);
  });
});

describe('the retry delay of a rejected search, with known costs', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  /** Runs one search of this cost, by the clock of the test. */
  async function learn(queue: AdmissionQueue, costMs: number, kind: Waiting['kind'] = 'search'): Promise<void> {
    const { work, started, open } = gate();
    const ended = queue.run({ ...never, kind }, work);
    await started;
    vi.advanceTimersByTime(costMs);
    open();
    await ended;
  }

  /** Fills all running slots, and some waiting places. */
  async function crowded(
    queue: AdmissionQueue,
    { running, searches, verifications = 0 }: { running: number; searches: number; verifications?: number },
  ): Promise<() => Promise<unknown>> {
    const gates = Array.from({ length: running + searches + verifications }, gate);
    const all = gates.map(({ work }, i) =>
      queue.run(i < running + searches ? never : { ...never, kind: 'verification' }, work),
    );
    await Promise.all(gates.slice(0, running).map(({ started }) => started));
    expect([queue.running, queue.waiting]).toEqual([running, searches + verifications]);
    return () => {
      for (const { open } of gates) open();
      return Promise.all(all);
    };
  }

  const refusal = (queue: AdmissionQueue, changes: Partial<Waiting> = {}) =>
    queue.run({ ...never, ...changes }, () => expect.fail('it was let in')).catch((error: unknown) => error);

  it.each([
    // One running search plus the waiting ones: half their cost is 1000 ms each.
    { waiting: 1, retryAfterMs: 2000 },
    { waiting: 2, retryAfterMs: 3000 },
    { waiting: 5, retryAfterMs: 6000 },
    { waiting: 8, retryAfterMs: 9000 },
    // The maximum delay.
    { waiting: 9, retryAfterMs: 10_000 },
    { waiting: 50, retryAfterMs: 10_000 },
  ])('covers half of $waiting waiting searches: $retryAfterMs ms', async ({ waiting, retryAfterMs }) => {
    const queue = new AdmissionQueue(1, waiting);
    await learn(queue, 2000);
    const release = await crowded(queue, { running: 1, searches: waiting });
    expect(await refusal(queue)).toMatchObject({ reason: 'QUEUE_FULL', detail: { retryAfterMs } });
    await release();
  });

  it('is at least 50 ms, however cheap searches are', async () => {
    const queue = new AdmissionQueue(1, 2);
    await learn(queue, 10);
    const release = await crowded(queue, { running: 1, searches: 2 });
    expect(await refusal(queue)).toMatchObject({ reason: 'QUEUE_FULL', detail: { retryAfterMs: 50 } });
    await release();
  });

  it('does not depend on the number of running searches: they share the machine', async () => {
    const queue = new AdmissionQueue(2, 3);
    const [one, other] = [gate(), gate()];
    const both = [queue.run(never, one.work), queue.run(never, other.work)];
    await Promise.all([one.started, other.started]);
    // Each costs half of 4000 ms.
    vi.advanceTimersByTime(4000);
    one.open();
    other.open();
    await Promise.all(both);
    const release = await crowded(queue, { running: 2, searches: 3 });
    expect(await refusal(queue)).toMatchObject({ reason: 'QUEUE_FULL', detail: { retryAfterMs: 4000 } });
    await release();
  });

  it('of a verification counts verifications ahead, but not waiting searches', async () => {
    const queue = new AdmissionQueue(1, 6);
    await learn(queue, 2000);
    await learn(queue, 100, 'verification');
    const release = await crowded(queue, { running: 1, searches: 4, verifications: 2 });
    expect(await refusal(queue, { kind: 'verification' })).toMatchObject({ detail: { retryAfterMs: 1100 } });
    expect(await refusal(queue)).toMatchObject({ detail: { retryAfterMs: 5100 } });
    await release();
  });

  it('follows the running mean, in which the newest cost weighs a tenth', async () => {
    const queue = new AdmissionQueue(1, 1);
    await learn(queue, 2000);
    await learn(queue, 7000);
    const release = await crowded(queue, { running: 1, searches: 1 });
    expect(await refusal(queue)).toMatchObject({ detail: { retryAfterMs: 2500 } });
    await release();
  });

  // One running search, the waiting ones and the search itself, plus a quarter.
  it.each([
    { running: 1, searches: 0, neededMs: 1000 },
    { running: 1, searches: 1, neededMs: 1500 },
    { running: 1, searches: 4, neededMs: 3000 },
    // With two running, each takes twice as long.
    { running: 2, searches: 1, neededMs: 2000 },
  ])('behind $running running and $searches waiting searches is the time missing from $neededMs ms', async (crowd) => {
    const { running, searches, neededMs } = crowd;
    const queue = new AdmissionQueue(running, 10);
    await learn(queue, 400);
    const release = await crowded(queue, { running, searches });
    const within = (milliseconds: number) => ({ ...never, deadlineMs: Date.now() + milliseconds });
    for (const lateMs of [700, neededMs, 50])
      expect(await refusal(queue, within(neededMs - lateMs))).toMatchObject({
        reason: 'QUEUE_TOO_LONG',
        detail: { retryAfterMs: lateMs },
      });
    expect(await refusal(queue, within(neededMs - 1))).toMatchObject({ detail: { retryAfterMs: 50 } });
    const inTime = queue.run(within(neededMs), () => Promise.resolve('in time'));
    // With partial answers allowed, the search's own time does not count.
    const partial = queue.run({ ...within(neededMs), partial: true }, () => Promise.resolve('in part'));
    const ownMs = 1.25 * running * 400;
    const shortMs = neededMs + 2 * 500 - ownMs;
    expect(await refusal(queue, { ...within(shortMs - 60), partial: true })).toMatchObject({
      reason: 'QUEUE_TOO_LONG',
      detail: { retryAfterMs: 60 },
    });
    await release();
    expect(await Promise.all([inTime, partial])).toEqual(['in time', 'in part']);
  });

  it('never arises while a slot is free, however short the deadline', async () => {
    const queue = new AdmissionQueue(1, 5);
    await learn(queue, 2000);
    const late = { ...never, deadlineMs: Date.now() - 1 };
    expect(await queue.run(late, () => Promise.resolve('alone'))).toBe('alone');
  });
});
