/**
 * Hit rate of candidate vectors: real prints searched in a gallery of synthetic ones, at penetration rates of 0.1, 1,
 * and 5 %. Of all mated pairs, and of those whose reference is the first impression of its finger. Held out by person:
 * a probe's vector is of a model that was not trained on its person.
 *
 *   npm run bench -- hit-rate --data DIR [--data DIR …] [--synthetic 100000] [--train-synthetic 2000] [--folds 4] [--json]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createPerson } from '../../fixtures/person.ts';
import { areNonMated, readPrints } from '../../index-builder/prints/labelled-prints.ts';
import { foldsOf } from '../../index-builder/train/cross-validation.ts';
import { syntheticSets } from '../../index-builder/train/model.ts';
import { prepareRoots, trainVectorModel, type SetOfRoots } from '../../index-builder/train/vectors.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import { VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { SEEDS } from '../harness/seeds.ts';
import { inWords } from '../harness/words.ts';
import { joinPacked, splitPacked } from '../gallery/packed-file.ts';
import { vectorScanner } from '../gallery/vector-scanner.ts';

const PENETRATIONS = [0.001, 0.01, 0.05] as const;

interface MatedRank {
  /** Share of the gallery with a similarity at least that of the reference. */
  readonly rank: number;
  /** The reference is the first impression of its finger. */
  readonly first: boolean;
}

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', multiple: true },
    synthetic: { type: 'string', default: '100000' },
    'train-synthetic': { type: 'string', default: '2000' },
    folds: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});
if (options.data === undefined) {
  console.error('Say which folders to read: --data DIR [--data DIR …]');
  process.exit(2);
}
const galleryPrints = Number(options.synthetic);
const folds = Number(options.folds);
const encoder = new FingerEncoder();
const gallery = packedGallery(galleryPrints);
const real = options.data.map((folder) => prepareRoots(readPrints(folder), 'real'));
const synthetic = syntheticSets(Number(options['train-synthetic'])).map((set) => prepareRoots(set, 'synthetic'));
const foldOf = foldsOf(real, folds);
const ranks = real.map((): MatedRank[] => []);
const microseconds = { codes: 0, vector: 0 };
for (let fold = 0; fold < folds; fold++) measure(fold);
const results = real.flatMap(({ set: { name } }, s) => [
  { set: name, references: 'all', ...hitRates(ranks[s]) },
  { set: name, references: 'first impressions', ...hitRates(ranks[s].filter(({ first }) => first)) },
]);
const cost = {
  'µs codes': Number(microseconds.codes.toFixed(0)),
  'µs vector': Number((microseconds.vector / folds).toFixed(0)),
  'bytes of a vector': VECTOR_SIZE,
};
if (options.json)
  console.log(JSON.stringify({ kernel: kernelHash(), gallery: galleryPrints, folds, results, ...cost }));
else {
  console.table(results);
  console.table(inWords([cost]));
}

function hitRates(of: readonly MatedRank[]): Record<string, number> {
  const rates: Record<string, number> = { mated: of.length };
  for (const share of PENETRATIONS) {
    const found = of.filter(({ rank }) => rank < share).length;
    rates[`hit % at ${100 * share} %`] = Number(((100 * found) / of.length).toFixed(2));
  }
  return rates;
}

/** The gallery's packed fingers, kept between runs: concatenated, each after its length. */
function packedGallery(count: number): Uint8Array[] {
  const file = join(tmpdir(), `ridgewatch-hit-rate-${kernelHash()}-${count}.bin`);
  if (existsSync(file)) return splitPacked(readFileSync(file));
  const packed: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const record = createPerson(SEEDS.hitRateGallery, i).fingerImpression(2, 1);
    const finger = encoder.encode(toFingerTemplate(record, record.views[0]));
    if (finger !== undefined) packed.push(finger);
  }
  writeFileSync(file, joinPacked(packed));
  return packed;
}

function measure(fold: number): void {
  const synthetics = new Set(synthetic.flatMap(({ set }) => set.list));
  const model = trainVectorModel(
    [...real, ...synthetic],
    (print) => synthetics.has(print) || foldOf(print) !== fold,
    () => undefined,
  );
  const vectors = new VectorEncoder(model);
  const started = performance.now();
  const distractors = gallery.map((finger) => vectors.encode(finger));
  microseconds.vector += (1000 * (performance.now() - started)) / gallery.length;
  real.forEach((set, s) => ranks[s].push(...ranksOf(set, vectors, distractors, fold)));
}

/** Ranks of every mated pair of the fold. */
function ranksOf(
  { set: { list } }: SetOfRoots,
  vectors: VectorEncoder,
  distractors: readonly Int8Array[],
  fold: number,
): MatedRank[] {
  const begun = performance.now();
  const packed = list.map(({ template }) => encoder.encode(template));
  microseconds.codes = (1000 * (performance.now() - begun)) / list.length;
  const own = packed.map((finger) => (finger === undefined ? new Int8Array(VECTOR_SIZE) : vectors.encode(finger)));
  const scan = vectorScanner([...own, ...distractors]);
  return list.flatMap((probe, a) => {
    if (foldOf(probe) !== fold) return [];
    const scores = scan(own[a]);
    const strangers = list.flatMap((other, b) => (areNonMated(probe, other) ? [scores[b]] : []));
    const sorted = Float64Array.from([...strangers, ...scores.subarray(list.length)]).sort();
    return list.flatMap((reference, b) => {
      if (a === b || reference.finger !== probe.finger) return [];
      const first = list.findIndex(({ finger }) => finger === reference.finger) === b;
      return [{ first, rank: packed[a] && packed[b] ? atLeast(sorted, scores[b]) / sorted.length : 1 }];
    });
  });
}

/** How many of the sorted scores are not below `score`. */
function atLeast(sorted: Float64Array, score: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < score) low = middle + 1;
    else high = middle;
  }
  return sorted.length - low;
}
