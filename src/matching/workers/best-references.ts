import { aligned, PAGE_BYTES } from '../../gallery/segment-layout.ts';
import { instantiateCandidateKernels, type CandidateKernels } from '../kernels/candidate-kernels.ts';
import type { KernelBuild } from '../kernels/kernel-builds.ts';

export interface ChosenIndices {
  /** The chosen indices of each list, ascending. */
  readonly indices: Uint32Array[];
  /** Whether these are all references with a value above 0. */
  readonly areAll: boolean;
}

const MAX_VALUE = 255;
/** Values of a sample that lie together, a multiple of 16, and the distance of such groups. */
const SAMPLE = 1024;
const SAMPLED_ONCE_IN = 16_384;

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
    const least = greatestWith(kernels, total, wanted);
    const out = total;
    const indices = lists.map((list, l) => {
      const found = kernels.collectValues(starts[l], list.length, least, out);
      return Uint32Array.from(new Uint32Array(buffer, out, found));
    });
    // Similarities to a probe are personal data.
    kernels.wipe(0, total);
    return { indices, areAll: least === 1 };
  }

  /** Reserves room for the values and for the indices of all of them. */
  #reserve(values: number) {
    const bytes = 5 * values;
    if (this.#memory === undefined || this.#kernels === undefined || bytes > this.#memory.buffer.byteLength) {
      const pages = Math.max(2, Math.ceil((bytes * 1.125) / PAGE_BYTES));
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      // Both or none: kernels of another memory would find nothing in this one.
      this.#kernels = instantiateCandidateKernels(memory, this.#build);
      this.#memory = memory;
    }
    return { kernels: this.#kernels, buffer: this.#memory.buffer };
  }
}

/**
 * The greatest value that `wanted` of the first `total` references reach; 1 where there are fewer. A sample tells where to
 * begin, and two or three passes over all values then suffice. A wrong guess costs time and changes nothing.
 */
function greatestWith(kernels: CandidateKernels, total: number, wanted: number): number {
  const isEnough = (value: number) => kernels.countValues(0, total, value) >= wanted;
  let least = guessOf(kernels, total, wanted);
  if (isEnough(least)) {
    while (least < MAX_VALUE && isEnough(least + 1)) least++;
    return least;
  }
  while (least > 1 && !isEnough(least)) least--;
  return least;
}

/** The greatest value that the share of a sample reaches; 1 where none does. */
function guessOf(kernels: CandidateKernels, total: number, wanted: number): number {
  const starts = Array.from({ length: Math.ceil(total / SAMPLED_ONCE_IN) }, (_, i) => i * SAMPLED_ONCE_IN);
  const sampled = starts.reduce((sum, start) => sum + Math.min(SAMPLE, total - start), 0);
  const count = (value: number) =>
    starts.reduce((sum, start) => sum + kernels.countValues(start, Math.min(SAMPLE, total - start), value), 0);
  let [low, high] = [1, MAX_VALUE + 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (count(middle) * total >= wanted * sampled) low = middle;
    else high = middle;
  }
  return low;
}
