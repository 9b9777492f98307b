import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { disclosePairs, pairLimit, type PairDisclosure } from '../../src/api/disclosed-duplicates.ts';
import { WEAKEST_CANDIDATE_LOG10 } from '../../src/api/disclosed-answers.ts';
import { Band } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { fpirOf, thresholdFor } from '../../src/matching/rates/fusion.ts';
import type { Candidate } from '../../src/matching/search/candidate-list.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const FPIR = 0.01;
const END = -40;

function found(rates: readonly number[], subjects: number) {
  const duplicates = rates.map((log10Fmr, i) => {
    const probe = { calibration: { measuredLog10: END } };
    const scores = [{ instance: 'face', probe }];
    const subject = { subjectId: `subject-${i}`, attributes: subjectAttributes() };
    const fpir = fpirOf(log10Fmr, subjects);
    return { subject, rank: i + 1, log10Fmr, fpir, band: 'review', scores } as unknown as Candidate;
  });
  return { duplicates, truncated: false, isNeverStrong: false };
}

function shown(
  rates: readonly number[],
  subjects: number,
  asked = 0,
  isExact: PairDisclosure['isExact'] = () => false,
  maxDuplicates = 50,
) {
  const limitLog10 = pairLimit({ maxLog10Fmr: asked }, FPIR, subjects);
  return disclosePairs('probe', found(rates, subjects), { isExact, limitLog10, subjects, maxDuplicates });
}

const rate = fc.integer({ min: -39_999, max: 0 }).map((thousandths) => thousandths / 1000);
const subjects = fc.integer({ min: 2, max: 1_000_000 });

describe('pairs of a caller that enrols its probes', () => {
  it('are the same for all rates between two powers of ten, however many subjects it enrols', () => {
    fc.assert(
      fc.property(rate, fc.double({ min: 0, max: 0.999, noNaN: true }), subjects, rate, (own, within, count, asked) => {
        const [weak, strong] = [Math.ceil(own), Math.ceil(own) - within];
        expect(shown([strong], count, asked)).toEqual(shown([weak], count, asked));
      }),
    );
  });

  it('are never shown beyond the threshold of a search, and never stronger than they are', () => {
    fc.assert(
      fc.property(fc.array(rate, { maxLength: 20 }), subjects, rate, (rates, count, asked) => {
        const limit = Math.min(asked, WEAKEST_CANDIDATE_LOG10, thresholdFor(FPIR, count));
        const { pairs } = shown(rates, count, asked);
        for (const { otherSubjectId, log10Fmr } of pairs) {
          const exact = rates[Number(otherSubjectId.split('-')[1])] ?? 0;
          expect(Number.isInteger(log10Fmr)).toBe(true);
          expect(exact).toBeLessThanOrEqual(limit);
          expect(log10Fmr).toBeGreaterThanOrEqual(exact);
        }
        expect(pairs).toHaveLength(rates.filter((own) => own <= Math.floor(limit)).length);
      }),
    );
  });

  it('are never strong where a record of the pair is from the field, and need a tenth of the rate where one is a minor', () => {
    const limitLog10 = -6;
    const rules = { isExact: () => false, limitLog10, subjects: 100, maxDuplicates: 50 };
    const { duplicates } = found([-30], 100);
    const latent = {
      ...duplicates[0],
      subject: { subjectId: 'l', attributes: subjectAttributes({ provenance: 'latent' }) },
    };
    const pairOf = (duplicate: unknown, isNeverStrong = false) => {
      const one = { duplicates: [duplicate as Candidate], truncated: false, isNeverStrong };
      return disclosePairs('probe', one, rules).pairs;
    };
    expect(pairOf(duplicates[0])).toMatchObject([{ band: Band.STRONG_CANDIDATE }]);
    expect(pairOf(duplicates[0], true)).toMatchObject([{ band: Band.REVIEW }]);
    expect(pairOf(latent)).toMatchObject([{ band: Band.REVIEW }]);
    const minorAt = (log10Fmr: number) => pairOf({ ...duplicates[0], isMinor: true, log10Fmr });
    expect(minorAt(-6.9)).toEqual([]);
    expect(minorAt(-7)).toMatchObject([{ log10Fmr: -7, band: Band.REVIEW }]);
  });

  it('are ordered by what is shown of them, also where one of them may be told exactly', () => {
    const rates = [-12.9, -12.1, -12.5, -30.2];
    const order = (isExact?: PairDisclosure['isExact']) =>
      shown(rates, 100, 0, isExact).pairs.map((pair) => pair.otherSubjectId);
    expect(order()).toEqual(['subject-3', 'subject-0', 'subject-1', 'subject-2']);
    const exactOf = (_: string, other: string) => other === 'subject-2';
    expect(order(exactOf)).toEqual(['subject-3', 'subject-2', 'subject-0', 'subject-1']);
  });

  it('are cut to the length that was asked for, and say so', () => {
    expect(shown([-9, -10, -11], 100, 0, undefined, 2)).toMatchObject({
      pairs: [
        { log10Fmr: -11, band: Band.STRONG_CANDIDATE },
        { log10Fmr: -10, band: Band.STRONG_CANDIDATE },
      ],
      truncated: true,
    });
    expect(shown([-6.5], 100).pairs).toMatchObject([{ log10Fmr: -6, band: Band.REVIEW }]);
  });

  it('are exact where the caller may have exact rates of both', () => {
    const { pairs } = shown([-0.123, -12.345], 100, 0, () => true);
    expect(pairs.map(({ log10Fmr }) => log10Fmr)).toEqual([-0.123, -12.345]);
  });
});
