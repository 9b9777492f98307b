import { VECTOR_SIZE, VECTOR_TABLES_BYTES, vectorTables, type VectorTables } from '../model/finger-vector-model.ts';
import { KernelArena } from './kernel-arena.ts';
import type { KernelBuild } from './kernel-builds.ts';
import { FINGER_PACKED_MAX_BYTES, VECTOR_SCRATCH_BYTES, type Kernels } from './kernels.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';

/** Makes candidate vectors of packed fingers, in a separate small memory. */
export class VectorEncoder {
  readonly #arena = new KernelArena();
  readonly #input = this.#arena.reserve(FINGER_PACKED_MAX_BYTES);
  readonly #output = this.#arena.reserve(VECTOR_SIZE);
  readonly #scratch = this.#arena.reserve(VECTOR_SCRATCH_BYTES);
  readonly #tables = this.#arena.reserve(VECTOR_TABLES_BYTES);
  readonly #kernels: Kernels;

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(model: VectorTables = shippedVectorModel(), build?: KernelBuild) {
    this.#kernels = this.#arena.instantiate(undefined, build);
    let address = this.#tables;
    for (const part of vectorTables(model)) {
      this.#arena.write(address, part);
      address += part.byteLength;
    }
  }

  /** @param packed - output of FingerEncoder */
  encode(packed: Uint8Array): Int8Array {
    this.#arena.write(this.#input, packed);
    this.#kernels.encodeVector(this.#input, this.#output, this.#tables, this.#scratch);
    return new Int8Array(this.#arena.read(this.#output, VECTOR_SIZE).buffer);
  }
}
