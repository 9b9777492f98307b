/**
 * Inner products of signed bytes, −127 to 127. Vectors lie in a row, each a multiple of sixteen bytes, so every load is
 * aligned and the reader of memory sees one forward stream. Both builds give the same integers.
 */
import { REMOVED } from '../finger/compare';

/** The sum of the four lanes. */
function laneSum(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

/**
 * Sixteen at a time: products of two bytes fit sixteen bits, and the sums of two of them thirty-two, so nothing
 * overflows up to 130,000 components.
 */
function innerProduct(a: usize, b: usize, dimension: usize): i32 {
  let low = i32x4.splat(0);
  let high = i32x4.splat(0);
  for (let i: usize = 0; i < dimension; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    low = i32x4.add(low, i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_low_i8x16_s(x, y)));
    high = i32x4.add(high, i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_high_i8x16_s(x, y)));
  }
  return laneSum(i32x4.add(low, high));
}

/** The sum of the magnitudes of the negative components. */
function negativeMass(a: usize, dimension: usize): i32 {
  let sum = i32x4.splat(0);
  for (let i: usize = 0; i < dimension; i += 16) {
    const x = v128.load(a + i);
    const magnitudes = v128.and(i8x16.abs(x), i8x16.lt_s(x, i8x16.splat(0)));
    sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(magnitudes)));
  }
  return laneSum(sum);
}

/**
 * Two inner products with one probe, by the relaxed dot product, which is exact on every engine while its second
 * operand is 0 to 127 and sums of two products fit sixteen bits. So the probe gives its magnitudes, and its signs go to
 * the reference: p·r = |p|·r where p ≥ 0, and |p|·(¬r + 1) where p < 0. The ones add up to the probe's negative mass,
 * which the caller knows. ¬r reaches −128, and 2 · 127 · 128 = 32512 fits.
 */
function storeTwo(probe: usize, mass: i32, a: usize, b: usize, dimension: usize, scores: usize, both: bool): void {
  let first = i32x4.splat(0);
  let second = i32x4.splat(0);
  for (let i: usize = 0; i < dimension; i += 16) {
    const p = v128.load(probe + i);
    const magnitudes = i8x16.abs(p);
    const signs = i8x16.lt_s(p, i8x16.splat(0));
    first = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.xor(v128.load(a + i), signs), magnitudes, first);
    second = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.xor(v128.load(b + i), signs), magnitudes, second);
  }
  store<i32>(scores, a == 0 ? REMOVED : laneSum(first) + mass);
  if (both) store<i32>(scores, b == 0 ? REMOVED : laneSum(second) + mass, 4);
}

/** The address of a reference; 0: removed. */
function addressOf(directory: usize, r: usize): usize {
  return (load<u32>(directory + (r << 2)) as usize) << 4;
}

/**
 * Compares a face with `count` references in one call.
 * @param dimension - components, a multiple of 16
 * @param directory - u32 address / 16 of each reference; 0: removed
 * @param scores - i32 for each: the inner product, or REMOVED
 */
export function compareFaces(probe: usize, dimension: i32, directory: usize, count: i32, scores: usize): void {
  const total = count as usize;
  const bytes = dimension as usize;
  if (ASC_FEATURE_RELAXED_SIMD) {
    const mass = negativeMass(probe, bytes);
    for (let r: usize = 0; r < total; r += 2) {
      const both = r + 1 < total;
      // A reference that is not there is read from address 0, where the kernels' tables are, and its product dropped.
      const second = both ? addressOf(directory, r + 1) : 0;
      storeTwo(probe, mass, addressOf(directory, r), second, bytes, scores + (r << 2), both);
    }
  } else {
    for (let r: usize = 0; r < total; r++) {
      const address = addressOf(directory, r);
      store<i32>(scores + (r << 2), address == 0 ? REMOVED : innerProduct(probe, address, bytes));
    }
  }
}
