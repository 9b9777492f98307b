/** Inner products of rows of signed bytes with one row that is used many times and was widened to sixteen bits once. */

/** The sum of the four lanes. */
@inline
export function laneSum(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

/** The lane sums of four vectors, one in each lane. */
@inline
export function fourSums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 2, 6), v128.shuffle<i32>(a, b, 1, 5, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 2, 6), v128.shuffle<i32>(c, d, 1, 5, 3, 7));
  return i32x4.add(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
}

/** @param bytes - a multiple of 16 */
export function widen(row: usize, bytes: usize, out: usize): void {
  for (let i: usize = 0; i < bytes; i += 8) v128.store(out + (i << 1), v128.load8x8_s(row + i));
}

@inline
function add(row: usize, widened: usize, offset: usize, sum: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(v128.load8x8_s(row + offset), v128.load(widened + offset * 2)));
}

/**
 * Sums are in thirty-two bits: nothing overflows up to 130,000 components. Unrolled to 32 bytes, with constant offsets: a
 * loop over sixteen takes a sixth longer.
 * @param bytes - of the row, a multiple of 16
 * @param widened - i16 for each
 */
@inline
export function innerProduct(row: usize, widened: usize, bytes: usize): i32 {
  let even = i32x4.splat(0);
  let odd = i32x4.splat(0);
  let r = row;
  let w = widened;
  const end = row + bytes;
  for (const whole = row + (bytes & ~31); r < whole; r += 32, w += 64) {
    even = add(r, w, 0, even);
    odd = add(r, w, 8, odd);
    even = add(r, w, 16, even);
    odd = add(r, w, 24, odd);
  }
  if (r < end) {
    even = add(r, w, 0, even);
    odd = add(r, w, 8, odd);
  }
  return laneSum(i32x4.add(even, odd));
}
