import { CODE_BYTES, CODE_PAIRS, VECTOR_SIZE } from '../model/finger-vector-model.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';
import { instantiateCandidateKernels, type CandidateKernels } from './candidate-kernels.ts';
import { KernelArena } from './kernel-arena.ts';
import type { KernelBuild } from './kernel-builds.ts';

/** Makes the codes of candidate vectors, in a separate small memory. */
export class CodeEncoder {
  readonly #arena = new KernelArena();
  readonly #input = this.#arena.reserve(VECTOR_SIZE);
  readonly #output = this.#arena.reserve(CODE_BYTES);
  readonly #book: number;
  readonly #kernels: CandidateKernels;

  /**
   * @param codeBook - see finger-vector-model.ts
   * @param build - the kernel build; by default the fastest that runs here
   */
  constructor(codeBook: Int16Array = shippedVectorModel().codeBook, build?: KernelBuild) {
    this.#book = this.#arena.reserve(codeBook.byteLength);
    this.#kernels = instantiateCandidateKernels(this.#arena.memory, build);
    this.#arena.write(this.#book, codeBook);
  }

  /** @returns CODE_BYTES: an even pair's code in the low nibble, the next pair's in the high nibble */
  encode(vector: Int8Array): Uint8Array {
    this.#arena.write(this.#input, vector);
    this.#kernels.encodeCodes(this.#input, CODE_PAIRS, this.#book, this.#output);
    return this.#arena.read(this.#output, CODE_BYTES);
  }
}
