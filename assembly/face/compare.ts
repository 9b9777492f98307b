/**
 * Inner products of signed bytes, −127 to 127. Vectors are contiguous, each a multiple of sixteen bytes, and are read one
 * at a time, front to back: the prefetcher follows a single forward stream, and two references side by side take three
 * times as long. The probe is prepared once, which saves work on each reference. Both builds give the same integers.
 */
import { REMOVED } from '../finger/compare';
import { innerProduct, laneSum, widen } from '../product';

/** Components of the largest embedding. */
const MAX_DIMENSION: usize = 2048;
/** Bytes of scratch that a face comparison needs: two for each component of the probe. */
export const FACE_SCRATCH: i32 = 2 * (MAX_DIMENSION as i32);

/** Similarity of a removed reference: below every real one. */
const NO_SIMILARITY: i16 = -32768;
const MAX_SIMILARITY: i64 = 32767;
/** Fraction bits of `scale`. */
const SCALE_BITS: i64 = 24;

/**
 * Prepares the probe for the relaxed dot product. That is exact on every engine while its second operand is 0 to 127 and
 * sums of two products fit sixteen bits. The second operand is therefore |p|, and the sign of p is applied to r:
 * p·r = |p|·r where p ≥ 0, and |p|·(¬r + 1) where p < 0. ¬r reaches −128, and 2 · 127 · 128 = 32512 fits.
 *
 * Writes signs and magnitudes alternately, sixteen of each.
 * @returns the total of the "+ 1" terms: the sum of the magnitudes of the negative components
 */
function split(probe: usize, dimension: usize, out: usize): i32 {
  let sum = i32x4.splat(0);
  for (let i: usize = 0; i < dimension; i += 16) {
    const p = v128.load(probe + i);
    const magnitudes = i8x16.abs(p);
    const signs = i8x16.lt_s(p, i8x16.splat(0));
    v128.store(out + (i << 1), signs);
    v128.store(out + (i << 1), magnitudes, 16);
    const negative = i16x8.extadd_pairwise_i8x16_s(v128.and(magnitudes, signs));
    sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(negative));
  }
  return laneSum(sum);
}

/** @param sum - accumulator */
@inline
function addRelaxed(reference: usize, probe: usize, offset: usize, sum: v128): v128 {
  const signed = v128.xor(v128.load(reference + offset), v128.load(probe + offset * 2));
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(signed, v128.load(probe + offset * 2, 16), sum);
}

@inline
function relaxedProduct(reference: usize, probe: usize, dimension: usize): i32 {
  let even = i32x4.splat(0);
  let odd = i32x4.splat(0);
  let r = reference;
  let p = probe;
  const end = reference + dimension;
  for (const whole = reference + (dimension & ~63); r < whole; r += 64, p += 128) {
    even = addRelaxed(r, p, 0, even);
    odd = addRelaxed(r, p, 16, odd);
    even = addRelaxed(r, p, 32, even);
    odd = addRelaxed(r, p, 48, odd);
  }
  for (; r < end; r += 16, p += 32) even = addRelaxed(r, p, 0, even);
  return laneSum(i32x4.add(even, odd));
}

/** Prepares the probe for this build. @returns a constant to add to each product */
function prepare(probe: usize, dimension: usize, scratch: usize): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) return split(probe, dimension, scratch);
  widen(probe, dimension, scratch);
  return 0;
}

@inline
function productWith(prepared: usize, reference: usize, dimension: usize): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) return relaxedProduct(reference, prepared, dimension);
  return innerProduct(reference, prepared, dimension);
}

/** The address of a reference; 0: removed. */
function addressOf(directory: usize, r: i32): usize {
  return (load<u32>(directory + ((r as usize) << 2)) as usize) << 4;
}

/**
 * Compares a face with `count` references in one call.
 * @param dimension - components, a multiple of 16, at most MAX_DIMENSION
 * @param directory - u32 address / 16 of each reference; 0: removed
 * @param scores - i32 for each: the inner product, or REMOVED
 * @param scratch - FACE_SCRATCH bytes
 */
export function compareFaces(
  probe: usize,
  dimension: i32,
  directory: usize,
  count: i32,
  scores: usize,
  scratch: usize,
): void {
  const bytes = dimension as usize;
  const rest = prepare(probe, bytes, scratch);
  for (let r = 0; r < count; r++) {
    const address = addressOf(directory, r);
    store<i32>(scores + ((r as usize) << 2), address == 0 ? REMOVED : productWith(scratch, address, bytes) + rest);
  }
}

/**
 * Like compareFaces, with scores reduced to sixteen bits: times `scale`, rounded, at most ±MAX_SIMILARITY.
 * @param scale - times 2 to the power of SCALE_BITS
 * @param similarities - i16 for each; NO_SIMILARITY for a removed reference
 * @returns the number of references that are not removed
 */
export function resembleFaces(
  probe: usize,
  dimension: i32,
  directory: usize,
  count: i32,
  similarities: usize,
  scale: i32,
  scratch: usize,
): i32 {
  const bytes = dimension as usize;
  const rest = prepare(probe, bytes, scratch);
  let present = 0;
  for (let r = 0; r < count; r++) {
    const address = addressOf(directory, r);
    let similarity = NO_SIMILARITY;
    if (address != 0) {
      const score = (productWith(scratch, address, bytes) + rest) as i64;
      const scaled = (score * (scale as i64) + (1 << (SCALE_BITS - 1))) >> SCALE_BITS;
      similarity = max<i64>(-MAX_SIMILARITY, min<i64>(MAX_SIMILARITY, scaled)) as i16;
      present++;
    }
    store<i16>(similarities + ((r as usize) << 1), similarity);
  }
  return present;
}
