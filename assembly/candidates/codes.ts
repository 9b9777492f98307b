/**
 * Codes of candidate vectors: four bits for each pair of components, the nearest of sixteen centroids (product
 * quantisation, Jégou et al. 2011). A scan adds up byte tables by in-register look-ups, thirty-two references at a time
 * ("fast scan": André, Kermarrec and Le Scouarnec, VLDB 2015).
 *
 * References lie in blocks of 32. A block has a row of 16 bytes for each pair: the low nibbles are the codes of its
 * references 0 to 15, the high nibbles those of 16 to 31. One load, one mask and one shift therefore give 32 indices.
 * These rows are followed by a byte for each reference: 255 for a removed one. A block is read once, front to back, and
 * the sums stay in two registers.
 */

import { innerProduct, widen } from '../product';

/** References per block. */
const BLOCK: usize = 32;

@inline
function lookUp(table: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, indices);
  return i8x16.swizzle(table, indices);
}

@inline
function lowSum(codes: usize, tables: usize, offset: usize, mask: v128, sum: v128): v128 {
  const indices = v128.and(v128.load(codes + offset), mask);
  return i8x16.add_sat_u(sum, lookUp(v128.load(tables + offset), indices));
}

@inline
function highSum(codes: usize, tables: usize, offset: usize, mask: v128, sum: v128): v128 {
  const indices = v128.and(i16x8.shr_u(v128.load(codes + offset), 4), mask);
  return i8x16.add_sat_u(sum, lookUp(v128.load(tables + offset), indices));
}

/**
 * Estimates the similarity of one probe and `count` references.
 * @param tables - u8 [rows × 16]: similarity of each centroid, in steps below the best one of its row
 * @param rows - a multiple of 8
 * @param base - similarity of the best centroids, in steps: 0 to 254
 * @param codes - the block of the first reference
 * @param nibble - 15. An argument, because V8 builds a constant vector anew at each use, and keeps this one in a register
 * @param out - u8 for each reference, rounded up to whole blocks: 0 for a removed one, otherwise 1 + the similarity in
 * steps, which is 0 where it is negative
 */
export function scanCodes(
  tables: usize,
  rows: i32,
  base: i32,
  codes: usize,
  count: i32,
  nibble: i32,
  out: usize,
): void {
  const tableBytes = (rows as usize) << 4;
  const mask = i8x16.splat(nibble as i8);
  const highest = i8x16.splat((base + 1) as i8);
  const least = i8x16.splat(1);
  let block = codes;
  for (let i: usize = 0; i < (count as usize); i += BLOCK) {
    let low = i8x16.splat(0);
    let high = i8x16.splat(0);
    for (let t: usize = 0; t < tableBytes; t += 128) {
      const row = block + t;
      const table = tables + t;
      low = lowSum(row, table, 0, mask, low);
      high = highSum(row, table, 0, mask, high);
      low = lowSum(row, table, 16, mask, low);
      high = highSum(row, table, 16, mask, high);
      low = lowSum(row, table, 32, mask, low);
      high = highSum(row, table, 32, mask, high);
      low = lowSum(row, table, 48, mask, low);
      high = highSum(row, table, 48, mask, high);
      low = lowSum(row, table, 64, mask, low);
      high = highSum(row, table, 64, mask, high);
      low = lowSum(row, table, 80, mask, low);
      high = highSum(row, table, 80, mask, high);
      low = lowSum(row, table, 96, mask, low);
      high = highSum(row, table, 96, mask, high);
      low = lowSum(row, table, 112, mask, low);
      high = highSum(row, table, 112, mask, high);
    }
    const removed = block + tableBytes;
    low = i8x16.max_u(least, i8x16.sub_sat_u(highest, low));
    high = i8x16.max_u(least, i8x16.sub_sat_u(highest, high));
    v128.store(out + i, v128.andnot(low, v128.load(removed)));
    v128.store(out + i, v128.andnot(high, v128.load(removed, 16)), 16);
    block = removed + BLOCK;
  }
}

