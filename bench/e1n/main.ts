/**
 * One-to-many search in the form of NIST FRIF TE E1N: times of mated and non-mated searches on one thread, FNIR at FPIR
 * 10⁻¹ to 10⁻⁵, template size, gallery size.
 *
 *   npm run bench -- e1n [--subjects 20000] [--mated 300] [--non-mated 1000] [--kinds "two fingers,a face"] [--json]
 *
 * Synthetic people; for real ones see `accuracy` and `strata`. The planner chooses how to search. There is no
 * threshold, and a search returns ten candidates. The threshold for an FPIR is measured on the non-mated searches where
 * at least ten false positives are expected. Elsewhere it is the calibrated one, and the row is marked extrapolated.
 * Limits: Clopper-Pearson, 95 %.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { createPerson } from '../../fixtures/person.ts';
import { thresholdFor } from '../../src/matching/rates/fusion.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { SEEDS } from '../harness/seeds.ts';
import { medianOf, quantile } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import { emptyGallery, fillGallery } from '../gallery/synthetic-gallery.ts';
import { enrolPeople } from '../gallery/enrolled-people.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '20000' },
    mated: { type: 'string', default: '300' },
    'non-mated': { type: 'string', default: '1000' },
    kinds: { type: 'string', default: 'one finger,two fingers,a face,two fingers and a face' },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, mated, nonMated] = [options.subjects, options.mated, options['non-mated']].map(Number);
const KINDS: Readonly<Record<string, Samples>> = {
  'one finger': { fingers: 1, face: false },
  'two fingers': { fingers: 2, face: false },
  'a face': { fingers: 0, face: true },
  'two fingers and a face': { fingers: 2, face: true },
};
const RATES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5];
/** Smallest number of expected false positives for a measured threshold. */
const FEWEST = 10;
const WARM_UP = 5;
const RECORDS = 200;

/** Result of one search. */
interface Search {
  readonly elapsedMs: number;
  readonly mode: string;
  /** Log10 of the false match rate of the best candidate, and of the mate; 0: none. */
  readonly best: number;
  readonly mate: number;
  readonly isMateFirst: boolean;
}

