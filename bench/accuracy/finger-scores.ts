import { areMates } from '../../index-builder/prints/labelled-prints.ts';
import type { Scores } from '../../index-builder/statistics/error-rates.ts';
import type { Group } from './groups.ts';

/** Scores of a group's comparisons, descending, with their fingers. */
export interface FingerScores extends Scores {
  /** Number of fingers. Equal names in two sets of a pool are one finger (templates of two extractors). */
  readonly fingers: number;
  /** Finger of each mated comparison. */
  readonly matedFingers: Int32Array;
  /** Fingers of each non-mated comparison, two for each. */
  readonly nonMatedFingers: Int32Array;
}

export function collectScores({ parts }: Group): FingerScores {
  const numbers = new Map<string, number>();
  const found = { mated: newList(), nonMated: newList() };
  for (const { set, pairs, scores, includes } of parts) {
    const fingers = set.list.map((print) => {
      if (!includes(print)) return -1;
      const known = numbers.get(print.finger);
      if (known === undefined) numbers.set(print.finger, numbers.size);
      return known ?? numbers.size - 1;
    });
    for (let i = 0; i < scores.length; i++) {
      const [a, b] = [pairs[2 * i], pairs[2 * i + 1]];
      if (fingers[a] < 0 || fingers[b] < 0) continue;
      const list = areMates(set.list[a], set.list[b]) ? found.mated : found.nonMated;
      list.scores.push(scores[i]);
      list.fingers.push(fingers[a], fingers[b]);
    }
  }
  const [mated, nonMated] = [descending(found.mated), descending(found.nonMated)];
  return {
    fingers: numbers.size,
    mated: mated.scores,
    matedFingers: mated.fingers.filter((_, i) => i % 2 === 0),
    nonMated: nonMated.scores,
    nonMatedFingers: nonMated.fingers,
  };
}

function newList(): { scores: number[]; fingers: number[] } {
  return { scores: [], fingers: [] };
}

function descending({ scores, fingers }: { scores: readonly number[]; fingers: readonly number[] }) {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  const ordered = { scores: new Int32Array(order.length), fingers: new Int32Array(2 * order.length) };
  order.forEach((from, to) => {
    ordered.scores[to] = scores[from];
    ordered.fingers[2 * to] = fingers[2 * from];
    ordered.fingers[2 * to + 1] = fingers[2 * from + 1];
  });
  return ordered;
}
