/**
 * Measures models on fingers outside their training. People are dealt into folds. A comparison of people of folds a and
 * b is scored by a model trained without both folds: neither its codes nor its score contain either finger.
 */
import { extname } from 'node:path';
import { Piscina } from 'piscina';
import type { LabelledPrint } from '../prints/labelled-prints.ts';
import { compareAll, packPrints } from './comparisons.ts';
import { trainModel, type PreparedSet, type TrainingParameters } from './model.ts';

/** Source of the prints: folders of records, and synthetic people, who take part in every training and in no test. */
export interface TrainingSource {
  readonly folders: readonly string[];
  readonly synthetic: number;
}

/** Scores of all pairs of a set, in the order of the list. */
export interface ValidatedSet {
  readonly name: string;
  /** Positions of the two prints, two for each pair. */
  readonly pairs: Int32Array;
  readonly scores: Int32Array;
}

export interface FoldTask {
  readonly source: TrainingSource;
  readonly parameters: TrainingParameters;
  readonly folds: number;
  readonly a: number;
  readonly b: number;
}

/** @returns the fold of a print's person: people are dealt out in order of their names */
export function foldsOf(sets: readonly Pick<PreparedSet, 'set'>[], folds: number): (print: LabelledPrint) => number {
  const people = [...new Set(sets.flatMap(({ set }) => set.list.map(({ person }) => person)))].sort();
  const fold = new Map(people.map((person, i) => [person, i % folds]));
  return ({ person }) => fold.get(person) ?? 0;
}

/** Trains without folds a and b, and compares the prints of a with those of b. */
export function validateFolds(
  real: readonly PreparedSet[],
  synthetic: readonly PreparedSet[],
  { parameters, folds, a, b }: Omit<FoldTask, 'source'>,
): ValidatedSet[] {
  const foldOf = foldsOf(real, folds);
  const isSynthetic = new Set(synthetic.flatMap(({ set }) => set.list));
  const use = (print: LabelledPrint) => isSynthetic.has(print) || (foldOf(print) !== a && foldOf(print) !== b);
  const model = trainModel([...real, ...synthetic], parameters, use, () => undefined);
  return real.map(({ set }) => {
    const chosen = Array.from(set.list.keys()).filter((i) => foldOf(set.list[i]) === a || foldOf(set.list[i]) === b);
    const prints = chosen.map((i) => set.list[i]);
    const pairs: number[] = [];
    const scores: number[] = [];
    compareAll(prints, packPrints(prints, model), (p, q, score) => {
      const [one, other] = [foldOf(prints[p]), foldOf(prints[q])];
      if (Math.min(one, other) !== a || Math.max(one, other) !== b) return;
      pairs.push(chosen[p], chosen[q]);
      scores.push(score);
    });
    return { name: set.name, pairs: Int32Array.from(pairs), scores: Int32Array.from(scores) };
  });
}

/** Called with the number of finished trainings and their total. */
export type FoldProgress = (done: number, total: number) => void;

/** Cross-validates on the requested number of threads; the result is the same for any number. */
export async function crossValidate(
  source: TrainingSource,
  parameters: TrainingParameters,
  folds: number,
  threads: number,
  tell: FoldProgress,
): Promise<ValidatedSet[]> {
  const worker = new URL(`./cross-validation-worker${extname(import.meta.url)}`, import.meta.url);
  return join(await runFolds<ValidatedSet[]>(worker, { source, parameters, folds }, threads, tell));
}

/** Runs a worker's task for every pair of folds. @returns the answers, in the order of the folds */
export async function runFolds<Answer>(
  worker: URL,
  common: Omit<FoldTask, 'a' | 'b'>,
  threads: number,
  tell: FoldProgress,
): Promise<Answer[]> {
  const tasks: FoldTask[] = [];
  for (let a = 0; a < common.folds; a++) for (let b = a; b < common.folds; b++) tasks.push({ ...common, a, b });
  const pool = new Piscina<FoldTask, Answer>({ filename: worker.href, minThreads: 1, maxThreads: threads });
  try {
    let done = 0;
    tell(0, tasks.length);
    return await Promise.all(
      tasks.map(async (task) => {
        const answer = await pool.run(task);
        tell(++done, tasks.length);
        return answer;
      }),
    );
  } finally {
    await pool.destroy();
  }
}

function join(results: readonly (readonly ValidatedSet[])[]): ValidatedSet[] {
  return results[0].map(({ name }, s) => {
    const all = results.flatMap((result) => {
      const { pairs, scores } = result[s];
      return Array.from(scores, (score, i) => ({ a: pairs[2 * i], b: pairs[2 * i + 1], score }));
    });
    all.sort((p, q) => p.a - q.a || p.b - q.b);
    return {
      name,
      pairs: Int32Array.from(all.flatMap(({ a, b }) => [a, b])),
      scores: Int32Array.from(all, ({ score }) => score),
    };
  });
}
