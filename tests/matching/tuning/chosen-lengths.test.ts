import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chanceOfAtMost } from '../../../src/matching/rates/binomial-limits.ts';
import { fixedShares, listSizes } from '../../../src/matching/search/list-sizes.ts';
import {
  chooseLengths,
  MAX_SHARE,
  MAX_TRIALS,
  MIN_SHARE,
  MIN_TRIALS,
  trialsFor,
  type LengthLimits,
  type MatePlace,
} from '../../../src/matching/tuning/chosen-lengths.ts';
import { Random } from '../../../src/random.ts';

const SUBJECTS = 1_000_000;
const AMONG = 7500;

/** Sizes without the minimum that applies to small galleries, unless it is given. */
function limitsOf(target: number, min = 0, subjects = SUBJECTS): LengthLimits {
  const size = { min, perCandidate: 0, share: 0.005, ranked: 1.5 };
  const sizesOf: LengthLimits['sizesOf'] = (shares) => listSizes('fingers', shares, subjects, 0, size);
  return { target, fixed: fixedShares('fingers'), subjects, sizesOf };
}

const place: fc.Arbitrary<MatePlace> = fc.record({
  byValues: fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 1, max: 200 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: SUBJECTS }) },
    { weight: 1, arbitrary: fc.constant(Infinity) },
  ),
  byVectors: fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 1, max: 200 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: SUBJECTS }) },
    { weight: 1, arbitrary: fc.constant(Infinity) },
  ),
  among: fc.constant(AMONG),
});
const places = fc.array(place, { minLength: MIN_TRIALS, maxLength: 900, size: 'max' });
const targets = fc.constantFrom(0.9, 0.95, 0.99, 0.995);

