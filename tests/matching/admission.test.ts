import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { AdmissionQueue } from '../../src/matching/admission.ts';

const never = new AbortController().signal;

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
      detail: { retryAfterMs: 250 },
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
    const waiting = queue.run(controller.signal, () => Promise.resolve((ran = true)));
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
});
