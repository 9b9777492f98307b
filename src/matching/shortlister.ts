import { FLOOR_LOG10_FMR } from './candidate-source.ts';
import { fisherSeries } from './fusion.ts';
import { REMOVED_SIMILARITY } from './kernels.ts';
import type { ResembledSegment, ShortlistTask } from './messages.ts';

const NONE = -(2 ** 31);
/** Ranks are counted in steps of sixteen: a list may be longer than wanted by those in its last step. */
const STEP_BITS = 4;
const STEPS = 16_384;
/** More traits than a search can have. */
const MOST_TRAITS = 64;
/** What a score at FLOOR_LOG10_FMR adds, less than the coarseness of the tables. */
const LEAST_SUM = -1000 * FLOOR_LOG10_FMR - 10;

/**
 * Chooses subjects by what their references have in common with the probes. A subject has, for each trait, the number of
 * the best pair of a probe and a reference, and ranks by what these numbers say together: a subject with few references
 * must not fall behind strangers with many, who have more numbers to add. Which subjects are chosen depends on the
 * numbers alone: not on the order of references, segments or ordinals.
 */
export class Shortlister {
  // Kept from search to search: at a million subjects it takes longer to make them than to use them.
  #best = new Int16Array(0);
  #ranks = new Int32Array(0);
  #counts = new Uint8Array(0);

  /** @returns ordinals, ascending: the `wanted` best, and those as good as the last of them */
  choose({ parts, similarities, ordinals, wanted, by, scopes }: ShortlistTask): Uint32Array {
    if (this.#ranks.length < ordinals) {
      this.#best = new Int16Array(ordinals * 2);
      this.#ranks = new Int32Array(ordinals * 2);
      this.#counts = new Uint8Array(ordinals * 2);
    }
    const ranks = this.#ranks.subarray(0, ordinals).fill(NONE);
    const counts = this.#counts.subarray(0, ordinals).fill(0);
    for (const ofOneTrait of Map.groupBy(parts, ({ trait }) => trait).values()) {
      this.#add(ofOneTrait, new Int16Array(similarities), ordinals);
    }
    if (scopes !== undefined) leaveOut(ranks, scopes);
    if (by === 'comparison') rankByRates(ranks, counts);
    else rankByVectors(ranks, counts);
    return collect(ranks, wanted);
  }

  /** Adds the best number of each subject for one trait to its sum, and counts it. */
  #add(parts: readonly ResembledSegment[], similarities: Int16Array, ordinals: number): void {
    const best = this.#best.subarray(0, ordinals).fill(REMOVED_SIMILARITY);
    const [sums, counts] = [this.#ranks, this.#counts];
    for (const { segment, count, offset } of parts) {
      const owners = new Uint32Array(segment.memory.buffer, segment.layout.ownersAddress, count);
      for (let i = 0; i < count; i++) {
        const owner = owners[i];
        const similarity = similarities[offset + i];
        if (similarity > best[owner]) best[owner] = similarity;
      }
    }
    for (let o = 0; o < ordinals; o++) {
      const similarity = best[o];
      if (similarity === REMOVED_SIMILARITY) continue;
      sums[o] = sums[o] === NONE ? similarity : sums[o] + similarity;
      counts[o]++;
    }
  }
}

/** The references of some subjects that were looked at, for each part. */
export function referencesOf(subjects: Uint32Array, { parts, similarities, ordinals }: ShortlistTask): Uint32Array[] {
  const wanted = new Uint8Array(ordinals);
  for (let i = 0; i < subjects.length; i++) wanted[subjects[i]] = 1;
  return parts.map(({ segment, count, offset }) => {
    const owners = new Uint32Array(segment.memory.buffer, segment.layout.ownersAddress, count);
    const values = new Int16Array(similarities, offset * 2, count);
    const found: number[] = [];
    for (let i = 0; i < count; i++) if (wanted[owners[i]] === 1 && values[i] !== REMOVED_SIMILARITY) found.push(i);
    return Uint32Array.from(found);
  });
}

/** Of vectors, numbers of strangers lie around 0 with one deviation: so their sum is divided by the root of their number. */
function rankByVectors(sums: Int32Array, counts: Uint8Array): void {
  const factors = Float64Array.from({ length: MOST_TRAITS }, (_, count) => 1 / Math.sqrt(Math.max(1, count)));
  // Cut off rather than rounded, which takes four times as long.
  for (let o = 0; o < sums.length; o++)
    if (counts[o] > 1 && sums[o] !== NONE) sums[o] = (sums[o] * factors[counts[o]]) | 0;
}

/** Of rates: whoever has not even enough in sum for one notable score is no candidate. */
function rankByRates(sums: Int32Array, counts: Uint8Array): void {
  for (let o = 0; o < sums.length; o++) sums[o] = sums[o] < LEAST_SUM ? NONE : fusedRank(sums[o], counts[o]);
}

/**
 * Fisher's method, as in fusion.ts: −1000 · log10 of the chance that strangers reach a sum of `count` such numbers.
 */
export function fusedRank(sum: number, count: number): number {
  if (count < 2) return sum;
  const x = (sum / 1000) * Math.LN10;
  return Math.round(sum - 1000 * Math.log10(fisherSeries(x, count)));
}

/** Takes out who is in none of the scopes. */
function leaveOut(ranks: Int32Array, scopes: readonly SharedArrayBuffer[]): void {
  const masks = scopes.map((scope) => new Uint8Array(scope));
  for (let o = 0; o < ranks.length; o++) {
    if (ranks[o] !== NONE && !masks.some((mask) => mask[o] === 1)) ranks[o] = NONE;
  }
}

/** The ordinals of the greatest ranks. Steps are counted from 0, so that the same ranks fall together whatever the others are. */
function collect(ranks: Int32Array, wanted: number): Uint32Array {
  const counts = new Uint32Array(2 * STEPS);
  for (let o = 0; o < ranks.length; o++) if (ranks[o] !== NONE) counts[stepOf(ranks[o])]++;
  let found = 0;
  let step = counts.length;
  while (step > 0 && found < wanted) found += counts[--step];
  const subjects = new Uint32Array(found);
  let next = 0;
  for (let o = 0; o < ranks.length; o++) if (ranks[o] !== NONE && stepOf(ranks[o]) >= step) subjects[next++] = o;
  return subjects;
}

/** Ranks of several traits together may be larger than one number; what is beyond the last step is alike enough. */
function stepOf(rank: number): number {
  return Math.max(0, Math.min(2 * STEPS - 1, (rank >> STEP_BITS) + STEPS));
}