/** Events of trials. */
interface Share {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

interface Row {
  readonly kind: string;
  readonly mode: string;
  readonly 'mated, ms': Times;
  readonly 'non-mated, ms': Times;
  readonly 'rank 1': Share;
  readonly fnir: readonly (Share & {
    readonly fpir: number;
    readonly threshold: number;
    readonly extrapolated: boolean;
  })[];
}

interface Times {
  readonly mean: number;
  readonly median: number;
  readonly max: number;
}

const gallery = emptyGallery();
await fillGallery(gallery, subjects - mated, availableParallelism(), ['fingers', 'faces']);
enrolPeople(gallery, mated, ['fingers', 'faces']);
gallery.startAt(1);
const pool = new WorkerPool(1);
const planner = new Planner(pool);

const rows: Row[] = [];
for (const kind of options.kinds.split(',')) {
  const samples = KINDS[kind];
  // A kind that is not in the table is a typing error.
  if (!(kind in KINDS)) throw new Error(`--kinds: there is no "${kind}", only ${Object.keys(KINDS).join(', ')}`);
  for (let i = 0; i < WARM_UP; i++) await search(mated + nonMated + i, samples);
  const [own, others]: [Search[], Search[]] = [[], []];
  // Alternating: a disturbance of the machine affects both.
  for (let i = 0; i < Math.max(mated, nonMated); i++) {
    if (i < mated) own.push(await search(i, samples));
    if (i < nonMated) others.push(await search(mated + i, samples));
  }
  rows.push({
    kind,
    mode: [...new Set([...own, ...others].map(({ mode }) => mode))].join(', '),
    'mated, ms': times(own),
    'non-mated, ms': times(others),
    'rank 1': withLimits(own.filter(({ isMateFirst }) => isMateFirst).length, own.length),
    fnir: RATES.map((fpir) => ({ fpir, ...fnirAt(fpir, own, others) })),
  });
}
await pool.close();

const partitions = gallery.partitions.map(({ key, liveCount, usedBytes }) => ({
  partition: key,
  references: liveCount,
  'bytes a reference': Math.round(usedBytes / liveCount),
}));
const report = {
  subjects,
  searches: { mated, nonMated },
  rows,
  partitions,
  'bytes of a finger record': Math.round(meanRecordBytes()),
  'gallery, MB': Math.round(gallery.partitions.reduce((sum, { usedBytes }) => sum + usedBytes, 0) / 1e6),
  'process, MB': Math.round(process.memoryUsage.rss() / 1e6),
};
if (options.json) console.log(JSON.stringify(report));
else print();

async function search(person: number, samples: Samples): Promise<Search> {
  const probes = await probesOf(pool, person, samples);
  const started = performance.now();
  const { candidates, mode } = await searchAll(gallery, pool, probes, (view) => planner.choose(probes, view, false));
  const elapsedMs = performance.now() - started;
  const rank = candidates.findIndex(({ subject }) => subject.subjectId === `m${person}`);
  return {
    elapsedMs,
    mode,
    best: candidates[0]?.log10Fmr ?? 0,
    mate: candidates[rank]?.log10Fmr ?? 0,
    isMateFirst: rank === 0,
  };
}

function fnirAt(fpir: number, own: readonly Search[], others: readonly Search[]) {
  const allowed = Math.floor(fpir * others.length);
  const isMeasured = fpir * others.length >= FEWEST;
  // Exclusive: a candidate must be better than the best one of the first search beyond the permitted number.
  const best = others.map((one) => one.best).sort((a, b) => a - b);
  const threshold = isMeasured ? (best[allowed] ?? 0) : thresholdFor(fpir, subjects);
  const missed = own.filter(({ mate }) => (isMeasured ? mate >= threshold : mate > threshold)).length;
  return { ...withLimits(missed, own.length), threshold, extrapolated: !isMeasured };
}

function withLimits(events: number, trials: number): Share {
  const [low, high] = binomialLimits(events, trials);
  return { share: events / trials, low, high };
}

function times(searches: readonly Search[]): Times {
  const elapsed = searches.map(({ elapsedMs }) => elapsedMs);
  const round = (value: number) => Number(value.toFixed(1));
  return {
    mean: round(elapsed.reduce((sum, value) => sum + value, 0) / elapsed.length),
    median: round(medianOf(elapsed)),
    max: round(quantile(elapsed, 1)),
  };
}

function meanRecordBytes(): number {
  const sizes = Array.from(
    { length: RECORDS },
    (_, i) => createPerson(SEEDS.kernelFingers, i).fingerRecord(2, 0).length,
  );
  return sizes.reduce((sum, size) => sum + size, 0) / RECORDS;
}

function print(): void {
  const table = new Table({
    head: [
      '',
      'method',
      'mated ms: mean/median/max',
      'non-mated ms',
      'rank 1 %',
      ...RATES.map((fpir) => `FNIR % at FPIR ${fpir}`),
    ],
    style: { head: [], border: [] },
  });
  const percent = (share: number) => (100 * share).toFixed(2);
  for (const { kind, mode, 'mated, ms': own, 'non-mated, ms': others, 'rank 1': first, fnir } of rows)
    table.push([
      kind,
      mode,
      Object.values(own).join(' / '),
      Object.values(others).join(' / '),
      percent(first.share),
      ...fnir.map(
        ({ share, low, high, extrapolated }) =>
          `${percent(share)} [${percent(low)}, ${percent(high)}]${extrapolated ? ' *' : ''}`,
      ),
    ]);
  console.log(
    `${subjects} synthetic subjects; ${mated} mated and ${nonMated} non-mated searches of each kind, one thread.`,
  );
  console.log(table.toString());
  console.log('* extrapolated: too few non-mated searches to measure the threshold; the calibrated one is used.');
  console.table(inWords(partitions));
  console.log(
    `A finger record (ISO/IEC 19794-2) has ${report['bytes of a finger record']} bytes, the gallery ${report['gallery, MB']} MB, the process ${report['process, MB']} MB.`,
  );
}