/** Squared distances of four centroids, from their differences in both components. */
@inline
function squares(x: v128, y: v128): v128 {
  return i32x4.dot_i16x8_s(x, y);
}

/** The smallest lane of a vector, in every lane. */
@inline
function leastOfAll(v: v128): v128 {
  const two = i32x4.min_s(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.min_s(two, v128.shuffle<i32>(two, two, 1, 0, 3, 2));
}

/** The nearest of sixteen centroids; of equally near ones, the first. Coordinates are in units of 1/16 component. */
@inline
function nearest(book: usize, x: i32, y: i32): i32 {
  const atX = i16x8.splat(x as i16);
  const atY = i16x8.splat(y as i16);
  const dx0 = i16x8.sub(v128.load(book), atX);
  const dx1 = i16x8.sub(v128.load(book, 16), atX);
  const dy0 = i16x8.sub(v128.load(book, 32), atY);
  const dy1 = i16x8.sub(v128.load(book, 48), atY);
  // Interleaved, so that one instruction squares and adds both components.
  const a = v128.shuffle<i16>(dx0, dy0, 0, 8, 1, 9, 2, 10, 3, 11);
  const b = v128.shuffle<i16>(dx0, dy0, 4, 12, 5, 13, 6, 14, 7, 15);
  const c = v128.shuffle<i16>(dx1, dy1, 0, 8, 1, 9, 2, 10, 3, 11);
  const d = v128.shuffle<i16>(dx1, dy1, 4, 12, 5, 13, 6, 14, 7, 15);
  const sa = squares(a, a);
  const sb = squares(b, b);
  const sc = squares(c, c);
  const sd = squares(d, d);
  const least = leastOfAll(i32x4.min_s(i32x4.min_s(sa, sb), i32x4.min_s(sc, sd)));
  const found =
    i32x4.bitmask(i32x4.eq(sa, least)) |
    (i32x4.bitmask(i32x4.eq(sb, least)) << 4) |
    (i32x4.bitmask(i32x4.eq(sc, least)) << 8) |
    (i32x4.bitmask(i32x4.eq(sd, least)) << 12);
  return ctz(found);
}

/**
 * The codes of a vector.
 * @param vector - i8 [2 × pairs]; a pair is a component and its counterpart from the end
 * @param pairs - an even number
 * @param book - i16 [pairs × 2 × 16], see src/matching/model/finger-vector-model.ts
 * @param out - pairs / 2 bytes: the code of an even pair in the low nibble, of the next one in the high nibble
 */
export function encodeCodes(vector: usize, pairs: i32, book: usize, out: usize): void {
  const last = vector + ((pairs as usize) << 1) - 1;
  for (let pair: usize = 0; pair < (pairs as usize); pair += 2) {
    const at = book + (pair << 6);
    const low = nearest(at, (load<i8>(vector + pair) as i32) << 4, (load<i8>(last - pair) as i32) << 4);
    const high = nearest(at + 64, (load<i8>(vector + pair + 1) as i32) << 4, (load<i8>(last - pair - 1) as i32) << 4);
    store<u8>(out + (pair >> 1), (low | (high << 4)) as u8);
  }
}

/**
 * Projects an embedding on directions: inner products, minus those of the mean embedding.
 * @param face - i8 [dimension]
 * @param widened - room for i16 [dimension]
 * @param directions - i8 [rows × dimension]
 * @param dimension - a multiple of 16
 * @param offsets - i32 [rows]
 * @param out - i32 [rows]
 */
export function projectFace(
  face: usize,
  widened: usize,
  directions: usize,
  dimension: i32,
  rows: i32,
  offsets: usize,
  out: usize,
): void {
  const bytes = dimension as usize;
  widen(face, bytes, widened);
  for (let r: usize = 0; r < (rows as usize); r++) {
    const product = innerProduct(directions + r * bytes, widened, bytes);
    store<i32>(out + (r << 2), product - load<i32>(offsets + (r << 2)));
  }
}
