/**
 * Comparisons a second of one thread, by each build of the kernels and by the TypeScript reference: interleaved, so that
 * a busy machine disturbs all alike. And faces far beyond the caches, as a search scans them, beside a loop that only
 * reads the same memory. Synthetic people only.
 *
 *     npm run bench -- kernels [--rounds 15] [--json]
 */
import { parseArgs } from 'node:util';
import { createPerson } from '../fixtures/person.ts';
import { FingerEncoder } from '../src/matching/finger-encoder.ts';
import {
  canRun,
  FACE_SCRATCH_BYTES,
  FINGER_SCRATCH_BYTES,
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  type KernelBuild,
} from '../src/matching/kernels.ts';
import { compareFacesReference } from '../src/matching/reference/face-comparison.ts';
import { compareFingersReference } from '../src/matching/reference/finger-comparison.ts';
import { faceScale } from '../src/matching/similarity.ts';
import { decodeFloat32Embedding } from '../src/templates/face-embedding.ts';
import { toFingerTemplate } from '../src/templates/normalise.ts';
import { memoryReader } from './reading.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, json: { type: 'boolean', default: false } },
});
const rounds = Number(values.rounds);
/** Faces that fit the second-level cache, so that arithmetic is measured rather than memory. */
const FACES = 512;
const FACE_REPEATS = 100;
/** Faces that fill 200 MB. */
const SCANNED_FACES = 400_000;
const FACES_PER_CALL = 4096;
const FINGERS = 400;
const FINGER_REPEATS = 3;
const DIMENSION = 512;
const aligned = (bytes: number) => Math.ceil(bytes / 16) * 16;

interface Contender {
  readonly name: string;
  /** Runs a batch. @returns how many comparisons it was */
  readonly run: () => number;
}

