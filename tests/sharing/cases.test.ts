/** The states of a case, by every sequence of steps, against a plain model of what was meant. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { stateAfter, type Actor } from '../../src/sharing/cases/case-rules.ts';
import { viewOf } from '../../src/sharing/cases/case-view.ts';
import {
  CONCLUSIONS,
  stateAt,
  type CandidateDecision,
  type Case,
  type CaseStep,
  type Conclusion,
} from '../../src/sharing/cases/case.ts';

const PEOPLE = ['opener', 'a', 'b', 'c', 'enroller', 'uncleared'] as const;
type Person = (typeof PEOPLE)[number];
const SUBJECTS = ['s1', 's2'];
const LIFE = 100;

function newCase(): Case {
  const candidates = SUBJECTS.map((subjectId, i) => ({
    ...{ subjectId, subjectVersion: 1, owner: 'owner', caveats: [], provenance: 'controlled' },
    ...{ band: 'review', rank: i + 1, log10Fmr: -7 },
  }));
  const facts = {
    ...{ caseId: 'case', agency: 'agency', openedBy: 'opener', checkpointId: 'gate', purpose: 'border-check' },
    ...{ requestId: 'r', createTime: new Date(0), expireTime: new Date(LIFE), candidates },
  };
  return { facts, state: 'open', steps: [], closeTime: undefined, receipt: undefined };
}

const actorOf = (person: Person): Actor => ({
  clientId: person,
  hasEnrolled: person === 'enroller',
  seesAll: person !== 'uncleared',
});
const decisionsOf = (given: readonly Conclusion[]): CandidateDecision[] =>
  given.map((conclusion, i) => ({ subjectId: SUBJECTS[i] ?? '', conclusion, reason: 'other', text: 'x' }));

/** What was meant, without the code of the service: two names, two verdicts, and a clock. */
class Model {
  now = 0;
  readonly analysed: string[] = [];
  readonly verdicts = new Map<string, string>();
  handedOver = false;
  resolved = false;
  reports = 0;

  get state(): string {
    const [one, two] = [...this.verdicts.values()];
    if (this.resolved || (two !== undefined && one === two && !this.handedOver)) return 'closed';
    if (this.now >= LIFE) return 'expired';
    if (this.handedOver) return 'escalated';
    return two === undefined ? 'open' : 'conflict';
  }

  isOutside(person: Person): boolean {
    return !['a', 'b', 'c'].includes(person);
  }

  /** @returns whether the step is taken */
  takes(kind: CaseStep['kind'], person: Person, conclusions: readonly Conclusion[]): boolean {
    const { state } = this;
    const isOne = this.analysed.includes(person);
    const isComplete = conclusions.length === SUBJECTS.length;
    if (kind === 'outcome') return (state === 'closed' || state === 'expired') && this.reports < 32;
    if (this.isOutside(person)) return false;
    if (kind === 'analysis') return state === 'open' && !isOne && this.analysed.length < 2;
    if (kind === 'review') return state === 'open' && isOne && !this.verdicts.has(person) && isComplete;
    if (kind === 'escalation') return state === 'open' && isOne;
    return (state === 'conflict' || state === 'escalated') && !isOne && isComplete;
  }

  take(kind: CaseStep['kind'], person: Person, conclusions: readonly Conclusion[]): void {
    if (kind === 'analysis') this.analysed.push(person);
    else if (kind === 'review') this.verdicts.set(person, conclusions.join());
    else if (kind === 'escalation') this.handedOver = true;
    else if (kind === 'resolution') this.resolved = true;
    else this.reports++;
  }
}

interface Real {
  found: Case;
}

class Take implements fc.Command<Model, Real> {
  readonly #kind: CaseStep['kind'];
  readonly #person: Person;
  readonly #conclusions: readonly Conclusion[];

