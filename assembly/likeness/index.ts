/**
 * The kernel of the window of recent probes: a pure function over linear memory, which allocates nothing. It is a module
 * of its own, with a memory of its own: codes of probes are in no memory that workers share.
 */

/** Bytes of a code: 512 bits. */
const CODE: usize = 64;

/** Bits that differ in 16 bytes. The result is eight sums of two bytes each, at most 16. */
@inline
function differing(a: v128, b: v128): v128 {
  return i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(v128.xor(a, b)));
}

/** The sum of eight numbers below 4,096. */
@inline
function sum(values: v128): i32 {
  const fours = i32x4.extadd_pairwise_i16x8_u(values);
  const twos = i32x4.add(fours, i8x16.shuffle(fours, fours, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return i32x4.extract_lane(twos, 0) + i32x4.extract_lane(twos, 1);
}

/**
 * Finds the codes near one.
 * @param code - the one, at a multiple of 16
 * @param codes - `count` codes, at a multiple of 16
 * @param maxFirst - bits of the first half that may differ
 * @param maxBits - bits of the whole that may differ
 * @param out - u16 for each code found, in order: its number
 * @returns how many were found
 */
export function near(code: usize, codes: usize, count: i32, maxFirst: i32, maxBits: i32, out: usize): i32 {
  const first = v128.load(code);
  const second = v128.load(code, 16);
  const third = v128.load(code, 32);
  const fourth = v128.load(code, 48);
  let found = 0;
  let at = codes;
  for (let i = 0; i < count; i++, at += CODE) {
    const half = i16x8.add(differing(v128.load(at), first), differing(v128.load(at, 16), second));
    const bits = sum(half);
    if (bits > maxFirst) continue;
    const rest = i16x8.add(differing(v128.load(at, 32), third), differing(v128.load(at, 48), fourth));
    if (bits + sum(rest) > maxBits) continue;
    store<u16>(out + ((found as usize) << 1), i as u16);
    found++;
  }
  return found;
}
