/** Scans with several probes in one pass against one probe, beyond the caches: references times probes a second. */
import { planeBytes, blockOffset } from '../../src/gallery/code-plane.ts';
import { instantiateCandidateKernels, NIBBLE } from '../../src/matching/kernels/candidate-kernels.ts';
import { FACE_CODE_BYTES } from '../../src/matching/kernels/face-codes.ts';
import { KernelArena } from '../../src/matching/kernels/kernel-arena.ts';
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { FACE_SCRATCH_BYTES } from '../../src/matching/kernels/kernels.ts';
import { faceScale } from '../../src/matching/kernels/similarity.ts';
import { CODE_BYTES } from '../../src/matching/model/finger-vector-model.ts';
import type { Contender, ContenderGroup } from '../harness/rates.ts';
import { asBytes, DIMENSION, faceValues } from './people.ts';

const SIZES = [2, 4, 8] as const;
const MOST = 8;
/** Sixteen entries. */
const ROW = 16;
const CODES_PER_CALL = 8192;
const FACES_PER_CALL = 1024;

export function batches(builds: readonly KernelBuild[], scanned: number): ContenderGroup[] {
  return [
    { name: 'scanning codes of faces with several probes', ...codes(builds, 2 * scanned, FACE_CODE_BYTES) },
    { name: 'scanning codes of fingers with several probes', ...codes(builds, scanned, CODE_BYTES) },
    { name: 'scanning faces with several probes', ...faces(builds, scanned) },
  ].map((group) => ({ ...group, unit: 'references × probes' }));
}

function codes(builds: readonly KernelBuild[], count: number, codeBytes: number) {
  const rows = 2 * codeBytes;
  const arena = new KernelArena();
  const tables = arena.reserve(MOST * rows * ROW);
  const bases = arena.reserve(MOST);
  const out = arena.reserve(MOST * CODES_PER_CALL);
  const plane = arena.reserve(planeBytes(count, codeBytes));
  // Any values: no branch depends on them.
  const bytes = new Uint8Array(arena.buffer);
  for (let i = tables; i < bases; i++) bytes[i] = (i * 40_503) & 7;
  bytes.fill(250, bases, bases + MOST);
  new Uint32Array(arena.buffer, plane, planeBytes(count, codeBytes) / 4).forEach((_, i, all) => {
    all[i] = Math.imul(i, 2_654_435_761);
  });
  const inCalls = (call: (address: number, references: number) => void) => {
    for (let i = 0; i < count; i += CODES_PER_CALL)
      call(plane + blockOffset(i, codeBytes), Math.min(CODES_PER_CALL, count - i));
  };
  const contenders = builds.toReversed().flatMap((build): Contender[] => {
    const kernels = instantiateCandidateKernels(arena.memory, build);
    return [
      contender(build, 1, count, () => inCalls((at, n) => kernels.scanCodes(tables, rows, 250, at, n, NIBBLE, out))),
      ...SIZES.map((size) =>
        contender(build, size, count, () =>
          inCalls((at, n) => kernels[`scanCodes${size}`](tables, rows, bases, at, n, NIBBLE, out, CODES_PER_CALL)),
        ),
      ),
    ];
  });
  return { contenders };
}

function faces(builds: readonly KernelBuild[], count: number) {
  const values = faceValues(512).map(asBytes);
  const arena = new KernelArena();
  const probe = arena.reserve(DIMENSION);
  const scratch = arena.reserve(FACE_SCRATCH_BYTES);
  const prepared = arena.reserve(2 * MOST * DIMENSION);
  const rests = arena.reserve(4 * MOST);
  const out = arena.reserve(2 * MOST * FACES_PER_CALL);
  const directory = arena.reserve(4 * count);
  const start = arena.reserve(count * DIMENSION);
  for (let i = 0; i < count; i++) arena.write(start + i * DIMENSION, values[i % values.length]);
  arena.write(probe, values[0]);
  new Uint32Array(arena.buffer, directory, count).forEach((_, i, all) => (all[i] = (start + i * DIMENSION) / 16));
  const scale = faceScale(DIMENSION);
  const inCalls = (call: (entries: number, references: number) => void) => {
    for (let i = 0; i < count; i += FACES_PER_CALL) call(directory + 4 * i, Math.min(FACES_PER_CALL, count - i));
  };
  const contenders = builds.toReversed().flatMap((build): Contender[] => {
    const single = arena.instantiate(undefined, build);
    const kernels = instantiateCandidateKernels(arena.memory, build);
    return [
      contender(build, 1, count, () =>
        inCalls((at, n) => single.resembleFaces(probe, DIMENSION, at, n, out, scale, scratch)),
      ),
      ...SIZES.map((size) => {
        const prepare = (p: number) => kernels.prepareFace(probe, DIMENSION, size, prepared + 32 * p);
        const scan = kernels[`resembleFaces${size}`];
        return contender(build, size, count, () => {
          new Int32Array(arena.buffer, rests, size).set(Array.from({ length: size }, (_, p) => prepare(p)));
          inCalls((at, n) => scan(prepared, DIMENSION, rests, at, n, scale, out, 2 * FACES_PER_CALL));
        });
      }),
    ];
  });
  return { contenders };
}

function contender(build: KernelBuild, probes: number, count: number, scan: () => void): Contender {
  const run = () => {
    scan();
    return probes * count;
  };
  return { name: `${build}, ${probes} ${probes === 1 ? 'probe' : 'probes'}`, run };
}
