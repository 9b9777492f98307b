import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitsOfCosine, CODE_BITS, LikenessCoder } from '../../src/access/likeness-code.ts';
import { Random } from '../../src/random.ts';

const key = new Uint8Array(32).fill(7);

const differing = (a: Uint32Array, b: Uint32Array) =>
  a.reduce((bits, word, i) => {
    let different = (word ^ b[i]) >>> 0;
    let ones = 0;
    for (; different !== 0; different &= different - 1) ones++;
    return bits + ones;
  }, 0);

/** Two vectors with a cosine, of signed bytes. */
function pair(size: number, cosine: number, random: Random): [Int8Array, Int8Array] {
  const a = Array.from({ length: size }, () => random.normal());
  const noise = Array.from({ length: size }, () => random.normal());
  const along =
    a.reduce((sum, value, k) => sum + value * noise[k], 0) / a.reduce((sum, value) => sum + value * value, 0);
  const b = a.map((value, k) => cosine * value + Math.sqrt(1 - cosine ** 2) * (noise[k] - along * value));
  const bytes = (vector: readonly number[]) =>
    Int8Array.from(vector, (value) => Math.max(-127, Math.min(127, value * 28)));
  return [bytes(a), bytes(b)];
}

describe('codes of probes', () => {
  it('differ in as many bits as the angle says, for vectors of every size', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(64, 144, 256, 512, 2048),
        fc.double({ min: 0, max: 0.98, noNaN: true }),
        fc.nat(),
        (size, cosine, seed) => {
          const [a, b] = pair(size, cosine, new Random(seed));
          const coder = new LikenessCoder(key);
          const bits = differing(coder.code(a), coder.code(b));
          // Few components leave the cosine of the bytes uncertain as well.
          const real = a.reduce((sum, value, k) => sum + value * b[k], 0) / (Math.hypot(...a) * Math.hypot(...b));
          const share = Math.acos(Math.min(1, real)) / Math.PI;
          const deviation = Math.sqrt(CODE_BITS * share * (1 - share));
          // Bits of 64 components in 512 signs are not independent.
          expect(Math.abs(bits - CODE_BITS * share)).toBeLessThan(8 * deviation + 12);
        },
      ),
      { numRuns: 200 },
    );
    expect(bitsOfCosine(0)).toBe(CODE_BITS / 2);
    expect(bitsOfCosine(1)).toBe(0);
    expect(bitsOfCosine(0.5)).toBe(Math.round(CODE_BITS / 3));
  });

  it('depend on a key: without it neither code nor digest can be made', () => {
    const [vector] = pair(512, 0, new Random(1));
    const [first, second] = [new LikenessCoder(), new LikenessCoder()];
    expect(Math.abs(differing(first.code(vector), second.code(vector)) - CODE_BITS / 2)).toBeLessThan(100);
    expect(first.digest('face', vector)).not.toBe(second.digest('face', vector));
    expect(first.digest('face', vector)).toBe(first.digest('face', vector.slice()));
    expect(first.digest('face', vector)).not.toBe(first.digest('finger', vector));
  });

  it('of single components are as different as those of random vectors', () => {
    const coder = new LikenessCoder(key);
    const codes = Array.from({ length: 64 }, (_, k) => {
      const vector = new Int8Array(512);
      vector[8 * k] = 127;
      return coder.code(vector);
    });
    for (let i = 0; i < 64; i++)
      for (let j = 0; j < i; j++)
        expect(Math.abs(differing(codes[i], codes[j]) - CODE_BITS / 2)).toBeLessThan(
          6 * Math.sqrt(CODE_BITS) * 0.5 + 1,
        );
  });
});
