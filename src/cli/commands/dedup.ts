import Table from 'cli-table3';
import type { DuplicatePair, FindDuplicatesRequest } from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { Band } from '../../contract/generated/ridgewatch/v1/sample.ts';
import { oddsOf } from '../candidate-table.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult, progressBar } from '../output.ts';
import { connectionOf, thresholdOf, type ConnectionOptions, type ThresholdOptions } from '../shared-options.ts';

interface DedupOptions extends ConnectionOptions, ThresholdOptions {
  readonly gallery?: readonly string[];
  readonly after?: string;
  readonly since?: string;
  readonly maxDuplicates: number;
  readonly exitCode?: boolean;
}

/** Subjects of one call. It ends early when its deadline comes near. */
const COVERED_PER_CALL = 1000;
/** Pairs that are kept: more mean that the threshold is too low. */
const MAX_PAIRS = 100_000;

/** Searches for subjects that resemble each other. A call that fails late in a run of hours does not lose what was found. */
export async function dedup(_args: readonly string[], options: DedupOptions): Promise<number> {
  const client = new ServiceClient(connectionOf(options));
  const bar = progressBar('{value} subjects, {pairs} pairs, {duration_formatted}', options);
  try {
    const pairs = new Map<string, DuplicatePair>();
    let [covered, notComparable, indexed, truncated, galleryVersion] = [0, 0, 0, 0, 0];
    let afterSubjectId = options.after ?? options.since ?? '';
    let failure: Error | undefined;
    bar.start(0, 0, { pairs: 0 });
    do {
      const response = await client.findDuplicates(requestOf(options, afterSubjectId)).catch(asError);
      if (response instanceof Error) {
        if (covered === 0) throw response;
        failure = response;
        break;
      }
      for (const pair of response.pairs) keep(pairs, pair);
      covered += response.subjectsCovered;
      notComparable += response.subjectsNotComparable;
      indexed += response.indexedSearches;
      truncated += response.truncatedSubjects;
      galleryVersion = response.galleryVersion;
      afterSubjectId = response.nextAfterSubjectId;
      bar.update(covered, { pairs: pairs.size });
    } while (afterSubjectId !== '' && pairs.size < MAX_PAIRS);
    bar.stop();
    const found = [...pairs.values()].sort((a, b) => a.log10Fmr - b.log10Fmr || (a.subjectId < b.subjectId ? -1 : 1));
    const document = {
      pairs: found.map(({ subjectId, otherSubjectId, log10Fmr, band }) => {
        return { subject_id: subjectId, other_subject_id: otherSubjectId, log10_fmr: log10Fmr, band: nameOf(band) };
      }),
      subjects_covered: covered,
      subjects_not_comparable: notComparable,
      indexed_searches: indexed,
      truncated_subjects: truncated,
      gallery_version: galleryVersion,
      ...(afterSubjectId !== '' && { next_after_subject_id: afterSubjectId }),
    };
    printResult(options, document, render(found, document, failure === undefined));
    if (failure !== undefined) throw failure;
    return options.exitCode && found.length > 0 ? EXIT.candidates : EXIT.ok;
  } finally {
    bar.stop();
    client.close();
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function requestOf(options: DedupOptions, afterSubjectId: string): FindDuplicatesRequest {
  const { gallery = [], maxDuplicates } = options;
  const threshold = thresholdOf(options);
  return { galleries: [...gallery], afterSubjectId, maxSubjects: COVERED_PER_CALL, maxDuplicates, threshold };
}

/** A pair found from both sides counts once, with the lower rate. */
function keep(pairs: Map<string, DuplicatePair>, pair: DuplicatePair): void {
  const key = [pair.subjectId, pair.otherSubjectId].sort().join(' ');
  const known = pairs.get(key);
  if (known === undefined || pair.log10Fmr < known.log10Fmr) pairs.set(key, pair);
}

function nameOf(band: Band): string {
  return band === Band.STRONG_CANDIDATE ? 'strong candidate' : 'review';
}

interface Facts {
  readonly subjects_covered: number;
  readonly subjects_not_comparable: number;
  readonly indexed_searches: number;
  readonly truncated_subjects: number;
  readonly next_after_subject_id?: string;
}

function render(found: readonly DuplicatePair[], facts: Facts, isFull: boolean): string {
  const lines = [`${facts.subjects_covered.toLocaleString('en')} subjects covered, ${found.length} similar pairs.`];
  if (facts.subjects_not_comparable > 0)
    lines.push(`${facts.subjects_not_comparable} of them have no reference that can be compared.`);
  if (facts.indexed_searches > 0)
    lines.push(
      `${facts.indexed_searches} searches went through an index, which may have missed a pair; "ridgewatch status" shows its measured loss.`,
    );
  if (facts.truncated_subjects > 0)
    lines.push(`${facts.truncated_subjects} subjects resemble more others than --max-duplicates allows.`);
  if (facts.next_after_subject_id !== undefined) {
    const why = isFull ? `at ${MAX_PAIRS.toLocaleString('en')} pairs: lower the threshold, or` : 'by a failed call:';
    lines.push(`Stopped ${why} continue with --after ${facts.next_after_subject_id}.`);
  }
  if (found.length === 0) return lines.join('\n');
  const table = new Table({ head: ['subject', 'similar subject', 'FMR', 'band'], style: { head: [], border: [] } });
  for (const { subjectId, otherSubjectId, log10Fmr, band } of found)
    table.push([subjectId, otherSubjectId, oddsOf(log10Fmr), nameOf(band)]);
  return [...lines, table.toString(), 'Each pair is for a trained examiner to compare: it proves nothing.'].join('\n');
}