describe('lengths chosen by the places of mates', () => {
  it('promise no more than the binomial limit allows', () => {
    fc.assert(
      fc.property(places, targets, (all, target) => {
        const chosen = chooseLengths(all, limitsOf(target));
        if (chosen === undefined) throw new Error('enough places, and no lengths');
        const { shares, hits, trials, hitRateLower, isReached } = chosen;
        // Counted anew: the sizes that a search would have.
        const ranked = Math.ceil(Math.max(shares.compared, shares.ranked) * SUBJECTS);
        const wanted = Math.ceil(shares.compared * SUBJECTS);
        const isHit = ({ byValues, byVectors, among }: MatePlace) =>
          byValues <= ranked && byVectors * Math.max(1, ranked / among) <= wanted;
        expect(hits).toBe(all.filter(isHit).length);
        expect(trials).toBe(all.length);
        // The probability of as many hits by chance, were the rate at the stated limit; less one for two lengths.
        expect(1 - chanceOfAtMost(hits - 2, trials, hitRateLower)).toBeLessThanOrEqual(0.05 + 1e-6);
        expect(isReached).toBe(hitRateLower >= target);
      }),
      { numRuns: 60 },
    );
  });

  it('stay within their limits, and follow from the places, not from their order', () => {
    fc.assert(
      fc.property(places, targets, (all, target) => {
        const chosen = chooseLengths(all, limitsOf(target));
        for (const share of Object.values(chosen?.shares ?? {})) {
          expect(share).toBeGreaterThanOrEqual(MIN_SHARE);
          expect(share).toBeLessThanOrEqual(MAX_SHARE);
          expect(share * 10_000).toBeCloseTo(Math.round(share * 10_000), 6);
        }
        expect(chooseLengths(all.toReversed(), limitsOf(target))).toEqual(chosen);
      }),
      { numRuns: 40 },
    );
  });

  it('are shorter than the fixed ones only where they are shown to reach the target', () => {
    const near = (count: number): MatePlace[] =>
      Array.from({ length: count }, () => ({ byValues: 3, byVectors: 2, among: AMONG }));
    const fixed = fixedShares('fingers');
    expect(chooseLengths(near(473), limitsOf(0.99))).toMatchObject({
      shares: { ranked: MIN_SHARE, compared: MIN_SHARE },
      isReached: true,
    });
    expect(chooseLengths(near(472), limitsOf(0.99))).toMatchObject({ shares: fixed, isReached: false });
    const lost = { byValues: Infinity, byVectors: Infinity, among: 0 };
    expect(chooseLengths([...near(472), lost], limitsOf(0.99))).toMatchObject({ shares: fixed, isReached: false });
  });

  it('are as long as needed where a few mates are far behind, and no longer', () => {
    const all = Array.from({ length: 473 }, (_, i) => ({ byValues: i === 7 ? 12_340 : 1, byVectors: 1, among: AMONG }));
    all[9] = { byValues: 2, byVectors: 6000, among: AMONG };
    expect(chooseLengths(all, limitsOf(0.99))).toMatchObject({
      // Among 12,400 instead of 7,500, up to 9,920 subjects may precede it.
      shares: { ranked: 0.0124, compared: 0.01 },
      hits: 473,
      isReached: true,
    });
    // With more probes than needed, the furthest may be missed.
    const more = [...all, ...Array.from({ length: 4000 }, () => ({ byValues: 1, byVectors: 1, among: AMONG }))];
    expect(chooseLengths(more, limitsOf(0.99))).toMatchObject({
      shares: { ranked: MIN_SHARE, compared: MIN_SHARE },
      isReached: true,
    });
  });

  it('are lengthened, where the target is out of reach, only while each doubling finds more mates', () => {
    const lost = { byValues: Infinity, byVectors: Infinity, among: 0 };
    const fixed = fixedShares('fingers');
    // Ten of a thousand are never found: no length reaches 0.995. So many others are at four times the fixed length.
    const with4 = (count: number): MatePlace[] => [
      ...Array.from({ length: 990 - count }, () => ({ byValues: 1, byVectors: 1, among: AMONG })),
      ...Array.from({ length: count }, () => ({ byValues: 2, byVectors: 4 * 5000, among: 50_000 })),
      ...Array.from({ length: 10 }, () => lost),
    ];
    // Two doublings must find twice five.
    expect(chooseLengths(with4(10), limitsOf(0.995))).toMatchObject({
      shares: { ranked: 0.02, compared: 0.02 },
      hits: 990,
      isReached: false,
    });
    expect(chooseLengths(with4(9), limitsOf(0.995))).toMatchObject({ shares: fixed, hits: 981, isReached: false });
  });

  it('count what the minimum of a small gallery finds', () => {
    const all = Array.from({ length: 473 }, (_, i) => ({ byValues: i === 7 ? 1900 : 1, byVectors: 1, among: 3000 }));
    expect(chooseLengths(all, limitsOf(0.99, 2000, 20_000))).toMatchObject({ hits: 473, isReached: true });
    expect(chooseLengths(all, limitsOf(0.99, 0, 20_000))).toMatchObject({ hits: 472, isReached: false });
  });

  it('are not chosen by too few probes', () => {
    const all = Array.from({ length: MIN_TRIALS }, () => ({ byValues: 1, byVectors: 1, among: AMONG }));
    expect(chooseLengths(all, limitsOf(0.9))).toBeDefined();
    expect(chooseLengths(all.slice(1), limitsOf(0.9))).toBeUndefined();
  });

  it('reach the target with other mates, at least as often as they say', () => {
    // Places of mates whose distribution is known: logarithmic, up to the whole gallery.
    const scale = (target: number) => Math.log(20_000) / -Math.log(1 - target);
    const drawn = (random: Random, by: number) => Math.max(1, Math.round(Math.exp(by * -Math.log(random.uniform()))));
    const target = 0.99;
    const by = scale(target);
    let [reached, broken] = [0, 0];
    for (let round = 0; round < 400; round++) {
      const random = new Random(round);
      const mate = () => ({ byValues: drawn(random, by / 2), byVectors: drawn(random, by / 2), among: SUBJECTS });
      const chosen = chooseLengths(Array.from({ length: trialsFor(target) + 300 }, mate), limitsOf(target));
      if (chosen?.isReached !== true) continue;
      reached++;
      const { ranked, wanted } = limitsOf(target).sizesOf(chosen.shares);
      const share = (length: number) => 1 - (length + 0.5) ** (-1 / (by / 2));
      if (share(ranked) * share(wanted) < target) broken++;
    }
    expect(reached).toBeGreaterThan(300);
    // 5 % of 400 and three standard deviations.
    expect(broken).toBeLessThan(0.05 * reached + 3 * Math.sqrt(0.05 * 0.95 * reached));
  });
});

describe('the number of probes', () => {
  it('is what a target takes without a mate missed', () => {
    expect([0.9, 0.99, 0.999, 0.9999].map(trialsFor)).toEqual([MIN_TRIALS, 473, 4742, MAX_TRIALS]);
  });
});
