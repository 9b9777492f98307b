/** Comparisons of data that fits the caches: measures arithmetic, not memory. */
import { KernelArena } from '../../src/matching/kernels/kernel-arena.ts';
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { FINGER_SCRATCH_BYTES } from '../../src/matching/kernels/kernels.ts';
import { compareFacesReference } from '../../src/matching/oracle/face-comparison.ts';
import { compareFingersReference } from '../../src/matching/oracle/finger-comparison.ts';
import type { Contender, ContenderGroup } from '../harness/rates.ts';
import { asBytes, DIMENSION, faceValues, packedFingers } from './people.ts';

const FACES = 513;
const FACE_REPEATS = 100;
const FINGERS = 401;
const FINGER_REPEATS = 3;
/** Comparisons by the slow oracle. */
const BY_REFERENCE = 40;

export function comparisons(builds: readonly KernelBuild[]): ContenderGroup[] {
  const [faces, fingers] = [faceValues(FACES), packedFingers(FINGERS)];
  return [
    {
      name: 'comparing faces',
      unit: 'comparisons',
      contenders: [
        ...builds.map((build) => byKernel(build, faces.map(asBytes), 'face')),
        byReference(faces, compareFacesReference),
      ],
    },
    {
      name: 'comparing fingers',
      unit: 'comparisons',
      contenders: [
        ...builds.map((build) => byKernel(build, fingers, 'finger')),
        byReference(fingers.slice(0, BY_REFERENCE), compareFingersReference),
      ],
    },
  ];
}

/** One batch in a separate memory; the first record is the probe. */
function byKernel(build: KernelBuild, records: readonly Uint8Array[], kind: 'face' | 'finger'): Contender {
  const arena = new KernelArena();
  const scratch = arena.reserve(FINGER_SCRATCH_BYTES);
  const directory = arena.reserve(4 * records.length);
  const scores = arena.reserve(4 * records.length);
  const addresses = records.map((record) => arena.reserve(record.byteLength));
  const kernels = arena.instantiate(undefined, build);
  records.forEach((record, i) => arena.write(addresses[i], record));
  new Uint32Array(arena.buffer, directory, records.length).set(addresses.map((address) => address / 16));
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

function byReference<T>(all: readonly T[], compare: (a: T, b: T) => number): Contender {
  const run = () => {
    for (const one of all) compare(all[0], one);
    return all.length;
  };
  return { name: 'reference', run };
}
