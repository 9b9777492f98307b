import { REMOVED_SIMILARITY } from './kernels.ts';
import type { ResembledSegment, ShortlistTask } from './messages.ts';

const NONE = -(2 ** 31);
/** Sums are counted in steps of so much: a list may be longer than wanted by those in its last step. */
const STEP = 32;

/**
 * Chooses subjects by the similarities of their references with the probes. A subject has, for each probe, the
 * similarity of its best reference, and in all their sum; a probe that it has no reference for adds nothing, as much as
 * a stranger's would on average. Which subjects are chosen depends on the similarities alone: not on the order of
 * references, segments or ordinals.
 */
export class Shortlister {
  // Kept from search to search: at a million subjects it takes longer to make them than to use them.
  #best = new Int16Array(0);
  #sums = new Int32Array(0);

  /** @returns ordinals, ascending: the `wanted` most alike, and those as alike as the last of them */
  choose({ parts, similarities, ordinals, wanted, least, scopes }: ShortlistTask): Uint32Array {
    if (this.#sums.length < ordinals) {
      this.#best = new Int16Array(ordinals * 2);
      this.#sums = new Int32Array(ordinals * 2);
    }
    const sums = this.#sums.subarray(0, ordinals).fill(NONE);
    for (const ofOneProbe of Map.groupBy(parts, ({ probe }) => probe).values()) {
      this.#add(ofOneProbe, new Int16Array(similarities), ordinals);
    }
    if (scopes !== undefined) leaveOut(sums, scopes);
    return collect(sums, wanted, least);
  }

  #add(parts: readonly ResembledSegment[], similarities: Int16Array, ordinals: number): void {
    const best = this.#best.subarray(0, ordinals).fill(REMOVED_SIMILARITY);
    const sums = this.#sums;
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
      if (similarity !== REMOVED_SIMILARITY) sums[o] = sums[o] === NONE ? similarity : sums[o] + similarity;
    }
  }
}

/** Takes out who is in none of the scopes. */
function leaveOut(sums: Int32Array, scopes: readonly SharedArrayBuffer[]): void {
  const masks = scopes.map((scope) => new Uint8Array(scope));
  for (let o = 0; o < sums.length; o++) {
    if (sums[o] !== NONE && !masks.some((mask) => mask[o] === 1)) sums[o] = NONE;
  }
}

/** The ordinals of the greatest sums. */
function collect(sums: Int32Array, wanted: number, least: number): Uint32Array {
  let [lowest, greatest] = [Infinity, -Infinity];
  for (const sum of sums) {
    if (sum === NONE || sum < least) continue;
    if (sum < lowest) lowest = sum;
    if (sum > greatest) greatest = sum;
  }
  if (greatest === -Infinity) return new Uint32Array(0);
  // Steps counted from 0, so that the same sums fall together whatever the others are.
  const first = Math.floor(lowest / STEP);
  const counts = new Uint32Array(Math.floor(greatest / STEP) - first + 1);
  for (const sum of sums) if (sum !== NONE && sum >= least) counts[Math.floor(sum / STEP) - first]++;
  let found = 0;
  let step = counts.length;
  while (step > 0 && found < wanted) found += counts[--step];
  const last = Math.max(least, (first + step) * STEP);
  const subjects = new Uint32Array(found);
  let next = 0;
  for (let o = 0; o < sums.length; o++) if (sums[o] !== NONE && sums[o] >= last) subjects[next++] = o;
  return subjects;
}
