import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NEVER_SEARCHED_MS, searchedUntilMs } from '../../src/gallery/record-life.ts';
import { encodeSubject, SubjectLines, type IndexedSubject } from '../../src/gallery/subject-lines.ts';
import { HANDLING_CODES } from '../../src/store/records.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const time = fc.option(fc.integer({ min: -2.2e12, max: 2.5e14 }), { nil: undefined });
const handling = fc.option(
  fc.record({ code: fc.constantFrom(...HANDLING_CODES), instructions: fc.string(), contact: fc.string() }),
  { nil: undefined },
);
const attributes = fc
  .record({
    searchedUntilMs: fc.oneof(time, fc.constant(NEVER_SEARCHED_MS)),
    minorUntilMs: time,
    handling,
    galleries: fc.subarray(['a', 'b']).map((names) => new Set(names)),
  })
  .map((changes) => subjectAttributes(changes));
const subject = (known: IndexedSubject['attributes']): IndexedSubject => ({
  subjectId: randomUUID(),
  attributes: known,
  references: [[randomUUID(), 'finger:2']],
});

describe('a line of an index', () => {
  it('gives back the subject', () => {
    fc.assert(
      fc.property(fc.array(attributes, { minLength: 1 }), (all) => {
        const subjects = all.map(subject);
        const block = Buffer.from(subjects.map(encodeSubject).join(''));
        expect(new SubjectLines().decode(block)).toEqual(subjects);
      }),
    );
  });

  it('of a subject that is of age, for which nothing is asked, is that of earlier versions', () => {
    const one = { ...subject(subjectAttributes({ searchedUntilMs: 5 })), subjectId: 's', references: [] };
    expect(encodeSubject(one)).toBe('["s",1,"agency",["main"],[],"synthetic",5,0,[]]\n');
  });
});

describe('the limit of a record', () => {
  it('is the first of its expiry and its review, and before all time where it is suspended', () => {
    const at = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));
    fc.assert(
      fc.property(time, time, (expires, review) => {
        const limits = { expireTime: at(expires), reviewTime: at(review) };
        const given = [expires, review].filter((one) => one !== undefined);
        const first = given.length === 0 ? undefined : Math.min(...given);
        expect(searchedUntilMs({ ...limits, suspended: false })).toBe(first);
        expect(searchedUntilMs({ ...limits, suspended: true })).toBe(NEVER_SEARCHED_MS);
      }),
    );
  });
});
