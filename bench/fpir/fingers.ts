/**
 * Real prints. The shipped model has learned from the available prints; their scores are therefore cross-validated by
 * person. Searches are composed from these scores, not made by the service: each print is searched among the first
 * impressions of other people's fingers in its half of the people, with a table made from the other half.
 */
import { areNonMated, readPrints } from '../../index-builder/prints/labelled-prints.ts';
import { crossValidate, type ValidatedSet } from '../../index-builder/train/cross-validation.ts';
import { PARAMETERS, syntheticPeopleOf } from '../../index-builder/train/model.ts';
import { Calibration } from '../../src/matching/rates/calibration.ts';
import { makeTable } from '../../src/matching/rates/calibration-table.ts';
import { FingerBatch } from '../../src/matching/kernels/finger-batch.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';

/** A search for a person who is not enrolled. */
export interface NonMatedSearch {
  /** log10 of the false match rate of the first candidate. */
  readonly log10Fmr: number;
  readonly extrapolated: boolean;
  /** Subjects searched. */
  readonly subjects: number;
}

/** @returns the searches of each folder */
export async function searchPrints(
  folders: readonly string[],
  folds: number,
  threads: number,
): Promise<NonMatedSearch[][]> {
  const source = { folders, synthetic: syntheticPeopleOf(shippedFingerModel()) };
  const tell = (done: number, total: number) => console.error(`cross-validation: ${done} of ${total}`);
  const validated = await crossValidate(source, PARAMETERS, folds, threads, tell);
  return folders.map((folder, i) => searchSet(folder, validated[i]));
}

function searchSet(folder: string, { name, pairs, scores }: ValidatedSet): NonMatedSearch[] {
  const { list } = readPrints(folder);
  const people = [...new Set(list.map(({ person }) => person))].sort();
  const half = list.map(({ person }) => people.indexOf(person) % 2);
  // The first impression of each finger is in the gallery.
  const byFinger = Map.groupBy(list.keys(), (i) => list[i].finger);
  const enrolled = new Set(Array.from(byFinger.values(), ([first]) => first));
  const found = list.map((): number[] => []);
  const counts = [new Map<number, number>(), new Map<number, number>()];
  scores.forEach((score, i) => {
    const [a, b] = [pairs[2 * i], pairs[2 * i + 1]];
    const isNonMated = list[a].person !== list[b].person && areNonMated(list[a], list[b]);
    if (!isNonMated || half[a] !== half[b] || score === FingerBatch.NOT_COMPARABLE) return;
    const ofHalf = counts[half[a]];
    ofHalf.set(score, (ofHalf.get(score) ?? 0) + 1);
    if (enrolled.has(b)) found[a].push(score);
    if (enrolled.has(a)) found[b].push(score);
  });
  const tables = counts.map((ofHalf) => {
    const total = [...ofHalf.values()].reduce((sum, count) => sum + count, 0);
    return new Calibration(makeTable([{ name, counts: ofHalf, total }], 10));
  });
  return found.flatMap((ofProbe, probe) => {
    if (ofProbe.length === 0) return [];
    const other = tables[1 - half[probe]];
    return [{ ...other.rate(Math.max(...ofProbe)), subjects: ofProbe.length }];
  });
}
