/**
 * Chooses the subjects whose references are most similar to the probes together, from one byte per reference. For each
 * instance a subject has the value of its best reference; its rank fuses the values of all instances. Subjects are
 * represented by their ordinals: every column has one entry per ordinal.
 *
 * All arithmetic is in integers, and the cut is by value, including ties: the choice does not depend on the order of
 * references, segments or ordinals.
 *
 * Columns of bytes and of sixteen bits keep a million subjects in the second-level cache, where scattered writes are
 * cheap. Columns are padded to a multiple of 16 entries; the padding has no values.
 */

/** The bytes at `offset` of sixteen table entries, for look-ups by the number of instances. */
function bytesOfTable(table: usize, offset: usize): v128 {
  let bytes = i8x16.splat(0);
  for (let entry: usize = 0; entry < 16; entry++) {
    const byte = i8x16.splat(load<u8>(table + (entry << 2) + offset));
    // Replaces the lane with the entry's number.
    const lane = i8x16.eq(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(entry as i8));
    bytes = v128.bitselect(byte, bytes, lane);
  }
  return bytes;
}

/** Ranks of eight subjects. */
@inline
function eightRanks(sums: v128, factors: v128, offsets: v128): v128 {
  const low = i32x4.shr_u(i32x4.extmul_low_i16x8_u(sums, factors), 8);
  const high = i32x4.shr_u(i32x4.extmul_high_i16x8_u(sums, factors), 8);
  return i16x8.add(i16x8.narrow_i32x4_u(low, high), offsets);
}

/**
 * Turns sums into ranks, in place: rank = sum · factor / 256 + offset, by the subject's number of instances; 0 for a
 * subject without any. With up to fifteen instances, factors and offsets of sixteen subjects are looked up at a time.
 * @param instances - number of instances of the search, at most 63
 * @param table - u16 [64 × 2]: factor and offset for each number of instances
 */
export function rankSubjects(sums: usize, counts: usize, ordinals: i32, instances: i32, table: usize): void {
  if (instances > 15) return rankOneByOne(sums, counts, ordinals, table);
  const factorLow = bytesOfTable(table, 0);
  const factorHigh = bytesOfTable(table, 1);
  const offsetLow = bytesOfTable(table, 2);
  const offsetHigh = bytesOfTable(table, 3);
  for (let o: usize = 0; o < (ordinals as usize); o += 16) {
    const count = v128.load(counts + o);
    const fl = i8x16.swizzle(factorLow, count);
    const fh = i8x16.swizzle(factorHigh, count);
    const ol = i8x16.swizzle(offsetLow, count);
    const oh = i8x16.swizzle(offsetHigh, count);
    const at = sums + (o << 1);
    const firstFactors = v128.shuffle<i8>(fl, fh, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const lastFactors = v128.shuffle<i8>(fl, fh, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const firstOffsets = v128.shuffle<i8>(ol, oh, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const lastOffsets = v128.shuffle<i8>(ol, oh, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    v128.store(at, eightRanks(v128.load(at), firstFactors, firstOffsets));
    v128.store(at, eightRanks(v128.load(at, 16), lastFactors, lastOffsets), 16);
  }
}

function rankOneByOne(sums: usize, counts: usize, ordinals: i32, table: usize): void {
  for (let o: usize = 0; o < (ordinals as usize); o++) {
    const count = load<u8>(counts + o) as usize;
    const at = table + (count << 2);
    const rank = (((load<u16>(sums + (o << 1)) as u32) * (load<u16>(at) as u32)) >> 8) + (load<u16>(at, 2) as u32);
    store<u16>(sums + (o << 1), rank as u16);
  }
}

/** Adds the members of a gallery to the scope: u8 for each ordinal, not 0 for a member. */
export function uniteScopes(scope: usize, members: usize, ordinals: i32): void {
  for (let o: usize = 0; o < (ordinals as usize); o += 16) {
    v128.store(scope + o, v128.or(v128.load(scope + o), v128.load(members + o)));
  }
}

/** Sets the ranks of subjects outside the scope to 0, and clears the scope. */
export function maskOutside(ranks: usize, scope: usize, ordinals: i32): void {
  const zero = i8x16.splat(0);
  for (let o: usize = 0; o < (ordinals as usize); o += 16) {
    const outside = i8x16.eq(v128.load(scope + o), zero);
    const at = ranks + (o << 1);
    v128.store(at, v128.andnot(v128.load(at), i16x8.extend_low_i8x16_s(outside)));
    v128.store(at, v128.andnot(v128.load(at, 16), i16x8.extend_high_i8x16_s(outside)), 16);
    v128.store(scope + o, zero);
  }
}

/**
 * Sets the ranks of expired subjects to 0.
 * @param times - f64 for each ordinal: the time of expiry
 */
export function maskExpired(ranks: usize, times: usize, ordinals: i32, instant: f64): void {
  for (let o: usize = 0; o < (ordinals as usize); o++) {
    if (!(load<f64>(times + (o << 3)) > instant)) store<u16>(ranks + (o << 1), 0);
  }
}

/** Counts the ranks that are at least `least`. */
function countFrom(ranks: usize, ordinals: i32, least: i32): i32 {
  const bound = i16x8.splat(least as i16);
  const bytes = (ordinals as usize) << 1;
  let total = 0;
  for (let from: usize = 0; from < bytes;) {
    // A lane counts up to 32,767.
    const end = min<usize>(bytes, from + 32_767 * 16);
    let counts = i16x8.splat(0);
    for (; from < end; from += 16) counts = i16x8.sub(counts, i16x8.ge_u(v128.load(ranks + from), bound));
    const pairs = i32x4.extadd_pairwise_i16x8_u(counts);
    total += i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
    total += i32x4.extract_lane(pairs, 2) + i32x4.extract_lane(pairs, 3);
  }
  return total;
}

/** The greatest rank that at least `wanted` subjects reach; 1 where there are fewer subjects. */
export function rankWith(ranks: usize, ordinals: i32, wanted: i32): i32 {
  let low = 1;
  let high = 65_536;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (countFrom(ranks, ordinals, middle) >= wanted) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Lists the subjects with a rank of at least `least`, and marks them.
 * @param marks - u8 for each ordinal, 0 before: 1 for a listed subject
 * @param out - u32 for each listed ordinal, ascending
 * @returns their number
 */
export function collectSubjects(ranks: usize, ordinals: i32, least: i32, marks: usize, out: usize): i32 {
  const bound = i16x8.splat(least as i16);
  let found: usize = 0;
  for (let o: usize = 0; o < (ordinals as usize); o += 8) {
    let bits = i16x8.bitmask(i16x8.ge_u(v128.load(ranks + (o << 1)), bound));
    while (bits != 0) {
      const ordinal = o + (ctz(bits) as usize);
      store<u32>(out + (found << 2), ordinal as u32);
      store<u8>(marks + ordinal, 1);
      found++;
      bits &= bits - 1;
    }
  }
  return found as i32;
}
