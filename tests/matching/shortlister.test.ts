import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Segment, type NumberedOwner } from '../../src/gallery/segment.ts';
import { REMOVED_SIMILARITY } from '../../src/matching/kernels.ts';
import type { ShortlistTask } from '../../src/matching/messages.ts';
import { Shortlister } from '../../src/matching/shortlister.ts';

const ORDINALS = 12;

/** References of one probe: who owns them, and how alike they are; a list is a segment. */
type Segments = readonly (readonly { readonly owner: number; readonly similarity: number }[])[];

function task(
  probes: readonly Segments[],
  wanted: number,
  scopes?: readonly Uint8Array[],
  least = -Infinity,
): ShortlistTask {
  const all = probes.flat(2);
  const similarities = new SharedArrayBuffer(all.length * 2);
  new Int16Array(similarities).set(all.map(({ similarity }) => similarity));
  let offset = 0;
  const parts = probes.flatMap((segments, probe) =>
    segments.map((references) => {
      const segment = new Segment<NumberedOwner>(Math.max(1, references.length), 16, 16);
      references.forEach(({ owner }) => segment.append(new Uint8Array(16), { ordinal: owner }, 'r'));
      const part = { probe, segment: segment.handle, count: references.length, offset };
      offset += references.length;
      return part;
    }),
  );
  const shared = scopes?.map((bytes) => {
    const scope = new SharedArrayBuffer(bytes.length);
    new Uint8Array(scope).set(bytes);
    return scope;
  });
  return { kind: 'shortlist', parts, similarities, ordinals: ORDINALS, wanted, least, scopes: shared };
}

/** The same by plain maps: subjects and their sums, the greatest first. */
function sums(probes: readonly Segments[], inScope: (owner: number) => boolean): [number, number][] {
  const total = new Map<number, number>();
  for (const segments of probes) {
    const best = new Map<number, number>();
    for (const { owner, similarity } of segments.flat()) {
      if (similarity !== REMOVED_SIMILARITY) best.set(owner, Math.max(similarity, best.get(owner) ?? -Infinity));
    }
    for (const [owner, similarity] of best) total.set(owner, (total.get(owner) ?? 0) + similarity);
  }
  return [...total].filter(([owner]) => inScope(owner)).sort(([, a], [, b]) => b - a);
}

const similarity = fc.oneof(fc.integer({ min: -32_767, max: 32_767 }), fc.constant(REMOVED_SIMILARITY));
const reference = fc.record({ owner: fc.nat(ORDINALS - 1), similarity });
const segmentLists = fc.array(fc.array(fc.array(reference, { maxLength: 8 }), { maxLength: 3 }), { maxLength: 3 });
const scopeLists = fc.option(
  fc.array(fc.uint8Array({ minLength: 4, maxLength: ORDINALS, max: 1 }), { minLength: 0, maxLength: 2 }),
  { nil: undefined },
);

describe('the shortlist', () => {
  const shortlister = new Shortlister();

  it('has those most alike, of all probes together, and hardly more than are wanted', () => {
    fc.assert(
      fc.property(segmentLists, fc.integer({ min: 1, max: ORDINALS }), scopeLists, (probes, wanted, scopes) => {
        const inScope = (owner: number) => scopes === undefined || scopes.some((scope) => scope[owner] === 1);
        const expected = sums(probes, inScope);
        const chosen = [...shortlister.choose(task(probes, wanted, scopes))];
        expect(chosen).toEqual([...chosen].sort((a, b) => a - b));
        expect(chosen.length).toBeGreaterThanOrEqual(Math.min(wanted, expected.length));
        const least = expected[Math.min(wanted, expected.length) - 1]?.[1] ?? 0;
        for (const [owner, sum] of expected) {
          if (sum >= least) expect(chosen).toContain(owner);
          else if (sum < least - 32) expect(chosen).not.toContain(owner);
        }
        expect(chosen.every((owner) => expected.some(([known]) => known === owner))).toBe(true);
      }),
    );
  });

  it('leaves out who has too little', () => {
    fc.assert(
      fc.property(segmentLists, fc.integer({ min: -1000, max: 1000 }), (probes, least) => {
        const chosen = [...shortlister.choose(task(probes, ORDINALS, undefined, least))];
        const expected = sums(probes, () => true).filter(([, sum]) => sum >= least);
        expect(chosen).toEqual(expected.map(([owner]) => owner).sort((a, b) => a - b));
      }),
    );
  });

  it('does not depend on the order of references and segments', () => {
    fc.assert(
      fc.property(segmentLists, fc.integer({ min: 1, max: 5 }), (probes, wanted) => {
        const other = probes.map((segments) => [...segments].reverse().map((references) => [...references].reverse()));
        expect(shortlister.choose(task(other, wanted))).toEqual(shortlister.choose(task(probes, wanted)));
      }),
    );
  });
});
