/**
 * Hit rate against penetration rate of a gallery that is ordered by candidate vectors, with one finger and with two.
 *
 *   npm run bench -- penetration [--subjects 100000] [--mated 500] [--difficulty 2] [--json]
 *
 * Synthetic people, see bench/gallery/synthetic-gallery.ts; `hit-rate` has real prints. --difficulty of the probe's
 * fingers: 1 is ordinary, above 2 is bad; drawn for each when not given. Two fingers are ordered by the sum of their
 * similarities, as in the engine.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { CANDIDATE_BYTES, VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { fingersOf } from '../gallery/synthetic-gallery.ts';
import { packedFingersOf } from '../people/sought-people.ts';
import { vectorScanner } from '../gallery/vector-scanner.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    mated: { type: 'string', default: '500' },
    difficulty: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, mated] = [options.subjects, options.mated].map(Number);
const difficulty = options.difficulty === undefined ? undefined : Number(options.difficulty);
const PENETRATIONS = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1];

const vectorOf = (packed: Uint8Array | undefined) =>
  packed === undefined
    ? new Int8Array(VECTOR_SIZE)
    : new Int8Array(packed.buffer, packed.byteOffset + packed.length - CANDIDATE_BYTES, VECTOR_SIZE);
const columns: [Int8Array[], Int8Array[]] = [[], []];
for await (const pair of fingersOf(subjects - mated, availableParallelism()))
  pair.forEach((packed, column) => columns[column].push(Int8Array.from(vectorOf(packed))));
for (let person = 0; person < mated; person++)
  packedFingersOf(person, 0).forEach((packed, column) => columns[column].push(vectorOf(packed)));
const scanners = columns.map(vectorScanner);

/** For each search, the share of the gallery with a similarity at least that of the mate. */
const ranks: { readonly 'one finger': number; readonly 'two fingers': number }[] = [];
for (let person = 0; person < mated; person++) {
  const probes = packedFingersOf(person, 1, difficulty).map(vectorOf);
  const [right, left] = scanners.map((scan, i) => scan(probes[i]));
  const both = Int32Array.from(right, (similarity, i) => similarity + left[i]);
  const mate = subjects - mated + person;
  ranks.push({ 'one finger': rankOf(right, mate), 'two fingers': rankOf(both, mate) });
}
const curves = (['one finger', 'two fingers'] as const).map((name) => ({
  name,
  points: PENETRATIONS.map((penetration) => {
    const hits = ranks.filter((rank) => rank[name] <= penetration).length;
    const [low, high] = binomialLimits(hits, mated);
    return { penetration, hitRate: hits / mated, low, high };
  }),
}));
if (options.json) console.log(JSON.stringify({ subjects, mated, curves }));
else
  for (const { name, points } of curves) {
    console.log(`${name}: hit rate by penetration rate, ${subjects} subjects`);
    console.table(
      points.map(({ penetration, hitRate, low, high }) => ({
        'penetration rate %': 100 * penetration,
        'hit rate %': (100 * hitRate).toFixed(2),
        'limits, 95 %': `${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)}`,
      })),
    );
  }

function rankOf(similarities: ArrayLike<number>, mate: number): number {
  let before = 0;
  for (let i = 0; i < similarities.length; i++) if (similarities[i] >= similarities[mate]) before++;
  return before / similarities.length;
}
