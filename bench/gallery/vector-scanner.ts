import { VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { KernelArena } from '../../src/matching/kernels/kernel-arena.ts';

/** Scans candidate vectors with the kernel. @returns a function from a probe to their similarities */
export function vectorScanner(all: readonly Int8Array[]): (probe: Int8Array) => Int16Array {
  const arena = new KernelArena();
  const widened = arena.reserve(2 * VECTOR_SIZE);
  const directory = arena.reserve(4 * all.length);
  const rows = arena.reserve(all.length * VECTOR_SIZE);
  const scores = arena.reserve(2 * all.length);
  const kernels = arena.instantiate();
  new Uint32Array(arena.buffer, directory, all.length).fill(1);
  all.forEach((vector, i) => arena.write(rows + i * VECTOR_SIZE, vector));
  return (probe) => {
    new Int16Array(arena.buffer, widened, VECTOR_SIZE).set(probe);
    kernels.scanVectors(widened, rows, directory, all.length, scores);
    return Int16Array.from(new Int16Array(arena.buffer, scores, all.length));
  };
}
