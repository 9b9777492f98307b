import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SubjectEntry } from '../../src/gallery/catalogue.ts';
import { RecordClasses } from '../../src/gallery/record-classes.ts';
import {
  fuse,
  makeCandidateList,
  sampleScore,
  instanceNameOf,
  type SampleScore,
} from '../../src/matching/search/candidate-list.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { somePrint } from '../prints.ts';
import type { SubjectAttributes } from '../../src/gallery/catalogue.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const probe = (position: 0 | 2 | 7): Probe => ({
  sampleIndex: 0,
  viewIndex: 0,
  template: { ...somePrint(1), position },
  packed: undefined,
  calibration: SHIPPED_CALIBRATIONS.finger,
});

function scored(score: number, instance: string, comparisons = 1): SampleScore {
  return sampleScore(probe(2), { referenceId: 'r', instance }, score, comparisons);
}

function subject(subjectId: string, changes: Partial<SubjectAttributes> = {}): SubjectEntry {
  const attributes = subjectAttributes({ provenance: 'controlled', ...changes });
  const recordClass = new RecordClasses().classOf(attributes);
  return { subjectId, ordinal: 0, attributes, recordClass, references: [], earlier: [] };
}

describe('fusing the scores of a subject', () => {
  it('makes two fingers stronger than one, but not one finger repeated', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 2000 }), fc.integer({ min: 2, max: 16 }), (score, times) => {
        const once = fuse([scored(score, 'finger:2')]);
        const repeated = fuse(Array.from({ length: times }, () => scored(score, 'finger:2')));
        // The choice of the best is corrected for, like that among references.
        expect(repeated).toBe(fuse([scored(score, 'finger:2', times)]));
        expect(repeated).toBeGreaterThanOrEqual(once);
        expect(fuse([scored(score, 'finger:2'), scored(score, 'finger:7')])).toBeLessThan(once);
      }),
    );
  });

  it('corrects for the choice among several references', () => {
    expect(fuse([scored(1000, 'finger:2', 10)])).toBeCloseTo(fuse([scored(1000, 'finger:2')]) + 1, 1);
  });

  it('identifies a finger by whichever position is known', () => {
    expect([
      instanceNameOf(probe(2), 0, 'r'),
      instanceNameOf(probe(0), 7, 'r'),
      instanceNameOf(probe(0), 0, 'r'),
    ]).toEqual(['finger:2', 'finger:7', 'reference:r']);
  });
});

