import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import { fisherSeries, FLOOR_LOG10_FMR } from '../rates/fusion.ts';
import { REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import type { ScannedSegment, ShortlistTask } from './messages.ts';

interface Part extends Omit<ScannedSegment, 'segment'> {
  readonly segment: SegmentHandle;
  /** What makes rates of the numbers, where these are similarities of faces: see Calibrations. */
  readonly rates: Int16Array | undefined;
}

/** A task whose segments are at hand. */
export interface ShortlistRequest extends Omit<ShortlistTask, 'parts' | 'kind'> {
  readonly parts: readonly Part[];
}

const NONE = -(2 ** 31);
/** Ranks are counted in steps of sixteen: a list may be longer than wanted by those in its last step. */
const STEP_BITS = 4;
const STEPS = 16_384;
/** More instances than a search can have. */
const MAX_INSTANCES = 64;
/** 1 divided by the root of so many. */
const PER_ROOT = Float64Array.from({ length: MAX_INSTANCES }, (_, instances) => 1 / Math.sqrt(Math.max(1, instances)));
/** Of the similarities of strangers, those below 0 taken for 0: their deviation of 1,800, divided by √(2π). */
const MEAN_ABOVE_ZERO = 718;
/** By how much the sum of a subject's rates may be too small, for those of faces are read from a table with steps. */
export const RATE_COARSENESS = 10;

/**
 * The least sum of rates of a subject who can become a candidate: fusing can only say less than all of them together,
 * and one that is notable is needed.
 * @param thresholdLog10 - highest fused log10 rate of a candidate
 */
export function minSum(thresholdLog10: number): number {
  return Math.floor(-1000 * Math.min(FLOOR_LOG10_FMR, thresholdLog10)) - RATE_COARSENESS;
}

/**
 * Chooses subjects by what their references have in common with the probes. A subject has, for each instance, the number of
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
  choose(task: ShortlistRequest): Uint32Array {
    const byInstance = Map.groupBy(task.parts, ({ instance }) => instance);
    if (byInstance.size === 1) return chooseByOneInstance(task);
    const { similarities, ordinals, wanted, by, least } = task;
    if (this.#ranks.length < ordinals) {
      this.#best = new Int16Array(ordinals * 2);
      this.#ranks = new Int32Array(ordinals * 2);
      this.#counts = new Uint8Array(ordinals * 2);
    }
    const ranks = this.#ranks.subarray(0, ordinals).fill(NONE);
    const counts = this.#counts.subarray(0, ordinals).fill(0);
    const values = new Int16Array(similarities);
    const [first, ...others] = byInstance.values();
    if (first !== undefined) this.#begin(first, values);
    for (const ofOneInstance of others) this.#add(ofOneInstance, values, ordinals);
    return collect(
      ranks,
      by === 'comparison' ? rankByRates(ranks, counts, least) : rankByVectors(ranks, counts),
      wanted,
    );
  }

  /** Takes the best number of each subject for the first instance for its sum. */
  #begin(parts: readonly Part[], values: Int16Array): void {
    const [sums, counts] = [this.#ranks, this.#counts];
    for (const part of parts) {
      const owners = ownersOf(part);
      const { rates } = part;
      for (let i = 0; i < part.count; i++) {
        const similarity = values[part.offset + i];
        const value = rates === undefined ? similarity : rates[similarity - REMOVED_SIMILARITY];
        const owner = owners[i];
        if (value === REMOVED_SIMILARITY || value <= sums[owner]) continue;
        sums[owner] = Math.max(0, value);
        counts[owner] = 1;
      }
    }
  }

  /** Adds the best number of each subject for one instance to its sum, and counts it. */
  #add(parts: readonly Part[], values: Int16Array, ordinals: number): void {
    const best = this.#best.subarray(0, ordinals).fill(REMOVED_SIMILARITY);
    const [sums, counts] = [this.#ranks, this.#counts];
    for (const part of parts) {
      const owners = ownersOf(part);
      const { rates } = part;
      for (let i = 0; i < part.count; i++) {
        const owner = owners[i];
        const similarity = values[part.offset + i];
        const value = rates === undefined ? similarity : rates[similarity - REMOVED_SIMILARITY];
        if (value > best[owner]) best[owner] = value;
      }
    }
    for (let o = 0; o < ordinals; o++) {
      const similarity = best[o];
      if (similarity === REMOVED_SIMILARITY) continue;
      sums[o] = Math.max(0, sums[o]) + Math.max(0, similarity);
      counts[o]++;
    }
  }
}

/**
 * Of one instance the best number of a subject is their rank, so it is enough to look at the references of the greatest
 * numbers: no sums of a million subjects.
 */
function chooseByOneInstance({ parts, similarities, wanted, by, least: minRate }: ShortlistRequest): Uint32Array {
  const values = new Int16Array(similarities);
  const least = by === 'comparison' ? minRate : REMOVED_SIMILARITY + 1;
  const inStep = new Uint32Array(2 * STEPS);
  for (const part of parts) countSteps(part, values, part.rates, least, inStep);
  for (let references = wanted; ; references *= 2) {
    const step = stepWith(inStep, references);
    const best = new Map<number, number>();
    const lowest = Math.max(least, (step - STEPS) << STEP_BITS);
    for (const part of parts) noteBest(part, values, part.rates, lowest, best);
    // Fewer subjects than references, where some have several: look farther down.
    if (best.size >= wanted || step === 0) return greatest(best, wanted);
  }
}

