import { expect, it } from 'vitest';
import { silentRecords } from '../../src/api/found-records.ts';
import type { Identified } from '../../src/matching/search/searcher.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const FPIR = 0.01;

/** @returns the rates of the silent hits among candidates with these rates, as log10 */
function hitsOf(rates: readonly number[], shown: number, silent: number): number[] {
  const candidates = rates.map((log10Fmr, i) => ({
    ...{ subject: { subjectId: `${i}`, attributes: subjectAttributes({}) }, rank: i + 1, log10Fmr, band: 'review' },
  }));
  const found = { result: { subjectsSearched: shown }, unshown: { subjectsSearched: silent, candidates } };
  return silentRecords(found as unknown as Identified, FPIR).map(({ log10Fmr }) => log10Fmr);
}

it('silent hits reach the threshold that the answer would have if the records were shown', () => {
  // FPIR 0.01 among 10 million subjects: a rate of 10⁻⁹.
  expect(hitsOf([-9.1, -8.9, -6], 9_999_999, 1)).toEqual([-9.1]);
});

it('silent hits are no strangers where few subjects are searched', () => {
  // FPIR 0.01 among one subject: a rate of 10⁻².
  expect(hitsOf([-5.1, -4.9, -2.1], 0, 1)).toEqual([-5.1]);
});
