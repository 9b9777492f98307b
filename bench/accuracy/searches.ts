/** Identification: every print searched in a gallery of one impression of each finger of its own set. */
import { MIN_THRESHOLD, errorRates, sortScores } from '../../index-builder/statistics/error-rates.ts';
import { areMates, type LabelledPrint } from '../../index-builder/prints/labelled-prints.ts';
import type { Group, GroupPart } from './groups.ts';

/** The false positive identification rate at which FNIR is given. */
export const FPIR = 0.01;

export interface SearchFigures {
  /** Searches; each is mated with its finger's reference in the gallery, and non-mated without it. */
  readonly searches: number;
  /** Share of the searches whose mate has a higher score than all non-mates; undefined without searches. */
  readonly rankOne: number | undefined;
  /** Share of the mated searches that miss their mate at the threshold; undefined below 1/FPIR searches. */
  readonly fnir: number | undefined;
  /** The lowest at which at most FPIR of the non-mated searches have a candidate. */
  readonly threshold: number | undefined;
}

export function searchFigures({ parts }: Group): SearchFigures {
  const results = parts.map(searchAll);
  const mates = results.flatMap((result) => result.mates);
  const others = results.flatMap((result) => result.others);
  if (mates.length === 0) return { searches: 0, rankOne: undefined, fnir: undefined, threshold: undefined };
  const [point] = errorRates(sortScores(mates, others), [FPIR]).points;
  // A mate that ties with a non-mate at rank 1 does not count.
  const first = mates.filter((score, i) => score >= MIN_THRESHOLD && score > others[i]).length;
  return { searches: mates.length, rankOne: first / mates.length, fnir: point?.fnmr, threshold: point?.threshold };
}

/** @returns for each probe the score of its mate, and the highest of the others */
function searchAll({ set: { list }, pairs, scores, includes }: GroupPart): { mates: number[]; others: number[] } {
  const gallery = new Map<string, LabelledPrint>();
  for (const print of list.filter(includes)) {
    const first = gallery.get(print.finger);
    if (first === undefined || isBefore(print, first)) gallery.set(print.finger, print);
  }
  const mates = new Map<number, number>();
  const others = new Map<number, number>();
  const search = (probe: number, reference: number, score: number) => {
    if (gallery.get(list[reference].finger) !== list[reference] || gallery.get(list[probe].finger) === list[probe])
      return;
    const results = areMates(list[probe], list[reference]) ? mates : others;
    results.set(probe, Math.max(results.get(probe) ?? -Infinity, score));
  };
  const included = list.map(includes);
  for (let i = 0; i < scores.length; i++) {
    const [a, b] = [pairs[2 * i], pairs[2 * i + 1]];
    if (!included[a] || !included[b]) continue;
    search(a, b, scores[i]);
    search(b, a, scores[i]);
  }
  const probes = [...mates.keys()].sort((a, b) => a - b);
  return { mates: probes.map((probe) => mates.get(probe) ?? 0), others: probes.map((probe) => others.get(probe) ?? 0) };
}

function isBefore(a: LabelledPrint, b: LabelledPrint): boolean {
  return a.impression.localeCompare(b.impression, 'en', { numeric: true }) < 0;
}
