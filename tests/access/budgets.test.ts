import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COST_OF_WEAK,
  keyOfHidden,
  VerifyBudgets,
  VERIFICATIONS_PER_CLIENT_DAY,
  VERIFICATIONS_PER_PAIR_DAY,
  VERIFICATIONS_PER_PAIR_MONTH,
  VERIFICATIONS_PER_SUBJECT_DAY,
  VERIFICATIONS_PER_SUBJECT_MONTH,
  WEAK_ANSWER_LOG10,
  type Charge,
} from '../../src/access/budgets.ts';
import { SlidingCount } from '../../src/access/sliding-count.ts';
import { SteadyClock } from '../../src/access/steady-clock.ts';
import type { Failure } from '../../src/failure.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

class Bench {
  nowMs = 1e9;
  readonly budgets: VerifyBudgets;

  constructor(maxCounters?: number) {
    this.budgets = new VerifyBudgets(new SteadyClock(() => this.nowMs), maxCounters);
  }

  /** @returns the wait of a refusal; undefined: it was allowed */
  spend(clientId: string, subjectId: string, count = 1, verificationsPerDay?: number): number | undefined {
    try {
      this.budgets.spend({ clientId, agency: 'agency', budgets: { verificationsPerDay } }, subjectId, count);
      return undefined;
    } catch (thrown) {
      expect(thrown).toMatchObject({ kind: 'resource-exhausted', reason: 'VERIFY_BUDGET_SPENT' });
      return (thrown as Failure).detail.retryAfterMs ?? Infinity;
    }
  }

  /** Calls until the first refusal. */
  allowed(clientId: () => string, subjectId: () => string, most = 100_000): number {
    for (let calls = 0; calls < most; calls++) if (this.spend(clientId(), subjectId()) !== undefined) return calls;
    return most;
  }
}

