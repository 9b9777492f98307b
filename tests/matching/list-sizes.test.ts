import fc from 'fast-check';
import { expect, it } from 'vitest';
import { exactShortlist } from '../../src/matching/search/exact-scan.ts';
import { listSizes, SHORTLIST } from '../../src/matching/search/list-sizes.ts';
import { LIST_KINDS } from '../../src/matching/workers/list-lengths.ts';

const kinds = fc.constantFrom(...LIST_KINDS);
const subjects = fc.integer({ min: 1, max: 10_000_000 });
const shares = fc.record({
  ranked: fc.double({ min: 0.001, max: 0.05, noNaN: true }),
  compared: fc.double({ min: 0.001, max: 0.05, noNaN: true }),
});
const candidates = fc.integer({ min: 0, max: 10_000 });

it('never make lists so short that their end is wrong, whatever was measured', () => {
  fc.assert(
    fc.property(kinds, fc.option(shares, { nil: undefined }), subjects, candidates, (kind, measured, all, wished) => {
      const { ranked, wanted } = listSizes(kind, measured, all, wished);
      expect(ranked).toBeGreaterThanOrEqual(wanted);
      if (kind === 'face') {
        expect(wanted).toBe(exactShortlist(wished));
        expect(ranked).toBeGreaterThanOrEqual(1000);
        return;
      }
      const least = Math.max(SHORTLIST.min, SHORTLIST.perCandidate * wished);
      expect(wanted).toBeGreaterThanOrEqual(least);
      expect(ranked).toBeGreaterThanOrEqual(SHORTLIST.ranked * least);
    }),
  );
});

it('have the measured shares of large galleries, and the fixed ones without a measurement', () => {
  const measured = { ranked: 0.02, compared: 0.01 };
  expect(listSizes('fingers', measured, 1_000_000, 10)).toEqual({ ranked: 20_000, wanted: 10_000 });
  expect(listSizes('fingers', undefined, 1_000_000, 10)).toEqual({ ranked: 7500, wanted: 5000 });
  expect(listSizes('face', measured, 1_000_000, 10)).toEqual({ ranked: 20_000, wanted: 200 });
  expect(listSizes('face', undefined, 1_000_000, 10)).toEqual({ ranked: 2000, wanted: 200 });
});
