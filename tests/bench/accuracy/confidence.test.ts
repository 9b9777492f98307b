import { describe, expect, it } from 'vitest';
import { rateLimits } from '../../../bench/accuracy/confidence.ts';

describe('confidence limits', () => {
  /** Two mates of each finger; finger f's score is low for the first `bad` fingers. */
  const fingerScores = (fingers: number, bad: number) => {
    const order = Array.from({ length: fingers }, (_, i) => fingers - 1 - i);
    const pairs = order.flatMap((a) => order.filter((b) => b < a).map((b) => [a, b]));
    return {
      fingers,
      mated: Int32Array.from(order, (f) => (f < bad ? 1 : 100)),
      matedFingers: Int32Array.from(order),
      nonMated: new Int32Array(pairs.length).fill(10),
      nonMatedFingers: Int32Array.from(pairs.flat()),
    };
  };

  it('for 20 of 100 fingers lie about two standard errors away, equal in every run', () => {
    const scores = fingerScores(100, 20);
    const limits = rateLimits(scores, [0], 300);
    const [low, high] = limits.fnmr[0] ?? [];
    expect(low).toBeGreaterThan(0.09);
    expect(low).toBeLessThan(0.16);
    expect(high).toBeGreaterThan(0.24);
    expect(high).toBeLessThan(0.31);
    expect(rateLimits(scores, [0], 300)).toEqual(limits);
  });

  it('are wider for fewer fingers', () => {
    const width = (fingers: number) => {
      const [low, high] = rateLimits(fingerScores(fingers, fingers / 5), [0], 200).fnmr[0] ?? [0, 0];
      return high - low;
    };
    expect(width(10)).toBeGreaterThan(width(100));
  });
});
