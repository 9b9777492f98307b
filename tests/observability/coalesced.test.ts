import { describe, expect, it } from 'vitest';
import { Coalesced } from '../../src/observability/coalesced.ts';

it('gives concurrent callers one answer, and callers during its making the next one', async () => {
  const ends: ((value: number) => void)[] = [];
  const answer = new Coalesced(() => new Promise<number>((done) => ends.push(done)));
  const together = [answer.get(), answer.get()];
  await expect.poll(() => ends.length).toBe(1);
  // The work has begun: its answer may be older than these requests.
  const later = [answer.get(), answer.get()];
  ends[0](1);
  expect(await Promise.all(together)).toEqual([1, 1]);
  await expect.poll(() => ends.length).toBe(2);
  ends[1](2);
  expect(await Promise.all(later)).toEqual([2, 2]);
  expect(ends).toHaveLength(2);
});

it('uses at most a tenth of the time, with any number of callers', async () => {
  const [began, worked]: [number[], number[]] = [[], []];
  const answer = new Coalesced(() => {
    const started = performance.now();
    began.push(started);
    while (performance.now() < started + 5);
    worked.push(performance.now() - started);
    return Promise.resolve(0);
  });
  for (let i = 0; i < 8; i++) await answer.get();
  const between = began.slice(1).map((at, i) => (at - began[i]) / worked[i]);
  // Timers round down to whole milliseconds.
  for (const times of between) expect(times).toBeGreaterThan(9);
});

it('continues after a failure', async () => {
  let calls = 0;
  const answer = new Coalesced(() => (calls++ === 0 ? Promise.reject(new Error('once')) : Promise.resolve(calls)));
  await expect(answer.get()).rejects.toThrow('once');
  expect(await answer.get()).toBe(2);
});

describe('callers that have left', () => {
  it('are not waited for, and the work ends with the last of them', async () => {
    const signals: AbortSignal[] = [];
    const answer = new Coalesced((signal) => {
      signals.push(signal);
      return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    });
    const [one, other] = [new AbortController(), new AbortController()];
    const both = [answer.get(one.signal), answer.get(other.signal)];
    await expect.poll(() => signals.length).toBe(1);
    one.abort(new Error('one'));
    await expect(both[0]).rejects.toThrow('one');
    expect(signals[0]?.aborted).toBe(false);
    other.abort(new Error('other'));
    await expect(both[1]).rejects.toThrow('other');
    expect(signals[0]?.aborted).toBe(true);
    await expect(answer.get(other.signal)).rejects.toThrow('other');
    expect(signals).toHaveLength(1);
  });

  it('before the work begins cost nothing, and do not affect later callers', async () => {
    const ends: ((value: number) => void)[] = [];
    const answer = new Coalesced(() => new Promise<number>((done) => ends.push(done)));
    const first = answer.get();
    await expect.poll(() => ends.length).toBe(1);
    const asker = new AbortController();
    const waiting = answer.get(asker.signal);
    asker.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    const after = [answer.get(), answer.get(new AbortController().signal)];
    ends[0]?.(1);
    expect(await first).toBe(1);
    await expect.poll(() => ends.length).toBe(2);
    ends[1]?.(2);
    expect(await Promise.all(after)).toEqual([2, 2]);
    expect(ends).toHaveLength(2);
  });
});
