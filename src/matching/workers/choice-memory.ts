import { aligned, PAGE_BYTES } from '../../gallery/segment-layout.ts';
import { AgeMask, type SubjectFilter } from '../../gallery/subject-filter.ts';
import { instantiateCandidateKernels, MAX_INSTANCES, type CandidateKernels } from '../kernels/candidate-kernels.ts';
import type { KernelBuild } from '../kernels/kernel-builds.ts';
import { joined } from './joined-arrays.ts';

/** References copied at a time: owners and values of a chunk stay in the second-level cache. */
const CHUNK = 32_768;

/** Addresses in the memory. */
interface Layout {
  readonly ordinals: number;
  readonly table: number;
  readonly owners: number;
  readonly values: number;
  readonly indices: number;
  readonly best: number;
  readonly counts: number;
  readonly sums: number;
  readonly list: number;
  readonly end: number;
}

/** The references of one segment, as a choice reads them. */
export interface OwnedValues {
  /** Ordinal of each reference's subject. */
  readonly owners: Uint32Array;
  /** Uint8Array: see scanCodes; Int16Array: similarities. One for each reference. */
  readonly values: Uint8Array | Int16Array;
}

/**
 * The columns by which a thread chooses subjects: one entry per ordinal, in a memory that the kernels share. Columns
 * have a multiple of sixteen entries, since kernels read whole vectors. Kept from
 * search to search, since allocating takes longer than using it. All columns but the ranks are zero between two
 * choices; after a choice that failed, the next one clears them.
 */
export class ChoiceMemory {
  readonly #build: KernelBuild | undefined;
  #kernels: CandidateKernels | undefined;
  #memory: WebAssembly.Memory | undefined;
  #layout = layoutOf(0);
  /** Whether the columns are as a choice must find them: not after one that failed before `release`. */
  #isClean = true;

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(build?: KernelBuild) {
    this.#build = build;
  }

