import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import { fisherSeries, FLOOR_LOG10_FMR } from '../rates/fusion.ts';
import { REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import type { ScannedSegment, ShortlistTask } from './messages.ts';

interface Part extends Omit<ScannedSegment, 'segment'> {
  readonly segment: SegmentHandle;
  /** Converts face similarities to rates, see Calibrations. */
  readonly rates: Int16Array | undefined;
}

/** A shortlist task with its segments resolved. */
export interface ShortlistRequest extends Omit<ShortlistTask, 'parts' | 'kind'> {
  readonly parts: readonly Part[];
}

const NONE = -(2 ** 31);
/** Histogram buckets are sixteen wide: the list may exceed the wanted length by the ranks in its last bucket. */
const STEP_BITS = 4;
const STEPS = 16_384;
/** Largest amount by which a subject's sum of rates may be too small: face rates come from a table with steps. */
export const RATE_COARSENESS = 10;

/**
 * Lowest sum of rates of a possible candidate: fusion never yields more than the sum, and one notable rate is required.
 * @param thresholdLog10 - highest fused log10 rate of a candidate
 */
export function minSum(thresholdLog10: number): number {
  return Math.floor(-1000 * Math.min(FLOOR_LOG10_FMR, thresholdLog10)) - RATE_COARSENESS;
}

/**
 * Chooses subjects by the similarities of their references. For each instance, a subject has the value of its best pair
 * of probe and reference. Its rank fuses these values: a subject with few references must not fall behind non-mates
 * with many. The choice depends on the values alone, not on the order of references, segments or ordinals.
 */
export class Shortlister {
  // Kept from search to search: at a million subjects, allocating them takes longer than using them.
  #best = new Int16Array(0);
  #ranks = new Int32Array(0);
  #counts = new Uint8Array(0);

  /** @returns ordinals, ascending: the `wanted` best, and those that tie with the last of them */
  choose(task: ShortlistRequest): Uint32Array {
    const byInstance = Map.groupBy(task.parts, ({ instance }) => instance);
    if (byInstance.size === 1) return chooseByOneInstance(task);
    const { similarities, ordinals, wanted, least } = task;
    if (this.#ranks.length < ordinals) {
      this.#best = new Int16Array(ordinals * 2);
      this.#counts = new Uint8Array(ordinals * 2);
      // Last: its length says that there are the others, too.
      this.#ranks = new Int32Array(ordinals * 2);
    }
    const ranks = this.#ranks.subarray(0, ordinals).fill(NONE);
    const counts = this.#counts.subarray(0, ordinals).fill(0);
    const values = new Int16Array(similarities);
    const [first, ...others] = byInstance.values();
    if (first !== undefined) this.#begin(first, values);
    for (const ofOneInstance of others) this.#add(ofOneInstance, values, ordinals);
    return collect(ranks, rankByRates(ranks, counts, least), wanted);
  }

  /** Starts each subject's sum with its best value for the first instance. */
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

  /** Adds each subject's best value for one instance to its sum, and counts it. */
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
 * With one instance a subject's rank is its best value. Reading the references with the greatest values is enough:
 * there is no need for sums of a million subjects.
 */
function chooseByOneInstance({ parts, similarities, wanted, least }: ShortlistRequest): Uint32Array {
  const values = new Int16Array(similarities);
  const inStep = new Uint32Array(2 * STEPS);
  for (const part of parts) countSteps(part, values, part.rates, least, inStep);
  for (let references = wanted; ; references *= 2) {
    const step = stepWith(inStep, references);
    const best = new Map<number, number>();
    const lowest = Math.max(least, (step - STEPS) << STEP_BITS);
    for (const part of parts) noteBest(part, values, part.rates, lowest, best);
    // Fewer subjects than references, where some have several: read further down.
    if (best.size >= wanted || step === 0) return greatest(best, wanted);
  }
}

/** Histogram of the references' values. */
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

/** The best values of the subjects with at least one value of `lowest` or more. */
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

/** The lowest similarity whose rate is at least `rate`: most references are below it and need no lookup. */
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

/** The `wanted` subjects of the greatest ranks, and those in the bucket of the last. */
function greatest(best: ReadonlyMap<number, number>, wanted: number): Uint32Array {
  const inStep = new Uint32Array(2 * STEPS);
  for (const rank of best.values()) inStep[stepOf(rank)]++;
  const step = stepWith(inStep, wanted);
  const chosen: number[] = [];
  for (const [ordinal, rank] of best) if (stepOf(rank) >= step) chosen.push(ordinal);
  return Uint32Array.from(chosen).sort();
}

/** The lowest bucket needed for `wanted` entries; 0 where there are fewer. */
function stepWith(inStep: Uint32Array, wanted: number): number {
  let [found, step] = [0, inStep.length];
  while (step > 0 && found < wanted) found += inStep[--step];
  return step;
}

/** The subject ordinals of a part's references. */
function ownersOf({ segment, count }: Part): Uint32Array {
  return new Uint32Array(segment.memory.buffer, segment.layout.ownersAddress, count);
}

/** Ranks by rates; a subject whose sum is below `least` cannot be a candidate. @returns histogram of the ranks */
function rankByRates(sums: Int32Array, counts: Uint8Array, least: number): Uint32Array {
  const inStep = new Uint32Array(2 * STEPS);
  for (let o = 0; o < sums.length; o++) {
    sums[o] = sums[o] < least ? NONE : fusedRank(sums[o], counts[o]);
    if (sums[o] !== NONE) inStep[stepOf(sums[o])]++;
  }
  return inStep;
}

/** Fisher's method, as in fusion.ts: −1000 · log10 of the probability that non-mates reach a sum of `count` values. */
export function fusedRank(sum: number, count: number): number {
  if (count < 2) return sum;
  const x = (sum / 1000) * Math.LN10;
  return Math.round(sum - 1000 * Math.log10(fisherSeries(x, count)));
}

/** The ordinals of the greatest ranks. Buckets start at 0: equal ranks share one, whatever the other ranks are. */
function collect(ranks: Int32Array, inStep: Uint32Array, wanted: number): Uint32Array {
  const step = stepWith(inStep, wanted);
  const lowest = step === 0 ? NONE + 1 : (step - STEPS) << STEP_BITS;
  const subjects = new Uint32Array(inStep.subarray(step).reduce((sum, count) => sum + count, 0));
  let next = 0;
  for (let o = 0; o < ranks.length; o++) if (ranks[o] >= lowest) subjects[next++] = o;
  return subjects;
}

/** Fused ranks may exceed the range of one value; ranks beyond the last bucket share it. */
function stepOf(rank: number): number {
  return Math.max(0, Math.min(2 * STEPS - 1, (rank >> STEP_BITS) + STEPS));
}
