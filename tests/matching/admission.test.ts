import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { AdmissionQueue } from '../../src/matching/admission.ts';

const never = { signal: new AbortController().signal, deadlineMs: Infinity, kind: 'search' } as const;

/** Work that ends when told to. */
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
  it('runs what it may, lets the next ones wait and refuses the rest at once', async () => {
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

  it('gives up the place of a call that was cancelled while it waited', async () => {
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

  it('passes on the error of the work and goes on', async () => {
    const queue = new AdmissionQueue(1, 0);
    await expect(queue.run(never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await queue.run(never, () => Promise.resolve(1))).toBe(1);
  });

  it('refuses who would wait beyond the deadline, and says when to try again', async () => {
    const queue = new AdmissionQueue(1, 5);
    const long = gate();
    const before = queue.run(never, long.work);
    await long.started;
    // So it is known how long a search takes: until now.
    const began = performance.now();
    long.open();
    await before;
    const [first, second] = [gate(), gate()];
    const running = queue.run(never, first.work);
    await first.started;
    const waiting = queue.run(never, second.work);
    await expect(queue.run({ ...never, deadlineMs: Date.now() }, second.work)).rejects.toMatchObject({
      kind: 'resource-exhausted',
      reason: 'QUEUE_TOO_LONG',
    });
    const patient = queue.run({ ...never, deadlineMs: Date.now() + 1000 * (performance.now() - began) + 60_000 }, () =>
      Promise.resolve('patient'),
    );
    first.open();
    second.open();
    expect(await Promise.all([running, waiting, patient])).toEqual(['done', 'done', 'patient']);
    // Nobody is in the way: a deadline that is short is not for the queue to judge.
    expect(await queue.run({ ...never, deadlineMs: Date.now() - 1 }, () => Promise.resolve('alone'))).toBe('alone');
  });

  it('asks those who find it full to come back when half of it is done', async () => {
    const queue = new AdmissionQueue(1, 2);
    const gates = [gate(), gate(), gate()];
    gates[0].open();
    await queue.run(never, gates[0].work);
    const running = queue.run(never, gates[1].work);
    await gates[1].started;
    const waiting = [1, 2].map(() => queue.run(never, gates[2].work));
    const refused = await queue.run(never, gates[2].work).catch((error: unknown) => error);
    expect(refused).toMatchObject({ reason: 'QUEUE_FULL' });
    const { retryAfterMs = 0 } = (refused as Failure).detail;
    expect(retryAfterMs).toBeGreaterThanOrEqual(50);
    expect(retryAfterMs).toBeLessThanOrEqual(10_000);
    gates[1].open();
    gates[2].open();
    await Promise.all([running, ...waiting]);
  });

  it('lets a verification go before the searches that wait', async () => {
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
