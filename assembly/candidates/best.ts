/** The best value of each subject for one instance, and the sums over instances; see choose.ts. */
import { areConsecutive } from './owners';

/** Size of a step, as a similarity: see src/matching/kernels/code-tables.ts. */
const STEP: i32 = 144;
/** 2¹⁶ / STEP, rounded up: for 0 to 32,767 the upper half of the product is the quotient by STEP. */
const PER_STEP: i32 = 456;

@inline
function noteOne(values: usize, owners: usize, i: usize, best: usize): void {
  const at = best + (load<u32>(owners + (i << 2)) as usize);
  const value = load<u8>(values + i);
  const known = load<u8>(at);
  store<u8>(at, value > known ? value : known);
}

/**
 * Notes the best value of each subject. Sixteen references of consecutive subjects, the rule in galleries that were loaded
 * or imported, are noted at once: their subjects' entries are contiguous, and nothing is scattered.
 * @param values - u8 for each reference; 0: removed
 * @param owners - u32 for each reference: the ordinal
 * @param best - u8 for each ordinal
 */
export function noteBest(values: usize, owners: usize, count: i32, best: usize): void {
  const end = count as usize;
  let i: usize = 0;
  for (const whole = end & ~15; i < whole; i += 16) {
    const own = owners + (i << 2);
    const first = load<u32>(own);
    if (areConsecutive(own, first)) {
      const at = best + (first as usize);
      v128.store(at, i8x16.max_u(v128.load(at), v128.load(values + i)));
    } else for (let k = i; k < i + 16; k++) noteOne(values, owners, k, best);
  }
  for (; i < end; i++) noteOne(values, owners, i, best);
}

/** Like noteBest, from similarities of sixteen bits; −32768: removed. */
export function noteBestSimilarities(similarities: usize, owners: usize, count: i32, best: usize): void {
  for (let i: usize = 0; i < (count as usize); i++) {
    const similarity = load<i16>(similarities + (i << 1)) as i32;
    if (similarity == -32768) continue;
    const steps = similarity <= 0 ? 0 : min<i32>(254, (similarity * PER_STEP) >> 16);
    const at = best + (load<u32>(owners + (i << 2)) as usize);
    const value = (steps + 1) as u8;
    const known = load<u8>(at);
    store<u8>(at, value > known ? value : known);
  }
}

/**
 * Adds the best values of an instance to the sums, adds 1 to the count of each subject with a value, and clears the
 * values.
 * @param sums - u16 for each ordinal
 * @param counts - u8 for each ordinal
 */
export function addInstance(best: usize, ordinals: i32, sums: usize, counts: usize): void {
  const one = i8x16.splat(1);
  for (let o: usize = 0; o < (ordinals as usize); o += 16) {
    const values = v128.load(best + o);
    const sum = sums + (o << 1);
    const counted = v128.load(counts + o);
    const steps = i8x16.sub_sat_u(values, one);
    v128.store(counts + o, i8x16.add(counted, i8x16.min_u(values, one)));
    v128.store(sum, i16x8.add(v128.load(sum), i16x8.extend_low_i8x16_u(steps)));
    v128.store(sum, i16x8.add(v128.load(sum, 16), i16x8.extend_high_i8x16_u(steps)), 16);
    v128.store(best + o, i8x16.splat(0));
  }
}
