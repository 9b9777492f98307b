/**
 * Delivered against requested false positive identification rate: non-mated searches by the service's engine, on
 * comparisons that no calibration table was made from.
 *
 *   npm run bench -- fpir [--probes 1000] [--sizes 300,1000,3000] [--data DIR] [--prints DIR] [--json]
 *
 * Synthetic people: one finger, two fingers, and a face, with the shipped tables. Fingers also with a table of other
 * synthetic people alone: the shipped table takes the worst of its sources at every score, so it promises too little to
 * each. --data: a folder with embeddings.f32 and embeddings.tsv, identity in the first column. Half of the identities
 * make a table; of the others every second is a probe, and the rest are the gallery.
 *
 * --prints, once for each set: a folder of <finger>_<impression>.iso, see bench/fpir/fingers.ts. Takes minutes on two
 * cores. --sizes none: no synthetic people.
 *
 * Limits: Clopper-Pearson, 95 %. They are too narrow where all probes search one gallery, where one finger has several
 * probes, and where the gallery is as small as those of real prints.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { FACE_DIMENSION } from '../../fixtures/face.ts';
import { makeTable, type ScoreHistogram } from '../../src/matching/rates/calibration-table.ts';
import { syntheticPrints } from '../../index-builder/prints/labelled-prints.ts';
import { compareAll, packPrints } from '../../index-builder/train/comparisons.ts';
import { Calibrations, FACE_TABLE_UNITS } from '../../src/matching/rates/calibrations.ts';
import { scoreOfCosineOne } from '../../src/matching/kernels/similarity.ts';
import { thresholdFor } from '../../src/matching/rates/fusion.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { compareNonMated } from '../../src/matching/workers/non-mated-scores.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { decodeEmbeddingRows } from '../../src/templates/embedding-rows.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { searchPrints, type NonMatedSearch } from './fingers.ts';
import { SEEDS } from '../harness/seeds.ts';
import { addPeople, emptyGallery, enrol } from '../gallery/synthetic-gallery.ts';
import { FACE_MODEL } from '../people/synthetic-face.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    probes: { type: 'string', default: '1000' },
    sizes: { type: 'string', default: '300,1000,3000' },
    data: { type: 'string', multiple: true, default: [] },
    prints: { type: 'string', multiple: true, default: [] },
    folds: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});
const maxProbes = Number(options.probes);
const sizes = options.sizes === 'none' ? [] : options.sizes.split(',').map(Number);
const REQUESTED = [0.1, 0.03, 0.01, 0.003];
/** People used only for a table: neither in galleries nor probes. */
const TABLE_PEOPLE = 1500;
/** Smallest number of expected false positives for a meaningful share. */
const MIN_EXPECTED = 5;

interface Row {
  readonly people: string;
  readonly samples: string;
  readonly table: string;
  readonly subjects: number;
  readonly searches: number;
  readonly requested: number;
  readonly delivered: number;
  readonly limits: string;
  readonly verdict: string;
}

const rows: Row[] = [];
if (sizes.length > 0) await synthetic();
for (const folder of options.data) await realFaces(folder);
if (options.prints.length > 0) await realFingers(options.prints);
if (options.json) console.log(JSON.stringify(rows));
else console.table(rows);

async function synthetic(): Promise<void> {
  const own = { finger: makeTable([strangersOf(TABLE_PEOPLE)], 10), faces: new Map() };
  const pools = [new WorkerPool(availableParallelism()), new WorkerPool(availableParallelism(), new Calibrations(own))];
  const kinds: readonly { readonly name: string; readonly samples: Samples; readonly own: boolean }[] = [
    { name: 'one finger', samples: { fingers: 1, face: false }, own: false },
    { name: 'one finger', samples: { fingers: 1, face: false }, own: true },
    { name: 'two fingers', samples: { fingers: 2, face: false }, own: false },
    { name: 'two fingers', samples: { fingers: 2, face: false }, own: true },
    { name: 'a face', samples: { fingers: 0, face: true }, own: false },
  ];
  const gallery = emptyGallery();
  let filled = 0;
  for (const size of sizes) {
    await addPeople(gallery, filled, size, availableParallelism(), ['fingers', 'faces']);
    if (filled === 0) gallery.startAt(1);
    filled = size;
    for (const { name, samples, own } of kinds) {
      // Both stages of a search use the tables of its pool.
      const pool = pools[own ? 1 : 0];
      const probes = (person: number) => probesOf(pool, person, samples);
      const table = own ? 'from synthetic people' : 'shipped';
      await measure(gallery, pool, size, maxProbes, probes, { people: 'synthetic', samples: name, table });
    }
  }
  for (const pool of pools) await pool.close();
}

