import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EnrolmentOutcome } from '../../src/store/enrolments.ts';
import type { NewEnrolment } from '../../src/store/records.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { enrolment, reference } from './records.ts';

const keys = temporaryKeys();

let cluster: TestCluster;
let store: Store;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  store = await openStore({
    databaseUrl: await cluster.createDatabase(),
    dataDir: '',
    keys,
    log: () => undefined,
  });
  return () => store.close();
});

function summary(outcomes: readonly EnrolmentOutcome[]): (string | number)[] {
  return outcomes.map((outcome) => ('failure' in outcome ? outcome.failure.reason : outcome.seq));
}

/** Records that the database rejects although their types are valid. */
const faulty: Record<string, () => NewEnrolment> = {
  'a quality out of range': () => ({ ...enrolment(), references: [reference({ quality: 999 })] }),
  'a zero byte in a text': () => enrolment({ externalId: 'a\0b' }),
  'a time before all times': () => enrolment({ expireTime: new Date(-8.64e15) }),
  'an empty contributor': () => enrolment({ contributor: '' }, 'named'),
};

describe('a batch', () => {
  it.each(Object.entries(faulty))('loses only the record with %s', async (_, make) => {
    const batch = [enrolment(), enrolment({}, 'r-1'), make(), enrolment(), enrolment()];
    expect(summary(await store.subjects.enrollMany(batch))).toEqual([1, 2, 'STORE_ERROR', 3, 4]);
    expect(summary(await store.subjects.enrollMany([make()]))).toEqual(['STORE_ERROR']);
    expect(await store.subjects.counts()).toEqual({ subjects: 4, references: 4 });
  });

  it('stores exactly the good records, in any order of good and bad ones', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom('good', 'faulty', 'taken'), { maxLength: 20 }), async (kinds) => {
        const before = await store.subjects.headSequence();
        const taken = enrolment({ externalId: `taken-${before}` });
        const head = (await store.subjects.enroll(taken.subject, taken.references)).seq;
        const batch = kinds.map((kind) => {
          if (kind === 'faulty') return enrolment({ externalId: '\0' });
          return enrolment(kind === 'taken' ? { externalId: `taken-${before}` } : {});
        });
        let next = head;
        const expected = kinds.map((kind) => {
          if (kind === 'good') return ++next;
          return kind === 'faulty' ? 'STORE_ERROR' : 'EXTERNAL_ID_TAKEN';
        });
        expect(summary(await store.subjects.enrollMany(batch))).toEqual(expected);
        expect(await store.subjects.headSequence()).toBe(next);
        const found = await store.subjects.loadSubjects(batch.map(({ subject }) => subject.subjectId));
        expect(found).toHaveLength(kinds.filter((kind) => kind === 'good').length);
      }),
      { numRuns: 25 },
    );
  });

  it('enrols a request id once and returns the same subject when it is repeated', async () => {
    const outcomes = await store.subjects.enrollMany([
      enrolment(),
      enrolment({}, 'twice'),
      enrolment({}, 'twice'),
      enrolment({}, 'twice', 'other'),
    ]);
    expect(summary(outcomes)).toEqual([1, 2, 2, 'CLIENT_REQUEST_ID_REUSED']);
    expect(outcomes[2]).toMatchObject({ repeated: true, subject: { version: 1 } });
  });

  it('gives an external id to the first of two records', async () => {
    const batch = ['z', 'a', 'z', 'a'].map((externalId) => enrolment({ externalId }));
    expect(summary(await store.subjects.enrollMany(batch))).toEqual([1, 2, 'EXTERNAL_ID_TAKEN', 'EXTERNAL_ID_TAKEN']);
  });

  it.each([true, false])(
    'does not deadlock with a batch of the same records in reverse order (request ids: %s)',
    async (named) => {
      for (let round = 0; round < 5; round++) {
        const batch = () =>
          Array.from({ length: 200 }, (_, i) => {
            const name = `${round}-${i}`;
            return enrolment({ externalId: name }, named ? name : undefined);
          });
        const outcomes = await Promise.all([
          store.subjects.enrollMany(batch()),
          store.subjects.enrollMany(batch().reverse()),
        ]);
        const isFresh = (outcome: EnrolmentOutcome) => !('failure' in outcome) && !outcome.repeated;
        expect(outcomes.flat().filter(isFresh)).toHaveLength(200);
        const others = outcomes.flat().filter((outcome) => !isFresh(outcome));
        const answers = others.map((outcome) => ('failure' in outcome ? outcome.failure.reason : 'repeated'));
        expect(new Set(answers)).toEqual(new Set([named ? 'repeated' : 'EXTERNAL_ID_TAKEN']));
      }
      expect(await store.subjects.headSequence()).toBe(1000);
    },
  );

  it('treats galleries as a set, and returns them as stored', async () => {
    const given = enrolment({ galleries: ['b', 'A', 'b', '_'] });
    const { subject } = await store.subjects.enroll(given.subject, given.references);
    expect(subject.galleries).toEqual(['A', '_', 'b']);
    expect((await store.subjects.get(subject.subjectId))?.subject).toEqual(subject);
    const updated = await store.subjects.update(subject.subjectId, 1, { galleries: ['x', 'x'] }, undefined);
    expect(updated.subject.galleries).toEqual(['x']);
  });

  it('stores every time it accepts unchanged', async () => {
    const time = fc.date({ min: new Date('0001-01-01'), max: new Date(8.64e15), noInvalidDate: true });
    await fc.assert(
      fc.asyncProperty(time, async (expireTime) => {
        const given = enrolment({ expireTime });
        const { subject } = await store.subjects.enroll(given.subject, [reference({ captureTime: expireTime })]);
        const found = await store.subjects.get(subject.subjectId);
        expect([found?.subject.expireTime, found?.references[0]?.captureTime]).toEqual([expireTime, expireTime]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a repeated request', () => {
  it('never returns a subject with references of another version', async () => {
    const given = enrolment({}, 'r-1');
    const { subject } = await store.subjects.enroll(given.subject, given.references, given.clientRequest);
    const updating = async () => {
      for (let version = 1; version <= 30; version++)
        await store.subjects.update(subject.subjectId, version, {}, [reference({ minutiaCount: version + 1 })]);
    };
    let isDone = false;
    const done = updating().finally(() => (isDone = true));
    while (!isDone) {
      const again = enrolment({}, 'r-1');
      const answer = await store.subjects.enroll(again.subject, again.references, again.clientRequest);
      expect(answer.repeated).toBe(true);
      if (answer.subject.version > 1) expect(answer.references[0]?.minutiaCount).toBe(answer.subject.version);
    }
    await done;
  });

  it('that races with the expunction is refused with SUBJECT_EXPUNGED, or still answered', async () => {
    for (let round = 0; round < 15; round++) {
      const given = enrolment({}, `r-${round}`);
      const { subject } = await store.subjects.enroll(given.subject, given.references, given.clientRequest);
      const again = Array.from({ length: 4 }, () => enrolment({}, `r-${round}`));
      const [, ...answers] = await Promise.all([
        store.subjects.expunge(subject.subjectId, 'asked', () => 'receipt'),
        ...again.map((one) => store.subjects.enrollMany([one])),
      ]);
      for (const [outcome] of answers)
        expect(outcome !== undefined && 'failure' in outcome ? outcome.failure.reason : 'answered').toMatch(
          /^(SUBJECT_EXPUNGED|answered)$/,
        );
    }
  });
});
