import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE_BITS, CODE_WORDS } from '../../src/access/likeness-code.ts';
import { LikenessScan } from '../../src/access/likeness-scan.ts';
import { RecentCodes, type CodedProbe } from '../../src/access/recent-codes.ts';
import { Random } from '../../src/random.ts';

/** The definition, bit by bit. The first half decides whether the second is compared. */
function isNear(a: CodedProbe, b: CodedProbe, maxBits: number): boolean {
  const ones = (from: number, to: number) => {
    let bits = 0;
    for (let w = from; w < to; w++) for (let bit = 0; bit < 32; bit++) bits += ((a.code[w] ^ b.code[w]) >>> bit) & 1;
    return bits;
  };
  if (a.trait !== b.trait || a.digest === b.digest) return false;
  return ones(0, CODE_WORDS / 2) <= maxBits / 2 + 23 && ones(0, CODE_WORDS) <= maxBits;
}

/** 32 bits, each 1 with the probability `share`, in steps of an eighth. */
function mask(random: Random, share: number): number {
  let [bits, steps] = [0, Math.round(share * 8)];
  for (let step = 0; step < 3; step++, steps >>= 1) {
    const word = random.below(0x10000) * 0x10000 + random.below(0x10000);
    bits = steps & 1 ? bits | word : bits & word;
  }
  return steps & 1 ? -1 : bits;
}

/** Codes around a few centres, from equal to opposite. */
function drawn(random: Random, count: number): CodedProbe[] {
  const word = () => random.below(0x10000) * 0x10000 + random.below(0x10000);
  const centres = [0, 1].map(() => Uint32Array.from({ length: CODE_WORDS }, word));
  return Array.from({ length: count }, () => {
    const code = Uint32Array.from(centres[random.below(centres.length)]);
    const share = random.uniform();
    for (let w = 0; w < CODE_WORDS; w++) code[w] ^= mask(random, share);
    return { trait: random.below(2), code, digest: random.below(count) };
  });
}

describe('recent codes', () => {
  it('find what is near by the definition, whatever the limit, the thresholds and the number of codes', () => {
    let found = 0;
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 0, max: 1100 }),
        fc.integer({ min: 0, max: CODE_BITS }),
        fc.constantFrom(64, 256, 1024),
        (seed, count, maxBits, limit) => {
          const random = new Random(seed);
          const [probes, entries] = [drawn(random, 3), drawn(random, count)];
          const recent = new RecentCodes(limit);
          entries.forEach((entry, call) => recent.add(entry, call, call));
          const calls = probes.map(() => new Set<number>());
          recent.near(probes, maxBits, calls);
          const first = Math.max(0, count - limit);
          const expected = probes.map((probe) =>
            entries.flatMap((entry, call) => (call >= first && isNear(entry, probe, maxBits) ? [call] : [])),
          );
          expect(calls.map((set) => [...set])).toEqual(expected);
          found += expected.flat().length;
        },
      ),
      // One run in which there is much to be found, whatever is drawn in the others.
      { numRuns: 15, examples: [[1, 1100, CODE_BITS, 1024]] },
    );
    // Otherwise the test would prove little.
    expect(found).toBeGreaterThan(1000);
  });

  it('leave nothing of the codes where they were looked through', () => {
    const scan = new LikenessScan();
    const code = new Uint32Array(CODE_WORDS).fill(0x9a7e);
    scan.load(code);
    expect([...scan.near(code, CODE_BITS, 0)]).toEqual([0]);
    scan.wipe();
    expect([...scan.near(code, CODE_BITS, CODE_BITS)]).toEqual([]);
    scan.load(new Uint32Array(0));
    expect([...scan.near(new Uint32Array(CODE_WORDS), CODE_BITS, CODE_BITS)]).toEqual([]);
  });

  it('hold the newest entries up to the limit, and find them after growing and turning over', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 0, max: 700 }), (count, forgotten) => {
        const recent = new RecentCodes(256);
        const probe = { trait: 1, code: new Uint32Array(CODE_WORDS).fill(0x9a7e), digest: -1 };
        for (let call = 0; call < count; call++) recent.add({ ...probe, digest: call }, call, call);
        recent.forgetBefore(forgotten);
        const [calls, otherTrait] = [new Set<number>(), new Set<number>()];
        recent.near([probe, { ...probe, trait: 2 }], 0, [calls, otherTrait]);
        const first = Math.max(0, count - 256, forgotten);
        expect([...calls]).toEqual(Array.from({ length: Math.max(0, count - first) }, (_, i) => first + i));
        expect(otherTrait.size).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