describe('a candidate list', () => {
  const rules = {
    maxCandidates: 2,
    thresholdLog10: -2,
    standardThresholdLog10: -4,
    subjectsSearched: 100,
    instantMs: 1000,
  };

  it('is ordered by rate, then sum of scores, then id, independent of the order of the work', () => {
    const finger = (...scores: number[]) => scores.map((score) => scored(score, 'finger:2'));
    const people = [
      { subject: subject('d'), scores: finger(900, 500) },
      // The best of two samples of one finger counts: these have the rate of `d`, and more in sum.
      { subject: subject('f'), scores: finger(900, 800) },
      { subject: subject('b'), scores: finger(900, 500) },
      { subject: subject('a'), scores: finger(900, 400) },
      // A higher rate and a lower sum than `f`.
      { subject: subject('z'), scores: finger(1500) },
      { subject: subject('c'), scores: finger(10) },
      { subject: subject('e'), scores: [] },
    ];
    const rates = people.slice(0, 4).map(({ scores }) => fuse(scores));
    expect(new Set(rates).size).toBe(1);
    const ranked = ['z', 'f', 'b', 'd', 'a'];
    fc.assert(
      fc.property(fc.shuffledSubarray(people, { minLength: 7 }), fc.integer({ min: 1, max: 7 }), (order, length) => {
        const { candidates, truncated } = makeCandidateList(order, { ...rules, maxCandidates: length });
        const expected = ranked.slice(0, length).map((subjectId, i) => [subjectId, i + 1]);
        expect(candidates.map(({ subject: { subjectId }, rank }) => [subjectId, rank])).toEqual(expected);
        expect(truncated).toBe(length < ranked.length);
      }),
    );
  });

  it('includes a subject exactly at the threshold, and none below', () => {
    const one = [{ subject: subject('a'), scores: [scored(900, 'finger:2')] }];
    const thresholdLog10 = fuse(one[0].scores);
    const at = (threshold: number) => makeCandidateList(one, { ...rules, thresholdLog10: threshold });
    expect(at(thresholdLog10)).toMatchObject({ band: 'review', candidates: [{ log10Fmr: thresholdLog10 }] });
    expect(at(thresholdLog10 - 1e-9)).toEqual({ candidates: [], band: 'no-candidate', truncated: false });
  });

  it('never contains a subject without a comparison, even at a threshold of rate 1', () => {
    const nothing = [{ subject: subject('a'), scores: [] }];
    expect(makeCandidateList(nothing, { ...rules, thresholdLog10: 0 }).candidates).toEqual([]);
  });

  it('states the FPIR for the number of subjects searched', () => {
    const one = [{ subject: subject('a'), scores: [scored(900, 'finger:2')] }];
    const fpirOver = (subjectsSearched: number) =>
      makeCandidateList(one, { ...rules, subjectsSearched }).candidates[0]?.fpir ?? NaN;
    const fmr = 10 ** fuse(one[0].scores);
    expect(fpirOver(1)).toBeCloseTo(fmr, 9);
    expect(fpirOver(200)).toBeCloseTo(1 - (1 - fmr) ** 200, 9);
  });

  it('calls a candidate strong only a thousand times below both thresholds', () => {
    const one = [{ subject: subject('a'), scores: [scored(1800, 'finger:2')] }];
    const rate = fuse(one[0].scores);
    const bandAt = (thresholdLog10: number, standardThresholdLog10: number) =>
      makeCandidateList(one, { ...rules, thresholdLog10, standardThresholdLog10 }).band;
    for (const lax of [rate + 3, rate + 4, 0]) {
      expect(bandAt(rate + 3, lax)).toBe('strong-candidate');
      expect(bandAt(lax, rate + 3)).toBe('strong-candidate');
    }
    for (const lax of [rate + 2.999, rate + 4, 0]) {
      expect(bandAt(rate + 2.999, lax)).toBe('review');
      expect(bandAt(lax, rate + 2.999)).toBe('review');
    }
    expect(makeCandidateList([], rules).band).toBe('no-candidate');
  });

  it('never calls a candidate strong whose record is from the field, and has the highest band of its candidates', () => {
    const strong = scored(1800, 'finger:2');
    const capped: Partial<SubjectAttributes>[] = [
      { provenance: 'field' },
      { provenance: 'latent' },
      { provenance: 'controlled', caveats: ['BATTLEFIELD-ONLY'] },
    ];
    for (const changes of capped) {
      const one = { subject: subject('a', changes), scores: [strong] };
      const review = { band: 'review', candidates: [{ band: 'review' }] };
      expect(makeCandidateList([one], rules)).toMatchObject(review);
      const pair = { ...rules, searchedWith: one.subject.attributes };
      expect(makeCandidateList([{ ...one, subject: subject('c') }], pair)).toMatchObject(review);
      const both = makeCandidateList([one, { subject: subject('b'), scores: [strong] }], rules);
      expect(both.candidates.map(({ band }) => band)).toEqual(['review', 'strong-candidate']);
      expect(both.band).toBe('strong-candidate');
    }
    for (const provenance of ['unspecified', 'controlled', 'synthetic'] as const)
      expect(makeCandidateList([{ subject: subject('a', { provenance }), scores: [strong] }], rules).band).toBe(
        'strong-candidate',
      );
  });

  it('asks ten times more of a minor, until the instant at which it comes of age', () => {
    const scores = [scored(1800, 'finger:2')];
    const rate = fuse(scores);
    const listed = (
      changes: Partial<SubjectAttributes>,
      thresholdLog10: number,
      standardThresholdLog10 = -4,
      searchedWith?: SubjectAttributes,
    ) =>
      makeCandidateList([{ subject: subject('a', changes), scores }], {
        ...{ ...rules, thresholdLog10, standardThresholdLog10, searchedWith },
      }).candidates;
    for (const minor of [{ minorUntilMs: 1001 }, { caveats: ['MINOR'] }]) {
      expect(listed(minor, rate + 1)).toMatchObject([{ isMinor: true }]);
      // A pair of records, too, whichever of the two was searched with.
      for (const pair of [
        [minor, {}],
        [{}, minor],
      ]) {
        const searchedWith = subjectAttributes({ provenance: 'controlled', ...pair[1] });
        expect(listed(pair[0], rate + 1, -4, searchedWith)).toMatchObject([{ isMinor: true }]);
        expect(listed(pair[0], rate + 0.999, -4, searchedWith)).toEqual([]);
      }
      expect(listed(minor, rate + 0.999)).toEqual([]);
      expect(listed(minor, rate + 4, 0)).toMatchObject([{ band: 'strong-candidate' }]);
      expect(listed(minor, rate + 3.999, 0)).toMatchObject([{ band: 'review' }]);
    }
    expect(listed({ minorUntilMs: 1000 }, rate)).toMatchObject([{ isMinor: false }]);
  });
});