/** Non-mated scores of synthetic people by the shipped model. */
function strangersOf(people: number): ScoreHistogram {
  const { list } = syntheticPrints(SEEDS.fpirTable, people, 1);
  const counts = new Map<number, number>();
  compareAll(list, packPrints(list, shippedFingerModel()), (_a, _b, score) =>
    counts.set(score, (counts.get(score) ?? 0) + 1),
  );
  return { name: `synthetic ${people}`, counts, total: (people * (people - 1)) / 2 };
}

/**
 * The table is made from half of the people. The other half is divided again: each image of the one part is searched
 * among the first images of the other part.
 */
async function realFaces(folder: string): Promise<void> {
  const name = basename(folder);
  const labels = readFileSync(join(folder, 'embeddings.tsv'), 'utf8');
  const rowsOf = readFileSync(join(folder, 'embeddings.f32'));
  const model = { modelId: FACE_MODEL, dimension: FACE_DIMENSION, quality: 0 };
  const people = [...Map.groupBy(decodeEmbeddingRows(rowsOf, labels, model), ({ person }) => person).values()];
  const part = (numbers: readonly number[]) => people.filter((_, i) => numbers.includes(i % 4));
  const unit = scoreOfCosineOne(FACE_DIMENSION) / FACE_TABLE_UNITS;
  const counts = await compareNonMated(part([0, 2]).flat(), unit, () => undefined);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const table = makeTable([{ name, counts, total }], 50);
  const own = { faces: new Map([[FACE_MODEL, { dimension: FACE_DIMENSION, table }]]) };
  const pool = new WorkerPool(availableParallelism(), new Calibrations(own));
  const gallery = emptyGallery();
  const enrolled = part([1]);
  enrolled.forEach(([{ template }], i) => enrol(gallery, `r${i}`, [], packFace(template)));
  gallery.startAt(1);
  const sought = part([3]).flat();
  const probes = (i: number) => prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template: sought[i].template }]);
  const what = { people: name, samples: 'a face', table: 'from other people of the set' };
  await measure(gallery, pool, enrolled.length, sought.length, probes, what);
  await pool.close();
}

/** Searches once with each probe at the lowest threshold. The first candidate shows which higher thresholds are reached. */
async function measure(
  gallery: Gallery,
  pool: WorkerPool,
  subjects: number,
  searches: number,
  probesOfPerson: (i: number) => Promise<Probe[]>,
  labels: Pick<Row, 'people' | 'samples' | 'table'>,
): Promise<void> {
  const source = new ExactScan(pool);
  const first: NonMatedSearch[] = [];
  for (let i = 0; i < searches; i++) {
    const probes = await probesOfPerson(i);
    if (probes.every(({ packed }) => packed === undefined)) continue;
    const { candidates } = await searchAll(gallery, pool, probes, () => source, { maxCandidates: 1 });
    const extrapolated = candidates[0]?.scores.some((score) => score.extrapolated) ?? false;
    first.push({ log10Fmr: candidates[0]?.log10Fmr ?? 0, extrapolated, subjects });
  }
  addRows(first, labels);
}

/** Among other people's fingers of one half of a set. */
async function realFingers(folders: readonly string[]): Promise<void> {
  const searches = await searchPrints(folders, Number(options.folds), availableParallelism());
  folders.forEach((folder, i) =>
    addRows(searches[i], { people: basename(folder), samples: 'one finger', table: 'from the other half' }),
  );
}

/** One row for each requested rate, of the first candidates of searches. */
function addRows(first: readonly NonMatedSearch[], labels: Pick<Row, 'people' | 'samples' | 'table'>): void {
  const subjects = first.reduce((most, search) => Math.max(most, search.subjects), 0);
  for (const requested of REQUESTED) {
    const reached = first.filter((search) => search.log10Fmr <= thresholdFor(requested, search.subjects));
    const [low, high] = binomialLimits(reached.length, first.length);
    const few = requested * first.length < MIN_EXPECTED;
    const verdict =
      requested < low ? 'MORE than requested' : requested > high ? 'fewer than requested' : 'as requested';
    rows.push({
      ...labels,
      subjects,
      searches: first.length,
      requested,
      delivered: Number((reached.length / first.length).toFixed(4)),
      limits: `${low.toFixed(4)} to ${high.toFixed(4)}`,
      verdict: `${verdict}${few ? ' (too few to tell)' : ''}${reached.some(({ extrapolated }) => extrapolated) ? ', extrapolated' : ''}`,
    });
  }
}
