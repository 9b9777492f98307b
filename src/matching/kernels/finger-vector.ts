import { VECTOR_SIZE, VECTOR_TABLES_BYTES, vectorTables, type VectorModel } from '../model/finger-vector-model.ts';
import {
  FINGER_PACKED_MAX_BYTES,
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  VECTOR_SCRATCH_BYTES,
  type KernelBuild,
  type Kernels,
} from './kernels.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';

const INPUT = KERNEL_STATIC_BYTES;
const OUTPUT = INPUT + Math.ceil(FINGER_PACKED_MAX_BYTES / 16) * 16;
const SCRATCH = OUTPUT + VECTOR_SIZE;
const TABLES = SCRATCH + VECTOR_SCRATCH_BYTES;

/** Makes candidate vectors of packed fingers, in a small memory of its own. */
export class VectorEncoder {
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;

  /** @param build - which kernels; the fastest that run here when not given */
  constructor(model: Omit<VectorModel, 'hash'> = shippedVectorModel(), build?: KernelBuild) {
    const pages = Math.ceil((TABLES + VECTOR_TABLES_BYTES) / 65_536);
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#kernels = instantiateKernels(this.#memory, undefined, build);
    let address = TABLES;
    for (const part of vectorTables(model)) {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      new Uint8Array(this.#memory.buffer, address, bytes.length).set(bytes);
      address += bytes.length;
    }
  }

  /** @param packed - what FingerEncoder made */
  encode(packed: Uint8Array): Int8Array {
    new Uint8Array(this.#memory.buffer, INPUT, packed.length).set(packed);
    this.#kernels.encodeVector(INPUT, OUTPUT, TABLES, SCRATCH);
    return Int8Array.from(new Int8Array(this.#memory.buffer, OUTPUT, VECTOR_SIZE));
  }
}