describe('budgets of comparisons with enrolled subjects', () => {
  it('end for a client with one subject, for a subject over all clients, and for a client over all subjects', () => {
    expect(
      new Bench().allowed(
        () => 'gate',
        () => 'traveller',
      ),
    ).toBe(VERIFICATIONS_PER_PAIR_DAY);
    let n = 0;
    expect(
      new Bench().allowed(
        () => `gate-${n++}`,
        () => 'traveller',
      ),
    ).toBe(VERIFICATIONS_PER_SUBJECT_DAY);
    expect(
      new Bench().allowed(
        () => 'gate',
        () => `traveller-${n++}`,
      ),
    ).toBe(VERIFICATIONS_PER_CLIENT_DAY);
  });

  it('are a month long as well: a patient caller gets no more', () => {
    const [pair, subject] = [new Bench(), new Bench()];
    let [ofPair, ofSubject, n] = [0, 0, 0];
    for (let hour = 0; hour < 29 * 24; hour++) {
      for (let i = 0; i < 5; i++) {
        if (pair.spend('gate', 'traveller') === undefined) ofPair++;
        if (subject.spend(`gate-${n++ % 50}`, 'traveller') === undefined) ofSubject++;
      }
      pair.nowMs += HOUR;
      subject.nowMs += HOUR;
    }
    expect(ofPair).toBe(VERIFICATIONS_PER_PAIR_MONTH);
    expect(ofSubject).toBe(VERIFICATIONS_PER_SUBJECT_MONTH);
  });

  it('count every score that a caller gets, and only once where it gets one', () => {
    const bench = new Bench();
    expect(bench.spend('lab', 's', 16)).toBeUndefined();
    expect(bench.spend('lab', 's', 16)).toBeGreaterThan(0);
    expect(bench.spend('lab', 's', VERIFICATIONS_PER_PAIR_DAY - 16)).toBeUndefined();
    expect(bench.spend('lab', 'other', VERIFICATIONS_PER_PAIR_DAY + 1)).toBe(Infinity);
  });

  it("take a client's own budget where it has one, and charge it for refused calls", () => {
    const bench = new Bench();
    for (let i = 0; i < 3; i++) expect(bench.spend('small', `s-${i}`, 1, 3)).toBeUndefined();
    expect(bench.spend('small', 's-9', 1, 3)).toBeGreaterThan(0);
    for (let i = 0; i < VERIFICATIONS_PER_PAIR_DAY; i++) bench.spend('guess', 's', 1, 100);
    for (let i = VERIFICATIONS_PER_PAIR_DAY; i < 100; i++) expect(bench.spend('guess', 's', 1, 100)).toBeGreaterThan(0);
    expect(bench.spend('guess', 'another', 1, 100)).toBeGreaterThan(0);
  });

  it('are spent sooner by answers that are weaker than those of mates', () => {
    const bench = new Bench();
    let calls = 0;
    while (bench.spend('gate', 'traveller') === undefined) {
      calls++;
      bench.budgets.answered({ clientId: 'gate', agency: 'agency', budgets: {} }, 'traveller', WEAK_ANSWER_LOG10 + 1);
    }
    expect(calls).toBe(VERIFICATIONS_PER_PAIR_DAY / COST_OF_WEAK);
    for (let gate = 0; bench.spend(`gate-${gate}`, 'traveller') === undefined; gate++) calls++;
    expect(calls).toBe(
      VERIFICATIONS_PER_SUBJECT_DAY - VERIFICATIONS_PER_PAIR_DAY + VERIFICATIONS_PER_PAIR_DAY / COST_OF_WEAK,
    );
  });

  it('are not refilled by a clock that is set back', () => {
    const bench = new Bench();
    bench.allowed(
      () => 'gate',
      () => 'traveller',
    );
    bench.nowMs -= 40 * DAY;
    expect(bench.spend('gate', 'traveller')).toBeGreaterThan(0);
    bench.nowMs += 40 * DAY - 1;
    expect(bench.spend('gate', 'traveller')).toBeGreaterThan(0);
  });

  it('keep the counters that are in use when others push in', () => {
    const bench = new Bench(100);
    for (let i = 0; i < 1000; i++) {
      bench.spend('gate', `passing-${i}`);
      if (i < VERIFICATIONS_PER_PAIR_DAY) expect(bench.spend('gate', 'traveller')).toBeUndefined();
      else expect(bench.spend('gate', 'traveller')).toBeGreaterThan(0);
    }
  });

  it('do not let a client without budget push out counters of others', () => {
    const bench = new Bench(50);
    bench.allowed(
      () => 'gate',
      () => 'traveller',
    );
    for (let i = 0; i < 500; i++) bench.spend('hostile', `s-${i}`, 1, 10);
    expect(bench.spend('gate', 'traveller')).toBeGreaterThan(0);
  });
});

