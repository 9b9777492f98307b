import { readExplanation, type FingerExplanation } from '../model/finger-explanation.ts';
import type { FingerModel } from '../model/finger-model.ts';
import {
  EXPLANATION_BYTES,
  FINGER_SCRATCH_BYTES,
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  REMOVED_SCORE,
  type Kernels,
} from './kernels.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';

const aligned = (bytes: number) => Math.ceil(bytes / 16) * 16;

/** Packed fingers in one memory, to be compared with each other in the calling thread. */
export class FingerBatch {
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  readonly #addresses: readonly number[];
  readonly #directory: number;
  readonly #scores: number;
  readonly #explanation: number;
  readonly #scratch: number;

  /** @param packed - undefined for a finger with too few minutiae: it is compared with nothing */
  constructor(packed: readonly (Uint8Array | undefined)[], model: FingerModel = shippedFingerModel()) {
    this.#explanation = KERNEL_STATIC_BYTES;
    this.#scratch = this.#explanation + aligned(EXPLANATION_BYTES);
    this.#directory = this.#scratch + aligned(FINGER_SCRATCH_BYTES);
    this.#scores = this.#directory + aligned(4 * packed.length);
    let end = this.#scores + aligned(4 * packed.length);
    this.#addresses = packed.map((finger) => {
      if (finger === undefined) return 0;
      const address = end;
      end += aligned(finger.byteLength);
      return address;
    });
    const pages = Math.ceil(end / 65_536);
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#kernels = instantiateKernels(this.#memory, model);
    const bytes = new Uint8Array(this.#memory.buffer);
    const directory = new Uint32Array(this.#memory.buffer, this.#directory, packed.length);
    packed.forEach((finger, i) => {
      if (finger !== undefined) bytes.set(finger, this.#addresses[i]);
      directory[i] = this.#addresses[i] / 16;
    });
  }

  /**
   * Compares finger `probe` with those from `from` on.
   * @returns scores, NOT_COMPARABLE where one has too few minutiae; valid until the next call
   */
  compare(probe: number, from: number): Int32Array {
    const count = this.#addresses.length - from;
    const scores = new Int32Array(this.#memory.buffer, this.#scores, count);
    if (this.#addresses[probe] === 0) return scores.fill(FingerBatch.NOT_COMPARABLE);
    const directory = this.#directory + 4 * from;
    this.#kernels.compareFingers(this.#addresses[probe], directory, count, this.#scores, this.#scratch);
    return scores;
  }

  static readonly NOT_COMPARABLE = REMOVED_SCORE;

  /** What the score of two comes from. Both must be comparable. */
  explain(probe: number, reference: number): FingerExplanation {
    const [a, b] = [this.#addresses[probe], this.#addresses[reference]];
    this.#kernels.explainFingers(a, b, this.#explanation, this.#scratch);
    return readExplanation(this.#memory.buffer, this.#explanation);
  }
}
