import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallRates, CALLS_PER_SECOND, STREAMS } from '../../src/access/call-rates.ts';
import { SteadyClock } from '../../src/access/steady-clock.ts';
import type { Failure } from '../../src/failure.ts';

const BURST_SECONDS = 5;
const client = (clientId: string, budgets = {}) => ({ clientId, budgets });

function refusalOf(run: () => unknown): Failure | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    return thrown as Failure;
  }
}

describe('calls a second', () => {
  it('are never more than the bucket and its refill, over any time, and allowed again after the stated wait', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 50 }), (waits, callsPerSecond) => {
        let now = 77;
        const rates = new CallRates(new SteadyClock(() => now));
        const gate = client('gate', { callsPerSecond });
        let allowed = 0;
        for (const gap of waits) {
          now += gap;
          for (let i = 0; i < 10; i++) {
            const refusal = refusalOf(() => rates.take(gate));
            if (refusal === undefined) allowed++;
            else {
              expect(refusal).toMatchObject({ kind: 'resource-exhausted', reason: 'RATE_LIMITED' });
              expect(refusal.detail.retryAfterMs).toBeLessThanOrEqual(Math.ceil(1000 / callsPerSecond));
            }
          }
          expect(allowed).toBeLessThanOrEqual(callsPerSecond * (BURST_SECONDS + (now - 77) / 1000) + 1e-6);
        }
        for (;;) {
          const refusal = refusalOf(() => rates.take(gate));
          if (refusal === undefined) continue;
          now += refusal.detail.retryAfterMs ?? NaN;
          expect(refusalOf(() => rates.take(gate))).toBeUndefined();
          break;
        }
      }),
    );
  });

  it('are counted for each client alone, and not refilled by a clock that is set back', () => {
    let now = 1e6;
    const rates = new CallRates(new SteadyClock(() => now));
    const drain = (id: string) => {
      let calls = 0;
      while (refusalOf(() => rates.take(client(id))) === undefined) calls++;
      return calls;
    };
    expect(drain('a')).toBe(CALLS_PER_SECOND * BURST_SECONDS);
    expect(drain('b')).toBe(CALLS_PER_SECOND * BURST_SECONDS);
    now -= 1e6;
    expect(drain('a')).toBe(0);
    now += 1e6 + 1000;
    expect(drain('a')).toBe(CALLS_PER_SECOND);
    // A night without calls saves up no more than a burst.
    now += 1e8;
    expect(drain('a')).toBe(CALLS_PER_SECOND * BURST_SECONDS);
  });

  it('may be none', () => {
    const rates = new CallRates();
    expect(refusalOf(() => rates.take(client('none', { callsPerSecond: 0 })))?.detail).toEqual({});
  });

  it('are remembered for a bounded number of clients, the longest unused forgotten first', () => {
    const rates = new CallRates(new SteadyClock(() => 1), 10);
    const busy = client('busy', { callsPerSecond: 0.2 });
    rates.take(busy);
    for (let i = 0; i < 1000; i++) {
      rates.take(client(`other-${i}`));
      expect(refusalOf(() => rates.take(busy))?.reason).toBe('RATE_LIMITED');
    }
  });
});

describe('streams at a time', () => {
  it('are bounded for each client, and free when they end, once', () => {
    const rates = new CallRates();
    const ends = Array.from({ length: STREAMS }, () => rates.openStream(client('gate')));
    const refusal = refusalOf(() => rates.openStream(client('gate')));
    expect(refusal).toMatchObject({ kind: 'resource-exhausted', reason: 'STREAMS_EXHAUSTED' });
    expect(refusal?.detail.retryAfterMs).toBeGreaterThan(0);
    expect(refusalOf(() => rates.openStream(client('other')))).toBeUndefined();
    ends[0]();
    ends[0]();
    rates.openStream(client('gate'));
    expect(refusalOf(() => rates.openStream(client('gate')))?.reason).toBe('STREAMS_EXHAUSTED');
    const none = () => rates.openStream(client('gate', { streams: 0 }));
    expect(refusalOf(none)?.reason).toBe('STREAMS_EXHAUSTED');
  });
});

describe('the clock of limits', () => {
  it('stands still while its source goes back', () => {
    let now = 5;
    const clock = new SteadyClock(() => now);
    expect(clock.now()).toBe(5);
    now = -1000;
    expect(clock.now()).toBe(5);
    now = 6;
    expect(clock.now()).toBe(6);
  });
});
