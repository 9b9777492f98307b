/**
 * Scans of codes with 2, 4 or 8 probes in one pass; see codes.ts for one probe. The values of each probe are those of
 * scanCodes.
 *
 * One probe takes nine instructions a row of 32 references: four load the row and separate its nibbles, five look up a
 * table and add. Several probes share the first four, and the row's bytes travel from memory once. The tables of a row lie
 * side by side, so one address with constant offsets reaches all of them.
 *
 * A block's sums stay in registers: two for each probe. The processor has sixteen; four probes need thirteen with mask,
 * table and nibbles. With eight, V8 keeps some sums on the stack, which the first-level cache answers. In the relaxed
 * build that is still a little faster than four, and much faster than two passes of four over memory. Two rows a turn of
 * the loop, or two blocks at a time, are no faster (`npm run bench -- kernels`).
 */

/** References per block. */
const BLOCK: usize = 32;

/** Adds the entries of a table at sixteen indices, all below sixteen. */
@inline
function plus(sum: v128, table: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.add_sat_u(sum, i8x16.relaxed_swizzle(table, indices));
  return i8x16.add_sat_u(sum, i8x16.swizzle(table, indices));
}

/** Writes a block's values for one probe. @param removed - 255 for each removed reference */
@inline
function storeValues(bases: usize, probe: usize, low: v128, high: v128, removed: usize, out: usize): void {
  const highest = i8x16.add(v128.load_splat<u8>(bases + probe), i8x16.splat(1));
  const least = i8x16.splat(1);
  const first = i8x16.max_u(least, i8x16.sub_sat_u(highest, low));
  const last = i8x16.max_u(least, i8x16.sub_sat_u(highest, high));
  v128.store(out, v128.andnot(first, v128.load(removed)));
  v128.store(out, v128.andnot(last, v128.load(removed, 16)), 16);
}

/*
 * Arguments of all three:
 * tables - u8 [rows × probes × 16]: for each row, the table of each probe
 * rows - a multiple of 8
 * bases - u8 [probes]: see scanCodes, 0 to 254
 * codes, count, nibble - see scanCodes
 * out - for each probe, `stride` bytes apart: u8 for each reference, rounded up to whole blocks
 */

/** Like scanCodes, with 2 probes. */
export function scanCodes2(
  tables: usize,
  rows: i32,
  bases: usize,
  codes: usize,
  count: i32,
  nibble: i32,
  out: usize,
  stride: usize,
): void {
  const rowBytes = (rows as usize) << 4;
  const mask = i8x16.splat(nibble as i8);
  let block = codes;
  for (let i: usize = 0; i < (count as usize); i += BLOCK) {
    let low0 = i8x16.splat(0);
    let high0 = i8x16.splat(0);
    let low1 = i8x16.splat(0);
    let high1 = i8x16.splat(0);
    const removed = block + rowBytes;
    let table = tables;
    for (let row = block; row < removed; row += 16, table += 32) {
      const both = v128.load(row);
      const low = v128.and(both, mask);
      const high = v128.and(i16x8.shr_u(both, 4), mask);
      const table0 = v128.load(table);
      low0 = plus(low0, table0, low);
      high0 = plus(high0, table0, high);
      const table1 = v128.load(table, 16);
      low1 = plus(low1, table1, low);
      high1 = plus(high1, table1, high);
    }
    let to = out + i;
    storeValues(bases, 0, low0, high0, removed, to);
    to += stride;
    storeValues(bases, 1, low1, high1, removed, to);
    block = removed + BLOCK;
  }
}