/** One batch in a memory of its own: the first record is the probe. */
function contender(build: KernelBuild, records: readonly Uint8Array[], kind: 'face' | 'finger'): Contender {
  const scratch = KERNEL_STATIC_BYTES;
  const directory = scratch + aligned(FINGER_SCRATCH_BYTES);
  const scores = directory + aligned(4 * records.length);
  let end = scores + aligned(4 * records.length);
  const addresses = records.map((record) => {
    const address = end;
    end += aligned(record.byteLength);
    return address;
  });
  const pages = Math.ceil(end / 65_536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const kernels = instantiateKernels(memory, undefined, build);
  records.forEach((record, i) => new Uint8Array(memory.buffer).set(record, addresses[i]));
  new Uint32Array(memory.buffer, directory, records.length).set(addresses.map((address) => address / 16));
  const count = records.length - 1;
  const repeats = kind === 'face' ? FACE_REPEATS : FINGER_REPEATS;
  const once = () => {
    if (kind === 'face') kernels.compareFaces(addresses[0], DIMENSION, directory + 4, count, scores, scratch);
    else kernels.compareFingers(addresses[0], directory + 4, count, scores, scratch);
  };
  const run = () => {
    for (let i = 0; i < repeats; i++) once();
    return repeats * count;
  };
  return { name: build, run };
}

/** Scans of many faces by each build, and reading them, all in one memory. */
function scanners(builds: readonly KernelBuild[]): Contender[] {
  const probe = KERNEL_STATIC_BYTES;
  const scratch = probe + DIMENSION;
  const similarities = scratch + FACE_SCRATCH_BYTES;
  const directory = similarities + 2 * FACES_PER_CALL;
  const start = directory + 4 * SCANNED_FACES;
  const pages = Math.ceil((start + SCANNED_FACES * DIMENSION) / 65_536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  for (let i = 0; i < SCANNED_FACES; i++) {
    new Uint8Array(memory.buffer).set(faceBytes[i % faceBytes.length], start + i * DIMENSION);
  }
  new Uint8Array(memory.buffer).set(faceBytes[0], probe);
  new Uint32Array(memory.buffer, directory, SCANNED_FACES).set(
    Uint32Array.from({ length: SCANNED_FACES }, (_, i) => (start + i * DIMENSION) / 16),
  );
  const scale = faceScale(DIMENSION);
  const read = memoryReader(memory);
  return [
    {
      name: 'reading',
      run: () => {
        read(start, SCANNED_FACES * DIMENSION);
        return SCANNED_FACES;
      },
    },
    ...builds.map((build) => {
      const kernels = instantiateKernels(memory, undefined, build);
      const run = () => {
        for (let i = 0; i < SCANNED_FACES; i += FACES_PER_CALL) {
          const count = Math.min(FACES_PER_CALL, SCANNED_FACES - i);
          kernels.resembleFaces(probe, DIMENSION, directory + 4 * i, count, similarities, scale, scratch);
        }
        return SCANNED_FACES;
      };
      return { name: build, run };
    }),
  ];
}

interface Rate {
  readonly name: string;
  /** Comparisons a second: the median of the rounds, and the quartiles. */
  readonly median: number;
  readonly quartiles: readonly [number, number];
  /** The median of the rounds' ratios to the first contender. */
  readonly ratio: number;
}

function quantile(sample: readonly number[], q: number): number {
  const sorted = Float64Array.from(sample).sort();
  return sorted[Math.round(q * (sorted.length - 1))];
}

function measure(contenders: readonly Contender[]): Rate[] {
  const rateOf = ({ run }: Contender) => {
    const start = process.hrtime.bigint();
    const comparisons = run();
    return comparisons / (Number(process.hrtime.bigint() - start) / 1e9);
  };
  contenders.forEach(rateOf);
  const rates = Array.from({ length: rounds }, () => contenders.map(rateOf));
  return contenders.map(({ name }, i) => {
    const own = rates.map((round) => round[i]);
    const ratio = quantile(
      rates.map((round) => round[i] / round[0]),
      0.5,
    );
    return { name, median: quantile(own, 0.5), quartiles: [quantile(own, 0.25), quantile(own, 0.75)], ratio };
  });
}

const people = Array.from({ length: FINGERS + 1 }, (_, i) => createPerson(1, i));
const encoder = new FingerEncoder();
const fingers = people.flatMap((person) => {
  const record = person.fingerImpression(2, 0);
  return encoder.encode(toFingerTemplate(record, record.views[0])) ?? [];
});
const faces = Array.from({ length: FACES + 1 }, (_, i) => {
  const bytes = new Uint8Array(createPerson(2, i).faceEmbedding(0).buffer);
  const description = { modelId: 'synthetic', dimension: DIMENSION, quality: 0 };
  return decodeFloat32Embedding(bytes, description).values;
});
const faceBytes = faces.map((face) => new Uint8Array(face.buffer, face.byteOffset, face.byteLength));
const builds = (['plain', 'relaxed'] as const).filter(canRun);
const compareEach =
  <T>(all: readonly T[], compare: (a: T, b: T) => number) =>
  () => {
    for (const one of all) compare(all[0], one);
    return all.length;
  };

const results = {
  faces: measure([
    ...builds.map((build) => contender(build, faceBytes, 'face')),
    { name: 'reference', run: compareEach(faces, compareFacesReference) },
  ]),
  fingers: measure([
    ...builds.map((build) => contender(build, fingers, 'finger')),
    { name: 'reference', run: compareEach(fingers.slice(0, 40), compareFingersReference) },
  ]),
  'faces beyond the caches': measure(scanners(builds)),
};
if (values.json) console.log(JSON.stringify({ rounds, dimension: DIMENSION, results }));
else {
  for (const [kind, rates] of Object.entries(results)) {
    console.log(`${kind}, comparisons/s of one thread: median (quartiles), ratio to ${rates[0].name}`);
    for (const { name, median, quartiles, ratio } of rates) {
      const [low, high] = quartiles.map((value) => Math.round(value).toLocaleString('en'));
      const middle = Math.round(median).toLocaleString('en');
      const bytes = kind.startsWith('faces') ? `, ${((median * DIMENSION) / 1e9).toFixed(1)} GB/s` : '';
      console.log(`  ${name.padEnd(12)}${middle} (${low} to ${high}), ${ratio.toFixed(3)}${bytes}`);
    }
  }
}
