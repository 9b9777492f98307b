/**
 * Inner products of signed bytes. Sixteen at a time: products of two bytes fit sixteen bits, and the sums of two of
 * them thirty-two, so nothing overflows up to 130,000 components. Vectors lie in a row, each a multiple of sixteen
 * bytes, so every load is aligned and the reader of memory sees one forward stream.
 */
import { REMOVED } from '../finger/compare';

function innerProduct(a: usize, b: usize, dimension: usize): i32 {
  let low = i32x4.splat(0);
  let high = i32x4.splat(0);
  for (let i: usize = 0; i < dimension; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    low = i32x4.add(low, i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_low_i8x16_s(x, y)));
    high = i32x4.add(high, i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_high_i8x16_s(x, y)));
  }
  const sum = i32x4.add(low, high);
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
  );
}

/**
 * Compares a face with `count` references in one call.
 * @param dimension - components, a multiple of 16
 * @param directory - u32 address / 16 of each reference; 0: removed
 * @param scores - i32 for each: the inner product, or REMOVED
 */
export function compareFaces(probe: usize, dimension: i32, directory: usize, count: i32, scores: usize): void {
  for (let r: usize = 0; r < (count as usize); r++) {
    const address = (load<u32>(directory + (r << 2)) as usize) << 4;
    store<i32>(scores + (r << 2), address == 0 ? REMOVED : innerProduct(probe, address, dimension as usize));
  }
}
