import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SubjectEntry } from '../../src/gallery/catalogue.ts';
import { fuse, makeCandidateList, sampleScore, traitOf, type SampleScore } from '../../src/matching/candidate-list.ts';
import { fingerCalibration } from '../../src/matching/calibration.ts';
import type { Probe } from '../../src/matching/probe.ts';
import { somePrint } from '../prints.ts';

const probe = (position: 0 | 2 | 7): Probe => ({
  sampleIndex: 0,
  viewIndex: 0,
  template: { ...somePrint(1), position },
  packed: undefined,
  calibration: fingerCalibration(),
});

function scored(score: number, trait: string, comparisons = 1): SampleScore {
  return sampleScore(probe(2), { referenceId: 'r', trait }, score, comparisons);
}

function subject(subjectId: string): SubjectEntry {
  const attributes = {
    version: 1,
    contributor: 'a',
    galleries: new Set(['g']),
    caveats: [],
    provenance: 'field',
    expireTimeMs: undefined,
    notComparableCount: 0,
  } as const;
  return { subjectId, ordinal: 0, attributes, references: [], earlier: [] };
}

describe('fusing the scores of a subject', () => {
  it('makes two fingers stronger than one, but not one finger sent many times', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 2000 }), fc.integer({ min: 2, max: 16 }), (score, times) => {
        const once = fuse([scored(score, 'finger:2')]);
        const repeated = fuse(Array.from({ length: times }, () => scored(score, 'finger:2')));
        expect(repeated).toBeGreaterThanOrEqual(once);
        expect(fuse([scored(score, 'finger:2'), scored(score, 'finger:7')])).toBeLessThan(once);
      }),
    );
  });

  it('pays for the choice among several references', () => {
    expect(fuse([scored(1000, 'finger:2', 10)])).toBeCloseTo(fuse([scored(1000, 'finger:2')]) + 1, 1);
  });

  it('knows a finger by whichever position is known', () => {
    expect([traitOf(probe(2), 0, 'r'), traitOf(probe(0), 7, 'r'), traitOf(probe(0), 0, 'r')]).toEqual([
      'finger:2',
      'finger:7',
      'reference:r',
    ]);
  });
});

describe('a candidate list', () => {
  const rules = { maxCandidates: 2, thresholdLog10: -2, standardThresholdLog10: -4, subjectsSearched: 100 };

  it('is ordered by rate, then score, then id, whatever the order of the work', () => {
    const people = [
      { subject: subject('c'), scores: [scored(900, 'finger:2')] },
      { subject: subject('a'), scores: [scored(900, 'finger:2')] },
      { subject: subject('b'), scores: [scored(1500, 'finger:2')] },
      { subject: subject('d'), scores: [scored(10, 'finger:2')] },
      { subject: subject('e'), scores: [] },
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(people, { minLength: 5 }), (order) => {
        const { candidates, truncated } = makeCandidateList(order, rules);
        expect(candidates.map(({ subject: { subjectId }, rank }) => [subjectId, rank])).toEqual([
          ['b', 1],
          ['a', 2],
        ]);
        expect(truncated).toBe(true);
      }),
    );
  });

  it('calls strong only what is a thousand times rarer than both thresholds ask for', () => {
    const bands = [850, 1300, 1800].map(
      (score) => makeCandidateList([{ subject: subject('a'), scores: [scored(score, 'finger:2')] }], rules).band,
    );
    expect(bands).toEqual(['review', 'review', 'strong-candidate']);
    expect(makeCandidateList([], rules).band).toBe('no-candidate');
  });
});
