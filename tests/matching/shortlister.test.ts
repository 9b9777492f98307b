import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Segment } from '../../src/gallery/segment.ts';
import { REMOVED_SIMILARITY } from '../../src/matching/kernels/kernels.ts';
import { fuseLog10Rates } from '../../src/matching/rates/fusion.ts';
import { minSum, Shortlister, type ShortlistRequest } from '../../src/matching/workers/shortlister.ts';

const ORDINALS = 12;

/** References for one probe, with owner and similarity; each list is a segment. */
type Segments = readonly (readonly { readonly owner: number; readonly similarity: number }[])[];

function task(probes: readonly Segments[], wanted: number, least = minSum(0)): ShortlistRequest {
  const all = probes.flat(2);
  const similarities = new SharedArrayBuffer(all.length * 2);
  new Int16Array(similarities).set(all.map(({ similarity }) => similarity));
  let offset = 0;
  const parts = probes.flatMap((segments, instance) =>
    segments.map((references) => {
      const segment = new Segment(Math.max(1, references.length), 16, { scratchBytes: 16 });
      references.forEach(({ owner }) => segment.append(new Uint8Array(16), owner));
      const part = {
        instance,
        segment: segment.handle,
        count: references.length,
        offset,
        face: undefined,
        rates: undefined,
      };
      offset += references.length;
      return part;
    }),
  );
  return { parts, similarities, ordinals: ORDINALS, wanted, least };
}

/** The ranking by plain maps: subjects with their ranks, greatest first. */
function ranked(probes: readonly Segments[], rank: (sum: number, count: number) => number): [number, number][] {
  const all = new Map<number, number[]>();
  for (const segments of probes) {
    const best = new Map<number, number>();
    for (const { owner, similarity } of segments.flat()) {
      if (similarity !== REMOVED_SIMILARITY) best.set(owner, Math.max(similarity, best.get(owner) ?? -Infinity));
    }
    for (const [owner, similarity] of best) all.set(owner, [...(all.get(owner) ?? []), similarity]);
  }
  return [...all]
    .map(([owner, values]): [number, number] => [
      owner,
      rank(
        values.reduce((a, b) => a + b, 0),
        values.length,
      ),
    ])
    .sort(([, a], [, b]) => b - a);
}

const similarity = fc.oneof(fc.integer({ min: -32_767, max: 32_767 }), fc.constant(REMOVED_SIMILARITY));
const reference = fc.record({ owner: fc.nat(ORDINALS - 1), similarity });
const segmentLists = fc.array(fc.array(fc.array(reference, { maxLength: 8 }), { maxLength: 3 }), { maxLength: 3 });

describe('the shortlist', () => {
  const shortlister = new Shortlister();

  it('ranks by the fused rate, and drops subjects that cannot reach the threshold', () => {
    const rate = fc.integer({ min: 0, max: 12_000 });
    const rates = fc.array(fc.array(fc.array(fc.record({ owner: fc.nat(ORDINALS - 1), similarity: rate }))), {
      maxLength: 10,
    });
    fc.assert(
      fc.property(
        rates,
        fc.integer({ min: 1, max: ORDINALS }),
        fc.integer({ min: -15, max: 0 }),
        (probes, wanted, threshold) => {
          // Whatever the threshold, a candidate needs one notable rate.
          const enough = Math.max(990, -1000 * threshold - 10);
          // Fisher's method depends only on the sum of the logarithms.
          const fused = (sum: number, count: number) =>
            sum < enough ? -1 : -1000 * fuseLog10Rates([-sum / 1000, ...Array<number>(count - 1).fill(0)]);
          const expected = ranked(probes, fused).filter(([, rank]) => rank >= 0);
          const chosen = [...shortlister.choose(task(probes, wanted, minSum(threshold)))];
          const least = expected[Math.min(wanted, expected.length) - 1]?.[1] ?? 0;
          for (const [owner, rank] of expected) {
            if (rank >= least + 2) expect(chosen).toContain(owner);
            else if (rank < least - 20) expect(chosen).not.toContain(owner);
          }
          expect(chosen.every((owner) => expected.some(([known]) => known === owner))).toBe(true);
        },
      ),
    );
  });

  it('does not rank one mated finger behind ten non-mated ones', () => {
    // A mate with one enrolled finger, and non-mates slightly similar in ten.
    const strangers = Array.from({ length: 10 }, () => [
      Array.from({ length: ORDINALS - 1 }, (_, owner) => ({ owner, similarity: 900 })),
    ]);
    const mate = [[{ owner: ORDINALS - 1, similarity: 8000 }]];
    expect([...shortlister.choose(task([...strangers, mate], 1))]).toEqual([ORDINALS - 1]);
  });

  it('does not depend on the order of references and segments', () => {
    fc.assert(
      fc.property(segmentLists, fc.integer({ min: 1, max: 5 }), (probes, wanted) => {
        const other = probes.map((segments) => [...segments].reverse().map((references) => [...references].reverse()));
        expect(shortlister.choose(task(other, wanted))).toEqual(shortlister.choose(task(probes, wanted)));
      }),
    );
  });

  it.each(['Int16Array', 'Int32Array', 'Uint8Array'])('is right after there was no memory for its %s', (kind) => {
    // By sums alone, without their number, the first subject would be the better one.
    const many = Array.from({ length: 10 }, () => [[{ owner: 1, similarity: 900 }]]);
    const request = task([...many, [[{ owner: 2, similarity: 8000 }]]], 1);
    const own = new Shortlister();
    vi.stubGlobal(kind, function () {
      throw new RangeError('no memory');
    });
    expect(() => own.choose(request)).toThrow('no memory');
    vi.unstubAllGlobals();
    expect([...own.choose(request)]).toEqual([2]);
  });
});
