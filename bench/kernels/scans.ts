/** Scans of far more memory than the caches hold, as in searches, and a loop that only reads the same memory. */
import { VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import { compareFacesReference } from '../../src/matching/oracle/face-comparison.ts';
import { scanVectorsReference } from '../../src/matching/oracle/finger-vector.ts';
import { KernelArena } from '../../src/matching/kernels/kernel-arena.ts';
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { FACE_SCRATCH_BYTES, type Kernels } from '../../src/matching/kernels/kernels.ts';
import { faceScale } from '../../src/matching/kernels/similarity.ts';
import type { Contender, ContenderGroup } from '../harness/rates.ts';
import { memoryReader } from '../harness/memory-reader.ts';
import { asBytes, DIMENSION, faceValues, packedFingers } from './people.ts';

const DISTINCT = 512;
const PER_CALL = 4096;

/** A kernel's scan of some rows, with the addresses of rows, directory, scores and scratch. */
type Scan = (
  kernels: Kernels,
  at: { readonly rows: number; readonly directory: number; readonly scores: number; readonly scratch: number },
  probe: number,
  count: number,
) => void;

export function scans(builds: readonly KernelBuild[], scanned: number): ContenderGroup[] {
  const values = faceValues(DISTINCT);
  const faces = values.map(asBytes);
  const scale = faceScale(DIMENSION);
  const scanFaces: Scan = (kernels, { directory, scores, scratch }, probe, count) =>
    void kernels.resembleFaces(probe, DIMENSION, directory, count, scores, scale, scratch);
  const encoder = new VectorEncoder();
  const vectors = packedFingers(DISTINCT).map((finger) => encoder.encode(finger));
  // A probe is widened to sixteen bits.
  const widened = new Uint8Array(Int16Array.from(vectors[0]).buffer);
  const scanVectors: Scan = (kernels, { rows, directory, scores }, probe, count) =>
    kernels.scanVectors(probe, rows, directory, count, scores);
  return [
    {
      name: 'scanning faces beyond the caches',
      unit: 'faces',
      bytes: DIMENSION,
      contenders: [
        ...scanners(builds, scanned, faces, faces[0], scanFaces),
        byReference(values, (all) => all.map((face) => compareFacesReference(values[0], face))),
      ],
    },
    {
      name: 'scanning candidate vectors beyond the caches',
      unit: 'vectors',
      bytes: VECTOR_SIZE,
      contenders: [
        ...scanners(builds, scanned, vectors.map(asBytes), widened, scanVectors),
        byReference(vectors, (all) => scanVectorsReference(vectors[0], all)),
      ],
    },
  ];
}

/** The oracle scans only few rows. They stay in the caches, which favours it. */
function byReference(rows: readonly Int8Array[], scan: (rows: readonly Int8Array[]) => unknown): Contender {
  const run = () => {
    scan(rows);
    return rows.length;
  };
  return { name: 'reference', run };
}

/** All contenders, over one memory; plain reading is the first. */
function scanners(
  builds: readonly KernelBuild[],
  count: number,
  rows: readonly Uint8Array[],
  probeBytes: Uint8Array,
  scan: Scan,
): Contender[] {
  const rowBytes = rows[0].length;
  const arena = new KernelArena();
  const probe = arena.reserve(probeBytes.length);
  const scratch = arena.reserve(FACE_SCRATCH_BYTES);
  const scores = arena.reserve(2 * PER_CALL);
  const directory = arena.reserve(4 * count);
  const start = arena.reserve(count * rowBytes);
  for (let i = 0; i < count; i++) arena.write(start + i * rowBytes, rows[i % rows.length]);
  arena.write(probe, probeBytes);
  new Uint32Array(arena.buffer, directory, count).set(
    Uint32Array.from({ length: count }, (_, i) => (start + i * rowBytes) / 16),
  );
  const read = memoryReader(arena.memory);
  const reading = () => {
    read(start, count * rowBytes);
    return count;
  };
  return [
    { name: 'reading', run: reading },
    ...builds.map((build) => {
      const kernels = arena.instantiate(undefined, build);
      const run = () => {
        for (let i = 0; i < count; i += PER_CALL) {
          const at = { rows: start + i * rowBytes, directory: directory + 4 * i, scores, scratch };
          scan(kernels, at, probe, Math.min(PER_CALL, count - i));
        }
        return count;
      };
      return { name: build, run };
    }),
  ];
}
