/**
 * Whether the false positive identification rate that is asked for is the one that is delivered: searches for people who
 * are not in the gallery, by the engine as the service runs it, on comparisons that no calibration table was made from.
 *
 *   npm run bench -- fpir [--probes 1000] [--sizes 300,1000,3000] [--data DIR] [--json]
 *
 * Synthetic people: one finger, two fingers and a face, by the shipped tables; and fingers by a table made from other
 * synthetic people alone, for the shipped one takes the worst of its sources at every score and so promises each of them
 * too little. --data: a folder with embeddings.f32 and embeddings.tsv (identity in the first column): a table is made
 * from half of the identities, who are then sought among the other half.
 *
 * Limits are those of the binomial (Clopper-Pearson, 95 %). They are too narrow where one gallery is searched by all
 * probes: another gallery of the same size would move all the shares together. Real fingers have no row: the shipped
 * model has learned from those at hand.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeTable, type ScoreHistogram } from '../src/matching/calibration-table.ts';
import { syntheticPrints } from '../index-builder/labelled-prints.ts';
import { compareAll, packPrints } from '../index-builder/train/comparisons.ts';
import { Calibration } from '../src/matching/calibration.ts';
import { thresholdFor } from '../src/matching/fusion.ts';
import { packFace, prepareProbes, type Probe } from '../src/matching/probe.ts';
import { compareFacesReference } from '../src/matching/reference/face-comparison.ts';
import { shippedFingerModel } from '../src/matching/shipped-model.ts';
import { EXACT, SubjectScan } from '../src/matching/subject-scan.ts';
import { WorkerPool } from '../src/matching/worker-pool.ts';
import type { FaceTemplate } from '../src/templates/face-template.ts';
import type { Gallery } from '../src/gallery/gallery.ts';
import { binomialLimits } from './fpir/binomial-limits.ts';
import { addPeople, emptyGallery, enrol } from './search-gallery.ts';
import { faceTemplate, probesOf, type Samples } from './search-people.ts';
import { searchAll } from './search-run.ts';

const { values: options } = parseArgs({
  options: {
    probes: { type: 'string', default: '1000' },
    sizes: { type: 'string', default: '300,1000,3000' },
    data: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
  },
});
const mostProbes = Number(options.probes);
const sizes = options.sizes.split(',').map(Number);
const REQUESTED = [0.1, 0.03, 0.01, 0.003];
/** People of a table of their own: neither in galleries nor probes. */
const TABLE_SEED = 0x7ab1e;
const TABLE_PEOPLE = 1500;
/** Fewer false positives than this are expected: the share says little. */
const FEWEST_EXPECTED = 5;

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

const pool = new WorkerPool(availableParallelism());
const rows: Row[] = [];
await synthetic();
for (const folder of options.data) await realFaces(folder);
await pool.close();
if (options.json) console.log(JSON.stringify(rows));
else console.table(rows);

async function synthetic(): Promise<void> {
  const ownTable = new Calibration(makeTable([strangersOf(TABLE_PEOPLE)], 10));
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
      const probes = async (person: number) => {
        const made = await probesOf(pool, person, samples);
        return own ? made.map((probe) => ({ ...probe, calibration: ownTable })) : made;
      };
      const table = own ? 'from synthetic people' : 'shipped';
      await measure(gallery, size, mostProbes, probes, { people: 'synthetic', samples: name, table });
    }
  }
}

/** Scores of different synthetic people by the shipped model. */
function strangersOf(people: number): ScoreHistogram {
  const { list } = syntheticPrints(TABLE_SEED, people, 1);
  const counts = new Map<number, number>();
  compareAll(list, packPrints(list, shippedFingerModel()), (_a, _b, score) =>
    counts.set(score, (counts.get(score) ?? 0) + 1),
  );
  return { name: `synthetic ${people}`, counts, total: (people * (people - 1)) / 2 };
}

/** Every other identity is sought, by its first image, among the others. */
async function realFaces(folder: string): Promise<void> {
  const faces = firstImages(folder);
  const [sought, enrolled] = [0, 1].map((half) => faces.filter((_, i) => i % 2 === half));
  const table = tableOf(basename(folder), sought);
  const gallery = emptyGallery();
  enrolled.forEach((face, i) => enrol(gallery, `r${i}`, [], packFace(face)));
  gallery.startAt(1);
  for (const [name, calibration] of [
    ['from those sought', table],
    ['shipped (made from the same data)', undefined],
  ] as const) {
    const probes = async (i: number): Promise<Probe[]> => {
      const made = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template: sought[i] }]);
      return calibration === undefined ? made : made.map((probe) => ({ ...probe, calibration }));
    };
    const labels = { people: basename(folder), samples: 'a face', table: name };
    await measure(gallery, enrolled.length, sought.length, probes, labels);
  }
}

function firstImages(folder: string): FaceTemplate[] {
  const bytes = readFileSync(join(folder, 'embeddings.f32'));
  const rowsOf = readFileSync(join(folder, 'embeddings.tsv'), 'utf8').trim().split('\n').slice(1);
  const dimension = bytes.length / 4 / rowsOf.length;
  const floats = new Float32Array(new Uint8Array(bytes).buffer);
  const seen = new Set<string>();
  return rowsOf.flatMap((row, i) => {
    const identity = row.split('\t')[0];
    if (seen.has(identity)) return [];
    seen.add(identity);
    return [faceTemplate(floats.slice(i * dimension, (i + 1) * dimension))];
  });
}

/** In ten-thousandths of a cosine, as the shipped one. */
function tableOf(name: string, faces: readonly FaceTemplate[]): Calibration {
  const scoreOfCosineOne = (127 * 127 * faces[0].dimension) / (4.5 * 4.5);
  const counts = new Map<number, number>();
  let total = 0;
  faces.forEach((a, i) => {
    for (const b of faces.slice(i + 1)) {
      const score = Math.floor((compareFacesReference(a.values, b.values) / scoreOfCosineOne) * 10_000);
      counts.set(score, (counts.get(score) ?? 0) + 1);
      total++;
    }
  });
  return new Calibration(makeTable([{ name, counts, total }], 50), 10_000 / scoreOfCosineOne);
}

/** Searches with each probe once, at the laxest threshold, and sees which of the stricter ones its first candidate reaches. */
async function measure(
  gallery: Gallery,
  subjects: number,
  searches: number,
  probesOfPerson: (i: number) => Promise<Probe[]>,
  labels: Pick<Row, 'people' | 'samples' | 'table'>,
): Promise<void> {
  const source = new SubjectScan(EXACT, pool);
  const first: { readonly log10Fmr: number; readonly extrapolated: boolean }[] = [];
  for (let i = 0; i < searches; i++) {
    const probes = await probesOfPerson(i);
    if (probes.every(({ packed }) => packed === undefined)) continue;
    const { candidates } = await searchAll(gallery, pool, probes, () => source, { maxCandidates: 1 });
    const extrapolated = candidates[0]?.scores.some((score) => score.extrapolated) ?? false;
    first.push({ log10Fmr: candidates[0]?.log10Fmr ?? 0, extrapolated });
  }
  for (const requested of REQUESTED) {
    const threshold = thresholdFor(requested, subjects);
    const reached = first.filter(({ log10Fmr }) => log10Fmr <= threshold);
    const [low, high] = binomialLimits(reached.length, first.length);
    const few = requested * first.length < FEWEST_EXPECTED;
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