/** How many references have a number in each step. */
function countSteps(
  part: Part,
  values: Int16Array,
  rates: Int16Array | undefined,
  least: number,
  inStep: Uint32Array,
): void {
  const enough = similarityWith(rates, least);
  for (let i = 0; i < part.count; i++) {
    const similarity = values[part.offset + i];
    if (similarity < enough) continue;
    const value = rates === undefined ? similarity : rates[similarity - REMOVED_SIMILARITY];
    inStep[(value >> STEP_BITS) + STEPS]++;
  }
}

/** The best numbers of the subjects who have one of `lowest` at least. */
function noteBest(
  part: Part,
  values: Int16Array,
  rates: Int16Array | undefined,
  lowest: number,
  best: Map<number, number>,
): void {
  const owners = ownersOf(part);
  const enough = similarityWith(rates, lowest);
  for (let i = 0; i < part.count; i++) {
    const similarity = values[part.offset + i];
    if (similarity < enough) continue;
    const value = rates === undefined ? similarity : rates[similarity - REMOVED_SIMILARITY];
    const known = best.get(owners[i]);
    if (known === undefined || value > known) best.set(owners[i], value);
  }
}

/** The least similarity whose rate is at least `rate`: most references have less, and need not be looked at further. */
function similarityWith(rates: Int16Array | undefined, rate: number): number {
  if (rates === undefined) return rate;
  let [low, high] = [1, rates.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rates[middle] >= rate) high = middle;
    else low = middle + 1;
  }
  return low + REMOVED_SIMILARITY;
}

/** The `wanted` subjects of the greatest ranks, and those in the step of the last. */
function greatest(best: ReadonlyMap<number, number>, wanted: number): Uint32Array {
  const inStep = new Uint32Array(2 * STEPS);
  for (const rank of best.values()) inStep[stepOf(rank)]++;
  const step = stepWith(inStep, wanted);
  const chosen: number[] = [];
  for (const [ordinal, rank] of best) if (stepOf(rank) >= step) chosen.push(ordinal);
  return Uint32Array.from(chosen).sort();
}

/** The step down to which there are `wanted`; 0 where there are fewer. */
function stepWith(inStep: Uint32Array, wanted: number): number {
  let [found, step] = [0, inStep.length];
  while (step > 0 && found < wanted) found += inStep[--step];
  return step;
}

/** The ordinals of those who own the references of a part. */
export function ownersOf({ segment, count }: Part): Uint32Array {
  return new Uint32Array(segment.memory.buffer, segment.layout.ownersAddress, count);
}

/**
 * Of vectors, numbers of strangers lie around 0 with one deviation. A finger that was captured badly is unlike
 * everything, which says nothing against its owner: less than 0 counts as 0. What strangers have in sum then is taken
 * off, and the rest divided by the root of the number of instances: whoever has more of them must not be in front for it.
 * @param sum - of the similarities above 0
 */
export function vectorRank(sum: number, instances: number): number {
  return (sum - instances * MEAN_ABOVE_ZERO) * PER_ROOT[instances];
}

/** @returns how many ranks are in each step; so below */
function rankByVectors(sums: Int32Array, counts: Uint8Array): Uint32Array {
  const inStep = new Uint32Array(2 * STEPS);
  for (let o = 0; o < sums.length; o++) {
    if (sums[o] === NONE) continue;
    // Cut off rather than rounded, which takes four times as long.
    sums[o] = vectorRank(sums[o], counts[o]) | 0;
    inStep[stepOf(sums[o])]++;
  }
  return inStep;
}

/** Of rates: whoever has not enough in sum is no candidate. */
function rankByRates(sums: Int32Array, counts: Uint8Array, least: number): Uint32Array {
  const inStep = new Uint32Array(2 * STEPS);
  for (let o = 0; o < sums.length; o++) {
    sums[o] = sums[o] < least ? NONE : fusedRank(sums[o], counts[o]);
    if (sums[o] !== NONE) inStep[stepOf(sums[o])]++;
  }
  return inStep;
}

/**
 * Fisher's method, as in fusion.ts: −1000 · log10 of the chance that strangers reach a sum of `count` such numbers.
 */
export function fusedRank(sum: number, count: number): number {
  if (count < 2) return sum;
  const x = (sum / 1000) * Math.LN10;
  return Math.round(sum - 1000 * Math.log10(fisherSeries(x, count)));
}

/** The ordinals of the greatest ranks. Steps are counted from 0, so that the same ranks fall together whatever the others are. */
function collect(ranks: Int32Array, inStep: Uint32Array, wanted: number): Uint32Array {
  const step = stepWith(inStep, wanted);
  const lowest = step === 0 ? NONE + 1 : (step - STEPS) << STEP_BITS;
  const subjects = new Uint32Array(inStep.subarray(step).reduce((sum, count) => sum + count, 0));
  let next = 0;
  for (let o = 0; o < ranks.length; o++) if (ranks[o] >= lowest) subjects[next++] = o;
  return subjects;
}

/** Ranks of several instances together may be larger than one number; what is beyond the last step is alike enough. */
function stepOf(rank: number): number {
  return Math.max(0, Math.min(2 * STEPS - 1, (rank >> STEP_BITS) + STEPS));
}