describe('budgets after a restart', () => {
  it('are as they would be without it, in whatever order what was charged is noted', () => {
    const calls = fc.array(
      fc.record({
        gap: fc.integer({ min: 0, max: 2 * DAY }),
        client: fc.constantFrom('a', 'b'),
        subject: fc.constantFrom('s', 't'),
        count: fc.integer({ min: 1, max: 8 }),
        isWeak: fc.boolean(),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(calls, fc.nat(60), fc.infiniteStream(fc.nat(1000)), (given, cut, order) => {
        const [whole, again] = [new Bench(16), new Bench(16)];
        const noted: { at: number; charge: Charge; clientId: string; subjectKey: string }[] = [];
        given.forEach(({ gap, client: clientId, subject: subjectKey, count, isWeak }, i) => {
          whole.nowMs += gap;
          again.nowMs = whole.nowMs;
          const client = { clientId, agency: 'agency', budgets: { verificationsPerDay: 30 } };
          if (i === cut) {
            const shuffled = noted.map((one) => [order.next().value, one] as const).sort(([a], [b]) => a - b);
            for (const [, { at, charge, ...about }] of shuffled)
              again.budgets.note({ ...charge, ...about, ageMs: again.nowMs - at });
          }
          const outcomes = (i < cut ? [whole] : [whole, again]).map(({ budgets }) => {
            const note = (charge: Charge) => noted.push({ at: whole.nowMs, charge, clientId, subjectKey });
            try {
              budgets.spend(client, subjectKey, count, note);
              note(budgets.answered(client, subjectKey, isWeak ? -4 : WEAK_ANSWER_LOG10, count));
              return 0;
            } catch (thrown) {
              return (thrown as Failure).detail.retryAfterMs;
            }
          });
          expect(outcomes.at(-1)).toBe(outcomes[0]);
        });
      }),
    );
  });

  it('tell of refusals because of a subject, by its id, and not of those because of the client', () => {
    const told: string[] = [];
    const budgets = new VerifyBudgets(new SteadyClock(() => 1e9), undefined, {
      refused: ({ clientId, agency }, subjectId, isHidden) =>
        told.push(`${clientId} ${agency} ${subjectId} ${isHidden}`),
    });
    const gate = { clientId: 'gate', agency: 'a', budgets: { verificationsPerDay: VERIFICATIONS_PER_PAIR_DAY + 1 } };
    const key = keyOfHidden('traveller', 'gate');
    for (let i = 0; i < VERIFICATIONS_PER_PAIR_DAY; i++) budgets.spend(gate, key);
    expect(() => budgets.spend(gate, key)).toThrow(/budget/);
    expect(told).toEqual(['gate a traveller true']);
    for (let i = 0; i < 5; i++) expect(() => budgets.spend(gate, key)).toThrow(/budget/);
    expect(told).toHaveLength(1);
  });

  it('tell of answers about subjects that the client can find, and whether they are weaker than a mate is', () => {
    const told: unknown[] = [];
    const budgets = new VerifyBudgets(new SteadyClock(() => 1e9), undefined, {
      answered: ({ clientId }, subjectId, answer) => told.push({ clientId, subjectId, ...answer }),
    });
    const gate = { clientId: 'gate', agency: 'a', budgets: {} };
    expect(budgets.answered(gate, 'traveller', WEAK_ANSWER_LOG10 + 1, 3)).toEqual({
      client: 0,
      subject: (COST_OF_WEAK - 1) * 3,
      isWeak: true,
    });
    expect(budgets.answered(gate, 'traveller', WEAK_ANSWER_LOG10)).toEqual({ client: 0, subject: 0, isWeak: false });
    budgets.answered(gate, keyOfHidden('traveller', 'gate'), 0);
    expect(told).toEqual([
      { clientId: 'gate', subjectId: 'traveller', count: 3, isWeak: true },
      { clientId: 'gate', subjectId: 'traveller', count: 1, isWeak: false },
    ]);
  });
});

describe('a sliding count', () => {
  it('never allows more than the limit in any window, and allows again after the stated wait, not before', () => {
    const steps = fc.array(
      fc.record({ gap: fc.integer({ min: 0, max: 6 * HOUR }), count: fc.integer({ min: 1, max: 3 }) }),
      {
        minLength: 1,
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 3, max: 8 }), (events, limit) => {
        const limits = [{ limit, periodMs: DAY }];
        const counts = new SlidingCount();
        const admitted: { at: number; count: number }[] = [];
        let now = 12_345;
        for (const { gap, count } of events) {
          now += gap;
          const wait = counts.wait(limits, count, now);
          if (wait > 0) {
            expect(counts.wait(limits, count, now + wait)).toBe(0);
            expect(counts.wait(limits, count, now + wait - 1)).toBeGreaterThan(0);
            // Up to an hour longer than the window itself.
            expect(wait).toBeLessThanOrEqual(DAY + HOUR);
            continue;
          }
          counts.add(count, now, DAY);
          admitted.push({ at: now, count });
          const inWindow = admitted.filter(({ at }) => at > now - DAY).reduce((sum, own) => sum + own.count, 0);
          expect(inWindow).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });
});
