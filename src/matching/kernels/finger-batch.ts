import { readExplanation, type FingerExplanation } from '../model/finger-explanation.ts';
import type { FingerModel } from '../model/finger-model.ts';
import { KernelArena } from './kernel-arena.ts';
import { EXPLANATION_BYTES, FINGER_SCRATCH_BYTES, REMOVED_SCORE, type Kernels } from './kernels.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';

/** Packed fingers in one memory, to be compared with each other in the calling thread. */
export class FingerBatch {
  readonly #arena = new KernelArena();
  readonly #explanation = this.#arena.reserve(EXPLANATION_BYTES);
  readonly #scratch = this.#arena.reserve(FINGER_SCRATCH_BYTES);
  readonly #directory: number;
  readonly #scores: number;
  readonly #addresses: readonly number[];
  readonly #kernels: Kernels;

  /** @param packed - undefined for a finger with too few minutiae: it is never compared */
  constructor(packed: readonly (Uint8Array | undefined)[], model: FingerModel = shippedFingerModel()) {
    this.#directory = this.#arena.reserve(4 * packed.length);
    this.#scores = this.#arena.reserve(4 * packed.length);
    this.#addresses = packed.map((finger) => (finger === undefined ? 0 : this.#arena.reserve(finger.byteLength)));
    this.#kernels = this.#arena.instantiate(model);
    const directory = new Uint32Array(this.#arena.buffer, this.#directory, packed.length);
    packed.forEach((finger, i) => {
      if (finger !== undefined) this.#arena.write(this.#addresses[i], finger);
      directory[i] = this.#addresses[i] / 16;
    });
  }

  /**
   * Compares finger `probe` with the fingers `from` and following.
   * @returns scores, NOT_COMPARABLE if one of the two has too few minutiae; valid until the next call
   */
  compare(probe: number, from: number): Int32Array {
    const count = this.#addresses.length - from;
    const scores = new Int32Array(this.#arena.buffer, this.#scores, count);
    if (this.#addresses[probe] === 0) return scores.fill(FingerBatch.NOT_COMPARABLE);
    const directory = this.#directory + 4 * from;
    this.#kernels.compareFingers(this.#addresses[probe], directory, count, this.#scores, this.#scratch);
    return scores;
  }

  static readonly NOT_COMPARABLE = REMOVED_SCORE;

  /** The explanation of a score. Both fingers must be comparable. */
  explain(probe: number, reference: number): FingerExplanation {
    const [a, b] = [this.#addresses[probe], this.#addresses[reference]];
    this.#kernels.explainFingers(a, b, this.#explanation, this.#scratch);
    return readExplanation(this.#arena.buffer, this.#explanation);
  }
}
