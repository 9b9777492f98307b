import { VECTOR_SIZE } from '../src/matching/model/finger-vector-model.ts';
import { instantiateKernels, KERNEL_STATIC_BYTES } from '../src/matching/kernels/kernels.ts';

/** Scans candidate vectors with the kernel. @returns gives their similarities to a probe */
export function vectorScanner(all: readonly Int8Array[]): (probe: Int8Array) => Int16Array {
  const directory = KERNEL_STATIC_BYTES + 2 * VECTOR_SIZE;
  const rows = directory + Math.ceil(all.length / 4) * 16;
  const scores = rows + all.length * VECTOR_SIZE;
  const pages = Math.ceil((scores + all.length * 2) / 65_536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const kernels = instantiateKernels(memory);
  new Uint32Array(memory.buffer, directory, all.length).fill(1);
  const bytes = new Int8Array(memory.buffer);
  all.forEach((vector, i) => bytes.set(vector, rows + i * VECTOR_SIZE));
  return (probe) => {
    new Int16Array(memory.buffer, KERNEL_STATIC_BYTES, VECTOR_SIZE).set(probe);
    kernels.scanVectors(KERNEL_STATIC_BYTES, rows, directory, all.length, scores);
    return Int16Array.from(new Int16Array(memory.buffer, scores, all.length));
  };
}
