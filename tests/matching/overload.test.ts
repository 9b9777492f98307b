import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdmissionQueue, type Waiting } from '../../src/matching/search/admission.ts';

/** A machine on the test's own clock. Concurrent work shares it evenly, like searches share the worker threads. */
class Machine {
  readonly #left = new Map<() => void, number>();
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Work that takes these milliseconds of the whole machine. */
  work(milliseconds: number): Promise<void> {
    return new Promise((done) => {
      this.#pass();
      this.#left.set(done, milliseconds);
      this.#plan();
    });
  }

  #pass(): void {
    const now = performance.now();
    const each = (now - this.#since) / Math.max(1, this.#left.size);
    for (const [done, left] of this.#left) this.#left.set(done, left - each);
    this.#since = now;
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#left.size === 0) return;
    const next = Math.min(...this.#left.values()) * this.#left.size;
    this.#timer = setTimeout(
      () => {
        this.#pass();
        for (const [done, left] of this.#left) {
          if (left > 1e-6) continue;
          this.#left.delete(done);
          done();
        }
        this.#plan();
      },
      Math.max(0, Math.ceil(next)),
    );
  }
}

const FOREVER: Waiting = { signal: new AbortController().signal, deadlineMs: Infinity, kind: 'search' };

interface Outcome {
  readonly accepted: boolean;
  readonly lateMs: number;
  readonly reason: unknown;
}

describe('overload after a quiet period', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  async function send(
    queue: AdmissionQueue,
    machine: Machine,
    costMs: number,
    withinMs: number,
    changes: Partial<Waiting> = {},
  ): Promise<Outcome> {
    const deadlineMs = Date.now() + withinMs;
    const who: Waiting = { signal: new AbortController().signal, deadlineMs, kind: 'search', ...changes };
    try {
      await queue.run(who, () => machine.work(costMs));
      return { accepted: true, lateMs: Date.now() - deadlineMs, reason: undefined };
    } catch (error) {
      return { accepted: false, lateMs: 0, reason: (error as { reason: unknown }).reason };
    }
  }

  /** Sequential searches, so that the queue learns their cost. */
  async function quietTime(queue: AdmissionQueue, machine: Machine, costMs: number, searches = 20): Promise<void> {
    for (let i = 0; i < searches; i++) {
      const alone = send(queue, machine, costMs, 100 * costMs);
      await vi.advanceTimersByTimeAsync(2 * costMs);
      expect(await alone).toMatchObject({ accepted: true });
    }
  }

  it('refuses no search for the cost of searches for duplicates, and these for their own', async () => {
    const [queue, machine] = [new AdmissionQueue(2, 100), new Machine()];
    for (let i = 0; i < 20; i++) {
      await quietTime(queue, machine, 20, 1);
      const heavy = send(queue, machine, 500, 10_000, { kind: 'duplicates' });
      await vi.advanceTimersByTimeAsync(1000);
      expect(await heavy).toMatchObject({ accepted: true });
    }
    const running = [send(queue, machine, 20, 1000), send(queue, machine, 20, 1000)];
    const search = send(queue, machine, 20, 200);
    const heavy = send(queue, machine, 500, 900, { kind: 'duplicates' });
    expect(await atOnce(search)).toBeUndefined();
    expect(await atOnce(heavy)).toMatchObject({ reason: 'QUEUE_TOO_LONG' });
    await vi.advanceTimersByTimeAsync(5000);
    for (const outcome of [...running, search])
      expect(await outcome).toMatchObject({ accepted: true, lateMs: expect.any(Number) as number });
    expect((await search).lateMs).toBeLessThanOrEqual(0);
  });

  /** The outcome of a call while the clock stands still; undefined: it was accepted, and waits. */
  function atOnce(outcome: Promise<Outcome>): Promise<Outcome | undefined> {
    return Promise.race([outcome, vi.advanceTimersByTimeAsync(0).then(() => undefined)]);
  }

  it('yields answers in time or rejections, and keeps the machine busy', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          running: fc.integer({ min: 1, max: 8 }),
          costMs: fc.integer({ min: 5, max: 100 }),
          atOnce: fc.integer({ min: 0, max: 100 }),
          crowd: fc.integer({ min: 2, max: 6 }),
        }),
        async ({ running, costMs, atOnce, crowd }) => {
          const [queue, machine] = [new AdmissionQueue(running, 100_000), new Machine()];
          const withinMs = 40 * costMs;
          await quietTime(queue, machine, costMs);
          const outcomes = Array.from({ length: atOnce }, () => send(queue, machine, costMs, withinMs));
          const calls = 100 * crowd;
          // Rounded to whole milliseconds: cheap searches arrive somewhat faster or slower than requested.
          const pauseMs = Math.max(1, Math.round(costMs / crowd));
          for (let i = 0; i < calls; i++) {
            outcomes.push(send(queue, machine, costMs, withinMs));
            await vi.advanceTimersByTimeAsync(pauseMs);
          }
          await vi.advanceTimersByTimeAsync((atOnce + calls) * costMs * 2);
          const all = await Promise.all(outcomes);
          expect(all.filter(({ accepted, lateMs }) => accepted && lateMs > 0)).toEqual([]);
          expect(all.every(({ accepted, reason }) => accepted || reason === 'QUEUE_TOO_LONG')).toBe(true);
          const possible = (calls * pauseMs) / costMs;
          expect(all.filter(({ accepted }) => accepted).length).toBeGreaterThan(0.95 * possible);
        },
      ),
      { numRuns: 15, examples: [[{ running: 8, costMs: 7, atOnce: 2, crowd: 5 }]] },
    );
  });

  it('does not lower the estimated cost through stopped or failed searches', async () => {
    const [queue, machine] = [new AdmissionQueue(1, 100), new Machine()];
    await quietTime(queue, machine, 10);
    // The machine becomes slow: searches are repeatedly stopped before they are done.
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const stopped = queue.run({ ...FOREVER, signal: controller.signal }, async () => {
        await machine.work(100);
        controller.signal.throwIfAborted();
      });
      controller.abort(new Error('stopped'));
      await Promise.all([expect(stopped).rejects.toThrow('stopped'), vi.advanceTimersByTimeAsync(200)]);
    }
    for (let i = 0; i < 20; i++)
      await queue.run(FOREVER, () => Promise.reject(new Error('bad'))).catch(() => undefined);
    const [running, waiting] = [send(queue, machine, 100, 10_000), send(queue, machine, 100, 10_000)];
    expect(await atOnce(send(queue, machine, 100, 200))).toMatchObject({ accepted: false, reason: 'QUEUE_TOO_LONG' });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await Promise.all([running, waiting])).toMatchObject([{ accepted: true }, { accepted: true }]);
  });

  it('lets a search wait nearly until its deadline when partial answers are allowed', async () => {
    const [queue, machine] = [new AdmissionQueue(1, 100), new Machine()];
    await quietTime(queue, machine, 100);
    const running = send(queue, machine, 100, 10_000);
    expect(await atOnce(send(queue, machine, 100, 200))).toMatchObject({ accepted: false, reason: 'QUEUE_TOO_LONG' });
    const partial = send(queue, machine, 50, 200, { partial: true });
    expect(await atOnce(send(queue, machine, 50, 200, { partial: true }))).toMatchObject({ accepted: false });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await Promise.all([running, partial])).toMatchObject([{ accepted: true }, { accepted: true, lateMs: -50 }]);
  });

  it('counts verifications at their cost, and runs them before searches', async () => {
    const [queue, machine] = [new AdmissionQueue(1, 1000), new Machine()];
    await quietTime(queue, machine, 100);
    const verification = { kind: 'verification' } as const;
    await Promise.all([send(queue, machine, 1, 1000, verification), vi.advanceTimersByTimeAsync(1)]);
    const running = send(queue, machine, 100, 10_000);
    const searches = [1, 2, 3].map(() => send(queue, machine, 100, 10_000));
    const verifications = Array.from({ length: 100 }, () => send(queue, machine, 1, 300, verification));
    // 100 ms of the running search, 300 of the waiting ones, 100 of verifications, 100 of its own, plus a quarter.
    expect(await atOnce(send(queue, machine, 100, 700))).toMatchObject({ accepted: false });
    const last = send(queue, machine, 100, 800);
    await vi.advanceTimersByTimeAsync(5000);
    const all = await Promise.all([running, ...searches, ...verifications, last]);
    expect(all.filter(({ accepted, lateMs }) => !accepted || lateMs > 0)).toEqual([]);
  });

  it('of one caller neither delays nor excludes others: one search of each goes first', async () => {
    const [queue, machine] = [new AdmissionQueue(1, 320), new Machine()];
    await quietTime(queue, machine, 100);
    const by = (name: string) => ({ party: () => ({ name, connection: name }) });
    const crowd = Array.from({ length: 321 }, () => send(queue, machine, 100, 100_000, by('crowd')));
    // One running search, one of the crowd, its own, and a quarter more; not the 320 of the crowd.
    expect(await atOnce(send(queue, machine, 100, 370, by('a')))).toMatchObject({ reason: 'QUEUE_TOO_LONG' });
    const others = [send(queue, machine, 100, 380, by('a')), send(queue, machine, 100, 510, by('b'))];
    expect(await atOnce(send(queue, machine, 100, 100_000, by('crowd')))).toMatchObject({ reason: 'QUEUE_FULL' });
    await vi.advanceTimersByTimeAsync(40_000);
    expect((await Promise.all(others)).filter(({ accepted, lateMs }) => !accepted || lateMs > 0)).toEqual([]);
    const refused = (await Promise.all(crowd)).filter(({ accepted }) => !accepted);
    expect(refused).toMatchObject([{ reason: 'QUEUE_FULL' }, { reason: 'QUEUE_FULL' }]);
  });
});
