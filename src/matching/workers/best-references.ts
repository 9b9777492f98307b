import { aligned, PAGE_BYTES } from '../../gallery/segment-layout.ts';
import { instantiateCandidateKernels, type CandidateKernels } from '../kernels/candidate-kernels.ts';
import type { KernelBuild } from '../kernels/kernel-builds.ts';

export interface ChosenIndices {
  /** The chosen indices of each list, ascending. */
  readonly indices: Uint32Array[];
  /** Whether these are all references with a value above 0. */
  readonly areAll: boolean;
}

/**
 * Chooses the references with the greatest values. With one instance nothing is fused: the best references belong to
 * the best subjects. Values are counted and listed sixteen at a time, without looking up owners.
 */
export class BestReferences {
  readonly #build: KernelBuild | undefined;
  #kernels: CandidateKernels | undefined;
  #memory: WebAssembly.Memory | undefined;

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(build?: KernelBuild) {
    this.#build = build;
  }

  /**
   * @param lists - values of the references, see scanCodes
   * @param wanted - number of references, at least 1; references that tie with the last one are added
   */
  choose(lists: readonly Uint8Array[], wanted: number): ChosenIndices {
    // Kernels read whole vectors: every list is padded with zeros.
    const total = lists.reduce((sum, { length }) => sum + aligned(length), 0);
    const { kernels, buffer } = this.#reserve(total);
    const values = new Uint8Array(buffer, 0, total);
    let end = 0;
    const starts = lists.map((list) => {
      const start = end;
      values.set(list, start);
      end += aligned(list.length);
      values.fill(0, start + list.length, end);
      return start;
    });
    let [low, high] = [1, 256];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (kernels.countValues(0, total, middle) >= wanted) low = middle;
      else high = middle;
    }
    const out = total;
    const indices = lists.map((list, l) => {
      const found = kernels.collectValues(starts[l], list.length, low, out);
      return Uint32Array.from(new Uint32Array(buffer, out, found));
    });
    // Similarities to a probe are personal data.
    values.fill(0);
    return { indices, areAll: low === 1 };
  }

  /** Reserves room for the values and for the indices of all of them. */
  #reserve(values: number) {
    const bytes = 5 * values;
    if (this.#memory === undefined || this.#kernels === undefined || bytes > this.#memory.buffer.byteLength) {
      const pages = Math.max(2, Math.ceil((bytes * 1.125) / PAGE_BYTES));
      this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      this.#kernels = instantiateCandidateKernels(this.#memory, this.#build);
    }
    return { kernels: this.#kernels, buffer: this.#memory.buffer };
  }
}