/** Like scanCodes, with 4 probes. */
export function scanCodes4(
  tables: usize,
  rows: i32,
  bases: usize,
  codes: usize,
  count: i32,
  nibble: i32,
  out: usize,
  stride: usize,
): void {
  const rowBytes = (rows as usize) << 4;
  const mask = i8x16.splat(nibble as i8);
  let block = codes;
  for (let i: usize = 0; i < (count as usize); i += BLOCK) {
    let low0 = i8x16.splat(0);
    let high0 = i8x16.splat(0);
    let low1 = i8x16.splat(0);
    let high1 = i8x16.splat(0);
    let low2 = i8x16.splat(0);
    let high2 = i8x16.splat(0);
    let low3 = i8x16.splat(0);
    let high3 = i8x16.splat(0);
    const removed = block + rowBytes;
    let table = tables;
    for (let row = block; row < removed; row += 16, table += 64) {
      const both = v128.load(row);
      const low = v128.and(both, mask);
      const high = v128.and(i16x8.shr_u(both, 4), mask);
      const table0 = v128.load(table);
      low0 = plus(low0, table0, low);
      high0 = plus(high0, table0, high);
      const table1 = v128.load(table, 16);
      low1 = plus(low1, table1, low);
      high1 = plus(high1, table1, high);
      const table2 = v128.load(table, 32);
      low2 = plus(low2, table2, low);
      high2 = plus(high2, table2, high);
      const table3 = v128.load(table, 48);
      low3 = plus(low3, table3, low);
      high3 = plus(high3, table3, high);
    }
    let to = out + i;
    storeValues(bases, 0, low0, high0, removed, to);
    to += stride;
    storeValues(bases, 1, low1, high1, removed, to);
    to += stride;
    storeValues(bases, 2, low2, high2, removed, to);
    to += stride;
    storeValues(bases, 3, low3, high3, removed, to);
    block = removed + BLOCK;
  }
}

/** Like scanCodes, with 8 probes. */
export function scanCodes8(
  tables: usize,
  rows: i32,
  bases: usize,
  codes: usize,
  count: i32,
  nibble: i32,
  out: usize,
  stride: usize,
): void {
  const rowBytes = (rows as usize) << 4;
  const mask = i8x16.splat(nibble as i8);
  let block = codes;
  for (let i: usize = 0; i < (count as usize); i += BLOCK) {
    let low0 = i8x16.splat(0);
    let high0 = i8x16.splat(0);
    let low1 = i8x16.splat(0);
    let high1 = i8x16.splat(0);
    let low2 = i8x16.splat(0);
    let high2 = i8x16.splat(0);
    let low3 = i8x16.splat(0);
    let high3 = i8x16.splat(0);
    let low4 = i8x16.splat(0);
    let high4 = i8x16.splat(0);
    let low5 = i8x16.splat(0);
    let high5 = i8x16.splat(0);
    let low6 = i8x16.splat(0);
    let high6 = i8x16.splat(0);
    let low7 = i8x16.splat(0);
    let high7 = i8x16.splat(0);
    const removed = block + rowBytes;
    let table = tables;
    for (let row = block; row < removed; row += 16, table += 128) {
      const both = v128.load(row);
      const low = v128.and(both, mask);
      const high = v128.and(i16x8.shr_u(both, 4), mask);
      const table0 = v128.load(table);
      low0 = plus(low0, table0, low);
      high0 = plus(high0, table0, high);
      const table1 = v128.load(table, 16);
      low1 = plus(low1, table1, low);
      high1 = plus(high1, table1, high);
      const table2 = v128.load(table, 32);
      low2 = plus(low2, table2, low);
      high2 = plus(high2, table2, high);
      const table3 = v128.load(table, 48);
      low3 = plus(low3, table3, low);
      high3 = plus(high3, table3, high);
      const table4 = v128.load(table, 64);
      low4 = plus(low4, table4, low);
      high4 = plus(high4, table4, high);
      const table5 = v128.load(table, 80);
      low5 = plus(low5, table5, low);
      high5 = plus(high5, table5, high);
      const table6 = v128.load(table, 96);
      low6 = plus(low6, table6, low);
      high6 = plus(high6, table6, high);
      const table7 = v128.load(table, 112);
      low7 = plus(low7, table7, low);
      high7 = plus(high7, table7, high);
    }
    let to = out + i;
    storeValues(bases, 0, low0, high0, removed, to);
    to += stride;
    storeValues(bases, 1, low1, high1, removed, to);
    to += stride;
    storeValues(bases, 2, low2, high2, removed, to);
    to += stride;
    storeValues(bases, 3, low3, high3, removed, to);
    to += stride;
    storeValues(bases, 4, low4, high4, removed, to);
    to += stride;
    storeValues(bases, 5, low5, high5, removed, to);
    to += stride;
    storeValues(bases, 6, low6, high6, removed, to);
    to += stride;
    storeValues(bases, 7, low7, high7, removed, to);
    block = removed + BLOCK;
  }
}
