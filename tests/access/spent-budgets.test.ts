import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { HOURS_TO_ALARM, REFUSALS_TO_ALARM, SpentBudgets, type BudgetAlarm } from '../../src/access/spent-budgets.ts';
import { SteadyClock } from '../../src/access/steady-clock.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
let nowMs: number;
let alarms: BudgetAlarm[];
let spent: SpentBudgets;
const made = (maxRuns?: number) =>
  new SpentBudgets((alarm) => alarms.push(alarm), new SteadyClock(() => nowMs), maxRuns);
const lab = { clientId: 'lab', agency: 'a' };
const other = { clientId: 'other', agency: 'a' };

beforeEach(() => {
  nowMs = 1e9;
  alarms = [];
  spent = made();
});

function refuse(times: number, everyMs: number, client = lab, subjectId = 's'): void {
  for (let i = 0; i < times; i++) {
    spent.refused(client, subjectId);
    nowMs += everyMs;
  }
}

describe('a budget that is spent again and again', () => {
  it('raises an alarm when a patient caller comes back for more', () => {
    refuse(HOURS_TO_ALARM - 1, 5 * DAY);
    expect(alarms).toEqual([]);
    refuse(1, 0);
    expect(alarms).toEqual([{ ...lab, subjectId: 's', scope: 'client', refusals: HOURS_TO_ALARM }]);
  });

  it('raises an alarm when a caller does not wait at all, and none for a call repeated a few times', () => {
    refuse(REFUSALS_TO_ALARM - 1, 1);
    expect(alarms).toEqual([]);
    refuse(1, 1);
    expect(alarms).toHaveLength(1);
  });

  it('raises one alarm for a run, and another one when it goes on after 30 days', () => {
    refuse(20 * 24, HOUR);
    expect(alarms).toHaveLength(1);
    refuse(15 * 24, HOUR);
    expect(alarms).toHaveLength(2);
  });

  it('raises none for refusals that lie further apart, or are about different subjects', () => {
    refuse(30, 16 * DAY);
    for (let i = 0; i < 200; i++) refuse(2, HOUR, lab, `s-${i}`);
    expect(alarms).toEqual([]);
  });

  it('raises one for several clients of an agency together, and not for clients of different ones', () => {
    refuse(1, HOUR);
    refuse(1, HOUR, other);
    refuse(1, HOUR, { clientId: 'elsewhere', agency: 'b' });
    expect(alarms).toEqual([]);
    refuse(1, HOUR, other);
    expect(alarms).toEqual([{ ...other, subjectId: 's', scope: 'agency', refusals: 3 }]);
  });

  it('is the same after a restart, whatever the order in which records are read', () => {
    const events = fc.array(fc.record({ gap: fc.integer({ min: 0, max: 3 * DAY }), isOther: fc.boolean() }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(events, fc.nat(30), (given, cut) => {
        alarms = [];
        const whole = made(16);
        const noted: (() => void)[] = [];
        let restarted: SpentBudgets | undefined;
        given.forEach(({ gap, isOther }, i) => {
          nowMs += gap;
          const client = isOther ? other : lab;
          if (i === cut) {
            restarted = made(16);
            noted.reverse().forEach((note) => note());
          }
          alarms = [];
          whole.refused(client, 's');
          const expected = [...alarms];
          if (restarted === undefined) {
            const at = nowMs;
            noted.push(() => restarted?.noteRefusal(client, 's', nowMs - at));
            for (const alarm of expected) noted.push(() => restarted?.noteAlarm(alarm, nowMs - at));
            return;
          }
          alarms = [];
          restarted.refused(client, 's');
          expect(alarms).toEqual(expected);
        });
      }),
    );
  });

  it('keeps a limited number of runs', () => {
    spent = made(50);
    for (let i = 0; i < 1000; i++) {
      refuse(1, 1, lab, `passing-${i}`);
      if (i % 20 === 0) refuse(1, 1);
    }
    expect(alarms.map(({ subjectId }) => subjectId)).toEqual(['s']);
  });
});