  /**
   * Ranks the subjects by their best value for each instance.
   * @param instances - for each instance, the segments scanned
   * @param ordinals - one past the greatest
   * @param table - factor and offset by number of instances, see rankSubjects; MAX_INSTANCES entries at most
   * @param goOn - called every fraction of a millisecond; what it throws ends the choice
   * @throws RangeError when there is no memory, or there are too many instances
   */
  rank(
    instances: readonly (readonly OwnedValues[])[],
    ordinals: number,
    table: Uint16Array,
    goOn: () => void = () => undefined,
  ): void {
    if (instances.length >= MAX_INSTANCES) throw new RangeError(`more than ${MAX_INSTANCES - 1} instances`);
    const { kernels, layout, buffer } = this.#reserve(ordinals);
    const padded = aligned(ordinals);
    const { best, sums, counts } = layout;
    if (!this.#isClean) kernels.wipe(best, 2 * layout.ordinals);
    this.#isClean = false;
    kernels.wipe(sums, 2 * padded);
    new Uint16Array(buffer, layout.table, table.length).set(table);
    for (const segments of instances) {
      for (const { owners, values } of segments) {
        for (let from = 0; from < owners.length; from += CHUNK) {
          goOn();
          const count = Math.min(CHUNK, owners.length - from);
          new Uint32Array(buffer, layout.owners, count).set(owners.subarray(from, from + count));
          const some = values.subarray(from, from + count);
          if (some instanceof Uint8Array) {
            new Uint8Array(buffer, layout.values, count).set(some);
            kernels.noteBest(layout.values, layout.owners, count, best);
          } else {
            new Int16Array(buffer, layout.values, count).set(some);
            kernels.noteBestSimilarities(layout.values, layout.owners, count, best);
          }
        }
      }
      kernels.addInstance(best, padded, sums, counts);
    }
    kernels.rankSubjects(sums, counts, padded, instances.length, layout.table);
    kernels.wipe(counts, padded);
  }

  /** Drops subjects outside the filter. */
  mask({ scopes, expiry, ages }: SubjectFilter, ordinals: number): void {
    const { kernels, layout, buffer } = this.#reserve(ordinals);
    const { best, sums, list } = layout;
    // Ordinals beyond the end of a column are newer than the search.
    if (scopes !== undefined) {
      for (const scope of scopes) {
        const members = new Uint8Array(scope, 0, Math.min(ordinals, scope.byteLength));
        const copied = new Uint8Array(buffer, list, aligned(ordinals));
        copied.set(members);
        copied.fill(0, members.length);
        kernels.uniteScopes(best, list, aligned(ordinals));
      }
      kernels.maskOutside(sums, best, aligned(ordinals));
    }
    if (expiry === undefined && ages === undefined) return;
    const times = expiry && new Float64Array(expiry.times);
    const hidden = ages && new AgeMask(ages);
    const instantMs = expiry?.instantMs ?? ages?.instantMs ?? 0;
    for (let from = 0; from < ordinals; from += CHUNK) {
      const count = Math.min(CHUNK, ordinals - from);
      const copied = new Float64Array(buffer, layout.owners, count).fill(times === undefined ? Infinity : -Infinity);
      if (times !== undefined) copied.set(times.subarray(from, from + count));
      // For the kernel, a subject that may not be found because of its age is one past its limit.
      if (hidden !== undefined) for (let i = 0; i < count; i++) if (hidden.hides(from + i)) copied[i] = -Infinity;
      kernels.maskExpired(sums + 2 * from, layout.owners, count, instantMs);
    }
  }

  /**
   * The `wanted` subjects of the highest ranks, and those that tie with the last of them. They stay marked, for
   * `referencesOf`, until `release`.
   * @returns ordinals, ascending
   */
  choose(wanted: number, ordinals: number): Uint32Array {
    const { kernels, layout, buffer } = this.#reserve(ordinals);
    const least = kernels.rankWith(layout.sums, aligned(ordinals), wanted);
    const found = kernels.collectSubjects(layout.sums, aligned(ordinals), least, layout.best, layout.list);
    return Uint32Array.from(new Uint32Array(buffer, layout.list, found));
  }

  /** How many subjects of higher rank there are, plus one; Infinity where the subject has no rank. After `rank`. */
  placeOf(ordinal: number, ordinals: number): number {
    const { layout, buffer } = this.#reserve(ordinals);
    const ranks = new Uint16Array(buffer, layout.sums, ordinals);
    const own = ranks[ordinal] ?? 0;
    if (own === 0) return Infinity;
    let before = 0;
    for (let o = 0; o < ordinals; o++) if (ranks[o] > own) before++;
    return before + 1;
  }

  /** Indices of the marked subjects' references, ascending. */
  referencesOf(owners: Uint32Array, ordinals: number): Uint32Array {
    const { kernels, layout, buffer } = this.#reserve(ordinals);
    const found: Uint32Array[] = [];
    for (let from = 0; from < owners.length; from += CHUNK) {
      const count = Math.min(CHUNK, owners.length - from);
      new Uint32Array(buffer, layout.owners, count).set(owners.subarray(from, from + count));
      const listed = kernels.collectReferences(layout.owners, count, from, layout.best, layout.indices);
      if (listed > 0) found.push(Uint32Array.from(new Uint32Array(buffer, layout.indices, listed)));
    }
    return joined(found);
  }

  /** Clears the marks. */
  release(subjects: Uint32Array): void {
    if (this.#memory === undefined) return;
    const marks = new Uint8Array(this.#memory.buffer, this.#layout.best, this.#layout.ordinals);
    for (let s = 0; s < subjects.length; s++) marks[subjects[s]] = 0;
    this.#isClean = true;
  }

  #reserve(ordinals: number) {
    if (this.#memory === undefined || this.#kernels === undefined || ordinals > this.#layout.ordinals) {
      // An eighth more: a growing gallery must not need a new memory for every search.
      const layout = layoutOf(aligned(Math.ceil(ordinals * 1.125)));
      const pages = Math.max(2, Math.ceil(layout.end / PAGE_BYTES));
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      // All three or none: where there is no memory, the next choice begins with those of before.
      this.#kernels = instantiateCandidateKernels(memory, this.#build);
      this.#memory = memory;
      this.#layout = layout;
    }
    return { kernels: this.#kernels, layout: this.#layout, buffer: this.#memory.buffer };
  }
}

/** One extra entry: kernels that make lists write one entry past the last. */
function layoutOf(ordinals: number): Layout {
  const table = 0;
  const owners = table + 4 * MAX_INSTANCES;
  const values = owners + 8 * CHUNK;
  const indices = values + 2 * CHUNK;
  const best = indices + aligned(4 * (CHUNK + 1));
  const counts = best + ordinals;
  const sums = counts + ordinals;
  const list = sums + 2 * ordinals;
  return {
    ordinals,
    table,
    owners,
    values,
    indices,
    best,
    counts,
    sums,
    list,
    end: list + aligned(4 * (ordinals + 1)),
  };
}
