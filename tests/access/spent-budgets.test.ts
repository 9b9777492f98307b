import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  HOURS_TO_ALARM,
  REFUSALS_TO_ALARM,
  SpentBudgets,
  type BudgetAlarm,
  type SpendingClient,
} from '../../src/access/spent-budgets.ts';
import { SteadyClock } from '../../src/access/steady-clock.ts';
import { Random } from '../../src/random.ts';
import { COUNTED_OF_CALL, MANY_WEAK_TO_ALARM, WEAK_TO_ALARM } from '../../src/access/weak-answers.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
let nowMs: number;
let alarms: BudgetAlarm[];
let spent: SpentBudgets;
const made = (maxRuns = 1000) => new SpentBudgets((alarm) => alarms.push(alarm), new SteadyClock(() => nowMs), maxRuns);
const lab = { clientId: 'lab', agency: 'a' };
const other = { clientId: 'other', agency: 'a' };
const elsewhere = { clientId: 'elsewhere', agency: 'b' };

/** What is told about a subject. */
interface Told {
  readonly client: SpendingClient;
  readonly kind: string;
  readonly count: number;
}

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
    expect(alarms).toEqual([{ ...lab, subjectId: 's', scope: 'client', refusals: HOURS_TO_ALARM, weakAnswers: 0 }]);
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

  it('raises one for several clients of an agency together, and one for clients of different agencies', () => {
    refuse(1, HOUR);
    refuse(1, HOUR, other);
    expect(alarms).toEqual([]);
    refuse(1, HOUR, other);
    expect(alarms).toEqual([{ ...other, subjectId: 's', scope: 'agency', refusals: 3, weakAnswers: 0 }]);
    refuse(1, HOUR, elsewhere);
    expect(alarms.slice(1)).toEqual([{ ...elsewhere, subjectId: 's', scope: 'subject', refusals: 4, weakAnswers: 0 }]);
    refuse(5, HOUR, elsewhere, 't');
    expect(alarms.slice(2).map(({ scope }) => scope)).toEqual(['client']);
  });

  it('does not mix a subject with calls of clients that cannot find it', () => {
    for (let i = 0; i < 20; i++) {
      spent.refused({ clientId: `c-${i}`, agency: `a-${i}` }, 's', true);
      nowMs += HOUR;
    }
    expect(alarms).toEqual([]);
  });

  it('is the same after a restart, whatever the order in which records are read', () => {
    const event = fc.record({
      gap: fc.integer({ min: 0, max: 3 * DAY }),
      client: fc.constantFrom(lab, other, elsewhere),
      kind: fc.constantFrom('refused', 'hidden', 'weak', 'strong'),
      count: fc.integer({ min: 1, max: 8 }),
    });
    const tell = (to: SpentBudgets, { client, kind, count }: Told) => {
      if (kind === 'refused' || kind === 'hidden') to.refused(client, 's', kind === 'hidden');
      else to.answered(client, 's', { count, isWeak: kind === 'weak' });
    };
    const note = (to: SpentBudgets, { client, kind, count }: Told, ageMs: number) => {
      if (kind === 'refused' || kind === 'hidden') to.noteRefusal(client, 's', ageMs, kind === 'hidden');
      else to.noteAnswer('s', { count, isWeak: kind === 'weak' }, ageMs);
    };
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), fc.nat(50), (given, cut) => {
        const whole = made(16);
        const noted: (() => void)[] = [];
        let restarted: SpentBudgets | undefined;
        given.forEach(({ gap, ...one }, i) => {
          nowMs += gap;
          if (i === cut) {
            restarted = made(16);
            noted.reverse().forEach((note) => note());
          }
          alarms = [];
          tell(whole, one);
          const expected = [...alarms];
          if (restarted === undefined) {
            const at = nowMs;
            noted.push(() => restarted && note(restarted, one, nowMs - at));
            for (const alarm of expected) noted.push(() => restarted?.noteAlarm(alarm, nowMs - at));
            return;
          }
          alarms = [];
          tell(restarted, one);
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

describe('answers about a subject that no client is refused for', () => {
  /** By ever other clients, of five agencies. */
  let calls = 0;
  function answers(times: number, isWeak: boolean, everyMs = HOUR, subjectId = 's', count = 1): void {
    for (let i = 0; i < times; i++) {
      const client = { clientId: `client-${calls % 20}`, agency: `agency-${calls++ % 5}` };
      spent.answered(client, subjectId, { count, isWeak });
      nowMs += everyMs;
    }
  }
  const ofSubjects = () => alarms.map(({ scope, subjectId, weakAnswers }) => ({ scope, subjectId, weakAnswers }));

  it('raise an alarm when most are weaker than those of mates, by however many clients', () => {
    answers(WEAK_TO_ALARM - 1, true);
    expect(alarms).toEqual([]);
    answers(1, true);
    expect(ofSubjects()).toEqual([{ scope: 'subject', subjectId: 's', weakAnswers: WEAK_TO_ALARM }]);
    answers(300, true, HOUR);
    expect(alarms).toHaveLength(1);
    answers(500, true, HOUR);
    expect(alarms).toHaveLength(2);
  });

  it('raise an alarm among answers to mates when they are too many for those', () => {
    for (let i = 0; i < MANY_WEAK_TO_ALARM - 1; i++) {
      answers(4, false);
      answers(1, true);
    }
    expect(alarms).toEqual([]);
    answers(1, true);
    expect(ofSubjects()).toEqual([{ scope: 'subject', subjectId: 's', weakAnswers: MANY_WEAK_TO_ALARM }]);
  });

  it('raise none about a traveller whom gates of several agencies compare sixty times in a day', () => {
    const random = new Random(11);
    for (let traveller = 0; traveller < 300; traveller++)
      for (let i = 0; i < 60; i++) answers(1, random.uniform() < 0.06, 0, `traveller-${traveller}`);
    expect(alarms).toEqual([]);
  });

  it('raise none when an examiner compares ten fingers of another person, and one when it comes again', () => {
    answers(1, true, HOUR, 's', 10);
    expect(alarms).toEqual([]);
    answers(1, true, HOUR, 's', 10);
    expect(ofSubjects()).toEqual([{ scope: 'subject', subjectId: 's', weakAnswers: 2 * COUNTED_OF_CALL }]);
  });

  it('raise none when they lie further apart', () => {
    answers(100, true, 4 * DAY);
    expect(alarms).toEqual([]);
  });
});
