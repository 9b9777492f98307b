/**
 * Differential performance of the finger comparison (ISO/IEC 19795-10): FNMR and FMR by stratum, at the one threshold
 * that has the requested FMR over all comparisons.
 *
 *   npm run bench -- strata --data DIR … [--labels FILE] [--fmr 0.001] [--cross-validate FOLDS] [--json]
 *
 * Each DIR is a set of prints as for `accuracy`. Strata are capture sets, databases, finger positions, bands of
 * quality, and bands of minutia counts. --labels adds columns, see bench/strata/columns.ts. A comparison counts where
 * both prints are of one stratum; of two bands, in the lower one. Without --data: synthetic people.
 */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { errorRates, sortScores } from '../../index-builder/statistics/error-rates.ts';
import { areMates } from '../../index-builder/prints/labelled-prints.ts';
import { scoreFolders } from '../scores/score-folders.ts';
import { scoreSets } from '../scores/scored-set.ts';
import { SEEDS } from '../harness/seeds.ts';
import { COLUMNS, knownOf, readColumns, requireKnown } from './columns.ts';
import { MIN_FINGERS, strataOf, type Rate, type Stratum } from './rates.ts';

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', multiple: true, default: [] },
    labels: { type: 'string' },
    fmr: { type: 'string', default: '0.001' },
    'cross-validate': { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
  },
});
const threads = Number(options.threads);
const folds = options['cross-validate'] === undefined ? undefined : Number(options['cross-validate']);
const SYNTHETIC = { seed: SEEDS.strata, people: 150, impressions: 4 };

const sets =
  options.data.length > 0
    ? await scoreFolders(
        options.data.map((folder) => resolve(folder)),
        threads,
        folds,
      )
    : await scoreSets([SYNTHETIC], threads);
const prints = sets.map(({ set }) => set);
const labels = options.labels === undefined ? [] : readColumns(options.labels);
requireKnown(labels, prints, options.labels ?? '');
const columns = [...COLUMNS, ...labels];
const total = prints.reduce((sum, { list }) => sum + list.length, 0);

const [mated, nonMated]: [number[], number[]] = [[], []];
for (const { set, pairs, scores } of sets)
  scores.forEach((score, i) =>
    (areMates(set.list[pairs[2 * i]], set.list[pairs[2 * i + 1]]) ? mated : nonMated).push(score),
  );
const fmr = Number(options.fmr);
const [point] = errorRates(sortScores(mated, nonMated), [fmr]).points;
if (point === undefined) throw new Error(`there are too few comparisons for a false match rate of ${fmr}`);
const { threshold } = point;
const [all] = strataOf(sets, threshold, undefined);
const tables = columns
  .map((column) => ({
    column: column.name,
    known: `${knownOf(column, prints)} of ${total} prints`,
    strata: strataOf(sets, threshold, column),
  }))
  // A column with a single value makes no strata.
  .filter(({ strata }) => strata.length > 1)
  .map(({ strata, ...rest }) => ({
    ...rest,
    strata: strata.map(judged),
    'highest to lowest FNMR': disparity(strata),
  }));

const trained =
  folds === undefined
    ? 'the shipped model, which may have learned from these prints'
    : `cross-validated, ${folds} folds`;
if (options.json) console.log(JSON.stringify({ fmr, threshold, scores: trained, all, columns: tables }));
else {
  console.log(`Threshold ${threshold}: FMR ${fmr} over all comparisons. Scores: ${trained}.`);
  console.log(`All: FNMR ${shown(all.fnmr)}, FMR ${shown(all.fmr)} (95 % limits: subset bootstrap by finger).`);
  for (const { column, known, strata, 'highest to lowest FNMR': ratio } of tables) {
    const table = new Table({
      head: [column, 'mated', 'fingers', 'FNMR %', 'non-mated', 'FMR %', ''],
      style: { head: [], border: [], compact: true },
    });
    for (const { value, fnmr, fmr: rate, verdict } of strata)
      table.push([
        value,
        fnmr?.comparisons ?? '-',
        fnmr?.fingers ?? '-',
        shown(fnmr),
        rate?.comparisons ?? '-',
        shown(rate),
        verdict,
      ]);
    console.log(`\nBy ${column}; known for ${known}.`);
    console.log(table.toString());
    if (ratio !== undefined) console.log(`FNMR, highest / lowest: ${ratio.toFixed(1)}.\n`);
  }
}

/** Marks a stratum as different if its limits do not overlap those of all comparisons. */
function judged(stratum: Stratum) {
  const verdicts = (['fnmr', 'fmr'] as const).flatMap((which) => {
    const [own, whole] = [stratum[which], all[which]];
    if (own === undefined || whole === undefined) return [];
    if (own.limits[0] > whole.limits[1]) return [`higher ${which.toUpperCase()}`];
    return own.limits[1] < whole.limits[0] ? [`lower ${which.toUpperCase()}`] : [];
  });
  const isFew = stratum.fnmr === undefined ? [`fewer than ${MIN_FINGERS} fingers`] : [];
  return { ...stratum, verdict: [...verdicts, ...isFew].join(', ') };
}

/** Ratio of the highest to the lowest rate of strata with enough fingers; undefined if one of them has no error. */
function disparity(strata: readonly Stratum[]): number | undefined {
  const shares = strata.flatMap(({ fnmr }) => (fnmr === undefined ? [] : [fnmr.share]));
  const lowest = Math.min(...shares);
  return shares.length < 2 || lowest === 0 ? undefined : Math.max(...shares) / lowest;
}

function shown(rate: Rate | undefined): string {
  if (rate === undefined) return '-';
  const percent = (share: number) => (100 * share).toPrecision(3);
  return `${percent(rate.share)} [${rate.limits.map(percent).join(', ')}]`;
}
