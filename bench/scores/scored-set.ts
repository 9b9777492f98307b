/** The scores of all pairs of a set of prints, computed on several threads; independent of their number. */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Piscina } from 'piscina';
import { areMates, areNonMated, type PrintSet } from '../../index-builder/prints/labelled-prints.ts';
import type { ComparisonTask } from './comparison-worker.ts';
import { readSource, type PrintSource } from './print-source.ts';

/** Prints, and the scores of all pairs that are known to be mated or non-mated. */
export interface ScoredSet {
  readonly set: PrintSet;
  /** Positions of the two prints in the set's list, two for each pair, in order of the list. */
  readonly pairs: Int32Array;
  /** One for each pair: 0 and above, or FingerBatch.NOT_COMPARABLE. */
  readonly scores: Int32Array;
}

/** Comparisons of one task: enough to outweigh the cost of sending it. */
const TASK_COMPARISONS = 20_000;

/** Compares with the model that the program ships. */
export async function scoreSets(
  sources: readonly PrintSource[],
  threads = availableParallelism(),
): Promise<ScoredSet[]> {
  const pool = new Piscina<ComparisonTask, Int32Array>({
    filename: new URL(`./comparison-worker${extname(import.meta.url)}`, import.meta.url).href,
    minThreads: 1,
    maxThreads: threads,
  });
  try {
    return await Promise.all(sources.map(async (source) => scoreSet(source, readSource(source), pool)));
  } finally {
    await pool.destroy();
  }
}

async function scoreSet(
  source: PrintSource,
  set: PrintSet,
  pool: Piscina<ComparisonTask, Int32Array>,
): Promise<ScoredSet> {
  const prints = set.list.length;
  const tasks: ComparisonTask[] = [];
  for (let from = 0; from < prints;) {
    let to = from;
    for (let comparisons = 0; to < prints && comparisons < TASK_COMPARISONS; to++) comparisons += prints - to - 1;
    tasks.push({ source, from, to });
    from = to;
  }
  const rows = await Promise.all(tasks.map(async (task) => pool.run(task)));
  const all = Math.max(0, (prints * (prints - 1)) / 2);
  const [pairs, scores] = [new Int32Array(2 * all), new Int32Array(all)];
  let count = 0;
  tasks.forEach(({ from, to }, t) => {
    let at = 0;
    for (let a = from; a < to; a++) {
      for (let b = a + 1; b < prints; b++, at++) {
        if (!areMates(set.list[a], set.list[b]) && !areNonMated(set.list[a], set.list[b])) continue;
        pairs[2 * count] = a;
        pairs[2 * count + 1] = b;
        scores[count++] = rows[t][at];
      }
    }
  });
  return { set, pairs: pairs.slice(0, 2 * count), scores: scores.slice(0, count) };
}
