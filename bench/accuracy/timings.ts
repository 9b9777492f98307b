import { packPrints } from '../../index-builder/train/comparisons.ts';
import type { LabelledPrint, PrintSet } from '../../index-builder/prints/labelled-prints.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';

export interface Timings {
  readonly name: string;
  /** Mean time to encode one print, milliseconds. */
  readonly encodeMs: number;
  /** Mean time of a comparison of different fingers, microseconds. */
  readonly nonMatedUs: number;
}

/** Times a set on the calling thread alone. */
export function measureTimings({ name, list }: PrintSet): Timings {
  const model = shippedFingerModel();
  // Impressions of equal number are compared with each other: no comparison is mated.
  const rounds = new Map<number, LabelledPrint[]>();
  const seen = new Map<string, number>();
  for (const print of list) {
    const round = seen.get(print.finger) ?? 0;
    seen.set(print.finger, round + 1);
    rounds.set(round, [...(rounds.get(round) ?? []), print]);
  }
  let [encodeMs, compareMs, comparisons] = [0, 0, 0];
  // The first pass warms the compiler up.
  for (const counts of [false, true]) {
    for (const prints of rounds.values()) {
      const started = performance.now();
      const batch = packPrints(prints, model);
      const packed = performance.now();
      for (let a = 0; a + 1 < prints.length; a++) batch.compare(a, a + 1);
      const ended = performance.now();
      if (!counts) continue;
      encodeMs += packed - started;
      compareMs += ended - packed;
      comparisons += (prints.length * (prints.length - 1)) / 2;
    }
  }
  return { name, encodeMs: encodeMs / list.length, nonMatedUs: (1000 * compareMs) / comparisons };
}
