/**
 * Similarities of faces with 2, 4 or 8 probes in one pass. The results of each probe are those of resembleFaces
 * (assembly/face/compare.ts), which serves a single one.
 *
 * A face of 512 bytes takes longer to arrive from memory than to be multiplied. Here it arrives once for all probes: each
 * sixteen bytes are loaded into a register and multiplied with the same components of every probe. These lie side by
 * side, so one address with constant offsets reaches all of them. Eight sums fit the processor's sixteen registers
 * beside them; more than eight probes would not.
 *
 * Not in the module of the comparison kernels: a batch chooses what a single comparison could choose as well, and the
 * hash of that module is part of every calibration.
 */
import { laneSum } from '../product';

/** Similarity of a removed reference: below every real one. */
const NO_SIMILARITY: i16 = -32768;
const MAX_SIMILARITY: i64 = 32767;
/** Fraction bits of `scale`. */
const SCALE_BITS: i64 = 24;

/**
 * Prepares one of several probes, as assembly/face/compare.ts does for a single one: in the relaxed build, sixteen signs
 * and sixteen magnitudes alternate; in the plain one, components are widened to sixteen bits. Both take 32 bytes for
 * sixteen components.
 * @param dimension - components, a multiple of 16
 * @param probes - 2, 4 or 8
 * @param out - place of this probe's first components: 32 bytes after those of the probe before
 * @returns a constant to add to each product
 */
export function prepareFace(probe: usize, dimension: i32, probes: i32, out: usize): i32 {
  const step = (probes as usize) << 5;
  let sum = i32x4.splat(0);
  let to = out;
  for (let i: usize = 0; i < (dimension as usize); i += 16, to += step) {
    if (ASC_FEATURE_RELAXED_SIMD) {
      const p = v128.load(probe + i);
      const magnitudes = i8x16.abs(p);
      const signs = i8x16.lt_s(p, i8x16.splat(0));
      v128.store(to, signs);
      v128.store(to, magnitudes, 16);
      const negative = i16x8.extadd_pairwise_i8x16_s(v128.and(magnitudes, signs));
      sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(negative));
    } else {
      v128.store(to, v128.load8x8_s(probe + i));
      v128.store(to, v128.load8x8_s(probe + i, 8), 16);
    }
  }
  return laneSum(sum);
}

/** Sixteen components of a reference; in the plain build the first eight, widened. */
@inline
function firstOf(row: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.load(row);
  return v128.load8x8_s(row);
}

/** In the plain build the last eight of sixteen components, widened; not used in the relaxed one. */
@inline
function lastOf(row: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.splat(0);
  return v128.load8x8_s(row, 8);
}

/** Adds the products of sixteen components. @param probe - prepared */
@inline
function plus(sum: v128, low: v128, high: v128, probe: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const signed = v128.xor(low, v128.load(probe));
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(signed, v128.load(probe, 16), sum);
  }
  const first = i32x4.add(sum, i32x4.dot_i16x8_s(low, v128.load(probe)));
  return i32x4.add(first, i32x4.dot_i16x8_s(high, v128.load(probe, 16)));
}

@inline
function storeSimilarity(sum: v128, rests: usize, probe: usize, scale: i32, out: usize): void {
  const score = (laneSum(sum) + load<i32>(rests + (probe << 2))) as i64;
  const scaled = (score * (scale as i64) + (1 << (SCALE_BITS - 1))) >> SCALE_BITS;
  store<i16>(out, max<i64>(-MAX_SIMILARITY, min<i64>(MAX_SIMILARITY, scaled)) as i16);
}

function storeRemoved(out: usize, stride: usize, probes: i32): void {
  let to = out;
  for (let p = 0; p < probes; p++, to += stride) store<i16>(to, NO_SIMILARITY);
}

/*
 * Arguments of all three:
 * prepared - see prepareFace
 * dimension - components, a multiple of 16
 * rests - i32 [probes]: the results of prepareFace
 * directory, count, scale - see resembleFaces
 * similarities - for each probe, `stride` bytes apart: i16 for each reference
 * They return the number of references that are not removed.
 */