  constructor(kind: CaseStep['kind'], person: Person, conclusions: readonly Conclusion[]) {
    this.#kind = kind;
    this.#person = person;
    this.#conclusions = conclusions;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    const step = stepOf(this.#kind, this.#person, this.#conclusions, model.now);
    const isMeant = model.takes(this.#kind, this.#person, this.#conclusions);
    if (isMeant) {
      const state = stateAfter(real.found, step, actorOf(this.#person));
      // As a row is written and read again, e.g. by a service that was restarted.
      const steps = [...real.found.steps, step];
      real.found = { ...real.found, state, steps: JSON.parse(JSON.stringify(steps)) as CaseStep[] };
      model.take(this.#kind, this.#person, this.#conclusions);
    } else expect(() => stateAfter(real.found, step, actorOf(this.#person))).toThrow(Failure);
    expectSame(model, real);
  }

  toString(): string {
    return `${this.#person} ${this.#kind} ${this.#conclusions.join()}`;
  }
}

class Wait implements fc.Command<Model, Real> {
  readonly #time: number;

  constructor(time: number) {
    this.#time = time;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    model.now += this.#time;
    expectSame(model, real);
  }

  toString(): string {
    return `wait ${this.#time}`;
  }
}

function stepOf(kind: CaseStep['kind'], clientId: string, given: readonly Conclusion[], at: number): CaseStep {
  if (kind === 'analysis') return { kind, clientId, at, value: 'sufficient', usableMinutiae: 1, text: '' };
  if (kind === 'escalation') return { kind, clientId, at, reason: 'why' };
  if (kind === 'outcome')
    return { kind, clientId, at, agency: 'agency', subjectId: 's1', finding: 'unknown', text: '' };
  return { kind, clientId, at, decisions: decisionsOf(given) };
}

function expectSame(model: Model, { found }: Real): void {
  const now = new Date(model.now);
  const state = stateAt(found, now);
  expect(state).toBe(model.state);
  for (const person of PEOPLE) {
    const may = !model.isOutside(person);
    const view = viewOf(found, { clientId: person, mayReview: may, mayResolve: false }, now);
    const isOver = state === 'closed' || state === 'expired';
    const hasAnalysed = model.analysed.includes(person);
    // Unmasking: no candidates before the own analysis. Blindness: no step of another before both have decided.
    expect(view.showsCandidates).toBe(isOver || hasAnalysed);
    if (!isOver && state !== 'conflict') expect(view.steps.every(({ clientId }) => clientId === person)).toBe(true);
    if (isOver) expect(view.showsProbe).toBe(false);
    if (!may && !isOver) expect(view).toEqual({ showsProbe: false, showsCandidates: false, steps: [] });
  }
}

const conclusions = fc.array(fc.constantFrom(...CONCLUSIONS.slice(0, 2)), { minLength: 1, maxLength: 2 });
const person = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c') }, fc.constantFrom(...PEOPLE));
const kind = fc.constantFrom('analysis', 'analysis', 'review', 'review', 'resolution', 'escalation', 'outcome');
const commands = fc.commands(
  [
    fc.tuple(kind, person, conclusions).map((given) => new Take(...given)),
    fc.integer({ min: 0, max: 30 }).map((time) => new Wait(time)),
  ],
  { maxCommands: 40 },
);

describe('a case', () => {
  it('takes the steps that were meant, in every order, and shows no more than was meant', () => {
    fc.assert(
      fc.property(commands, (given) => {
        fc.modelRun(() => ({ model: new Model(), real: { found: newCase() } }), given);
      }),
      { numRuns: 300 },
    );
  });

  it('takes no more than 32 reports', () => {
    let found: Case = { ...newCase(), state: 'closed' };
    const step = stepOf('outcome', 'a', [], 1);
    for (let i = 0; i < 32; i++) {
      expect(stateAfter(found, step, actorOf('a'))).toBe('closed');
      found = { ...found, steps: [...found.steps, step] };
    }
    expect(() => stateAfter(found, step, actorOf('a'))).toThrow(
      expect.objectContaining({ reason: 'TOO_MANY_OUTCOMES' }) as Error,
    );
  });

  it('shows a supervisor all where it has to decide, and nothing before', () => {
    const viewer = { clientId: 's', mayReview: false, mayResolve: true };
    const steps = [stepOf('analysis', 'a', [], 1)];
    const found = { ...newCase(), steps };
    expect(viewOf(found, viewer, new Date(1)).steps).toEqual([]);
    const all = { showsProbe: true, showsCandidates: true, steps };
    expect(viewOf({ ...found, state: 'escalated' }, viewer, new Date(1))).toEqual(all);
  });
});