/** Like resembleFaces, with 2 probes. */
export function resembleFaces2(
  prepared: usize,
  dimension: i32,
  rests: usize,
  directory: usize,
  count: i32,
  scale: i32,
  similarities: usize,
  stride: usize,
): i32 {
  let present = 0;
  let out = similarities;
  for (let r: usize = 0; r < (count as usize); r++, out += 2) {
    const address = (load<u32>(directory + (r << 2)) as usize) << 4;
    if (address == 0) {
      storeRemoved(out, stride, 2);
      continue;
    }
    present++;
    let sum0 = i32x4.splat(0);
    let sum1 = i32x4.splat(0);
    const end = address + (dimension as usize);
    for (let row = address, at = prepared; row < end; row += 16, at += 64) {
      const low = firstOf(row);
      const high = lastOf(row);
      sum0 = plus(sum0, low, high, at);
      sum1 = plus(sum1, low, high, at + 32);
    }
    let to = out;
    storeSimilarity(sum0, rests, 0, scale, to);
    to += stride;
    storeSimilarity(sum1, rests, 1, scale, to);
  }
  return present;
}

/** Like resembleFaces, with 4 probes. */
export function resembleFaces4(
  prepared: usize,
  dimension: i32,
  rests: usize,
  directory: usize,
  count: i32,
  scale: i32,
  similarities: usize,
  stride: usize,
): i32 {
  let present = 0;
  let out = similarities;
  for (let r: usize = 0; r < (count as usize); r++, out += 2) {
    const address = (load<u32>(directory + (r << 2)) as usize) << 4;
    if (address == 0) {
      storeRemoved(out, stride, 4);
      continue;
    }
    present++;
    let sum0 = i32x4.splat(0);
    let sum1 = i32x4.splat(0);
    let sum2 = i32x4.splat(0);
    let sum3 = i32x4.splat(0);
    const end = address + (dimension as usize);
    for (let row = address, at = prepared; row < end; row += 16, at += 128) {
      const low = firstOf(row);
      const high = lastOf(row);
      sum0 = plus(sum0, low, high, at);
      sum1 = plus(sum1, low, high, at + 32);
      sum2 = plus(sum2, low, high, at + 64);
      sum3 = plus(sum3, low, high, at + 96);
    }
    let to = out;
    storeSimilarity(sum0, rests, 0, scale, to);
    to += stride;
    storeSimilarity(sum1, rests, 1, scale, to);
    to += stride;
    storeSimilarity(sum2, rests, 2, scale, to);
    to += stride;
    storeSimilarity(sum3, rests, 3, scale, to);
  }
  return present;
}

/** Like resembleFaces, with 8 probes. */
export function resembleFaces8(
  prepared: usize,
  dimension: i32,
  rests: usize,
  directory: usize,
  count: i32,
  scale: i32,
  similarities: usize,
  stride: usize,
): i32 {
  let present = 0;
  let out = similarities;
  for (let r: usize = 0; r < (count as usize); r++, out += 2) {
    const address = (load<u32>(directory + (r << 2)) as usize) << 4;
    if (address == 0) {
      storeRemoved(out, stride, 8);
      continue;
    }
    present++;
    let sum0 = i32x4.splat(0);
    let sum1 = i32x4.splat(0);
    let sum2 = i32x4.splat(0);
    let sum3 = i32x4.splat(0);
    let sum4 = i32x4.splat(0);
    let sum5 = i32x4.splat(0);
    let sum6 = i32x4.splat(0);
    let sum7 = i32x4.splat(0);
    const end = address + (dimension as usize);
    for (let row = address, at = prepared; row < end; row += 16, at += 256) {
      const low = firstOf(row);
      const high = lastOf(row);
      sum0 = plus(sum0, low, high, at);
      sum1 = plus(sum1, low, high, at + 32);
      sum2 = plus(sum2, low, high, at + 64);
      sum3 = plus(sum3, low, high, at + 96);
      sum4 = plus(sum4, low, high, at + 128);
      sum5 = plus(sum5, low, high, at + 160);
      sum6 = plus(sum6, low, high, at + 192);
      sum7 = plus(sum7, low, high, at + 224);
    }
    let to = out;
    storeSimilarity(sum0, rests, 0, scale, to);
    to += stride;
    storeSimilarity(sum1, rests, 1, scale, to);
    to += stride;
    storeSimilarity(sum2, rests, 2, scale, to);
    to += stride;
    storeSimilarity(sum3, rests, 3, scale, to);
    to += stride;
    storeSimilarity(sum4, rests, 4, scale, to);
    to += stride;
    storeSimilarity(sum5, rests, 5, scale, to);
    to += stride;
    storeSimilarity(sum6, rests, 6, scale, to);
    to += stride;
    storeSimilarity(sum7, rests, 7, scale, to);
  }
  return present;
}
