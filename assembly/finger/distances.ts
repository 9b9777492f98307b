/** Code distances of every minutia of one finger to every minutia of another. */
import {
  BLOCK,
  CODE_BLOCK_BYTES,
  DISTANCES,
  MOST_MINUTIAE,
  NEAREST_FIRST,
  NEAREST_SECOND,
  PLANE_SUMS,
  blocksOf,
  codesOf,
  getB,
  setB,
} from './layout';

/** Distances of one row are MOST_MINUTIAE bytes apart. */
export const ROW: usize = MOST_MINUTIAE as usize;

/** Sixteen zeros, then sixteen times 255: in a vector read at offset r the last r lanes are 255. */
const BEHIND: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255,
]);

/** Carry of a bitwise full adder; `ab` is a XOR b. */
@inline
function carry(a: v128, b: v128, c: v128, ab: v128): v128 {
  return v128.or(v128.and(a, b), v128.and(ab, c));
}

/**
 * Bytes per row for the sums of a block's first seven planes: ones, twos and fours, until the other planes are added.
 */
const SUMS: usize = 48;

/** The first seven of sixteen planes: each row's bytes against a block of the other finger. */
function addFirstPlanes(code: usize, rows: i32, planes: usize, sums: usize): void {
  const p0 = v128.load(planes);
  const p1 = v128.load(planes, 16);
  const p2 = v128.load(planes, 32);
  const p3 = v128.load(planes, 48);
  const p4 = v128.load(planes, 64);
  const p5 = v128.load(planes, 80);
  const p6 = v128.load(planes, 96);
  for (const end = code + (rows as usize); code < end; code++) {
    const a = v128.xor(p0, v128.load8_splat(code));
    const b = v128.xor(p1, v128.load8_splat(code, 16));
    const c = v128.xor(p2, v128.load8_splat(code, 32));
    let x = v128.xor(a, b);
    const twosA = carry(a, b, c, x);
    const onesA = v128.xor(x, c);
    const d = v128.xor(p3, v128.load8_splat(code, 48));
    const e = v128.xor(p4, v128.load8_splat(code, 64));
    x = v128.xor(onesA, d);
    const twosB = carry(onesA, d, e, x);
    const onesB = v128.xor(x, e);
    const f = v128.xor(p5, v128.load8_splat(code, 80));
    const g = v128.xor(p6, v128.load8_splat(code, 96));
    x = v128.xor(onesB, f);
    const twosC = carry(onesB, f, g, x);
    v128.store(sums, v128.xor(x, g));
    x = v128.xor(twosA, twosB);
    v128.store(sums, v128.xor(x, twosC), 16);
    v128.store(sums, carry(twosA, twosB, twosC, x), 32);
    sums += SUMS;
  }
}

/** The other nine planes, and the distances. @param behind - 255 in the lanes past the last minutia */
function addLastPlanes(code: usize, rows: i32, planes: usize, sums: usize, out: usize, behind: v128): void {
  const p0 = v128.load(planes, 112);
  const p1 = v128.load(planes, 128);
  const p2 = v128.load(planes, 144);
  const p3 = v128.load(planes, 160);
  const p4 = v128.load(planes, 176);
  const p5 = v128.load(planes, 192);
  const p6 = v128.load(planes, 208);
  const p7 = v128.load(planes, 224);
  const p8 = v128.load(planes, 240);
  for (const end = code + (rows as usize); code < end; code++) {
    const a = v128.xor(p0, v128.load8_splat(code, 112));
    const b = v128.xor(p1, v128.load8_splat(code, 128));
    let ones = v128.load(sums);
    let x = v128.xor(a, b);
    const twosA = carry(a, b, ones, x);
    ones = v128.xor(x, ones);
    const c = v128.xor(p2, v128.load8_splat(code, 144));
    const d = v128.xor(p3, v128.load8_splat(code, 160));
    x = v128.xor(ones, c);
    const twosB = carry(ones, c, d, x);
    ones = v128.xor(x, d);
    let twos = v128.load(sums, 16);
    x = v128.xor(twos, twosA);
    const foursA = carry(twos, twosA, twosB, x);
    twos = v128.xor(x, twosB);
    const e = v128.xor(p4, v128.load8_splat(code, 176));
    const f = v128.xor(p5, v128.load8_splat(code, 192));
    x = v128.xor(ones, e);
    const twosC = carry(ones, e, f, x);
    ones = v128.xor(x, f);
    const g = v128.xor(p6, v128.load8_splat(code, 208));
    const h = v128.xor(p7, v128.load8_splat(code, 224));
    x = v128.xor(ones, g);
    const twosD = carry(ones, g, h, x);
    ones = v128.xor(x, h);
    x = v128.xor(twos, twosC);
    const foursB = carry(twos, twosC, twosD, x);
    twos = v128.xor(x, twosD);
    let fours = v128.load(sums, 32);
    x = v128.xor(fours, foursA);
    const eights = carry(fours, foursA, foursB, x);
    fours = v128.xor(x, foursB);
    // Fifteen planes fill the four counters; the last plane is counted separately.
    let sum = i8x16.popcnt(eights);
    sum = i8x16.add(i8x16.popcnt(fours), i8x16.add(sum, sum));
    sum = i8x16.add(i8x16.popcnt(twos), i8x16.add(sum, sum));
    sum = i8x16.add(i8x16.popcnt(ones), i8x16.add(sum, sum));
    sum = i8x16.add(i8x16.popcnt(v128.xor(p8, v128.load8_splat(code, 240))), sum);
    v128.store(out, v128.or(sum, behind));
    sums += SUMS;
    out += ROW;
  }
}

/**
 * Fills the matrix: row i, column j for minutia i of the first and j of the second; 255 past the last column.
 *
 * Codes are stored in planes: the first byte of sixteen minutiae, then their second byte, and so on. The sixteen
 * differences go through bitwise adders before any bit is counted (Harley-Seal): five population counts serve sixteen
 * planes. A population count takes eight instructions on machines without one.
 *
 * The second finger is read block by block, in two halves: seven planes and their sums stay in registers over all rows.
 * Sixteen planes do not fit, and engines then move more than they add.
 */
export function measureDistances(first: usize, n: i32, second: usize, m: i32, scratch: usize): void {
  const firstBlocks = blocksOf(n);
  const firstCodes = codesOf(first, firstBlocks);
  const blocks = blocksOf(m);
  let planes = codesOf(second, blocks);
  const sums = scratch + PLANE_SUMS;
  for (let block: usize = 0; block < blocks; block++) {
    const last = block + 1 == blocks;
    const behind = v128.load(BEHIND + (last ? (((blocks as i32) * BLOCK - m) as usize) : 0));
    let code = firstCodes;
    let out = scratch + DISTANCES + (block << 4);
    for (let left = n; left > 0; left -= BLOCK) {
      const rows = min<i32>(left, BLOCK);
      addFirstPlanes(code, rows, planes, sums);
      addLastPlanes(code, rows, planes, sums, out, behind);
      code += CODE_BLOCK_BYTES;
      out += (BLOCK as usize) * ROW;
    }
    planes += CODE_BLOCK_BYTES;
  }
}

/** Distance of two minutiae. */
export function distanceOf(scratch: usize, i: i32, j: i32): i32 {
  return getB(scratch + DISTANCES + (i as usize) * ROW, j);
}

/** The smallest distance of every minutia to a minutia of the other finger. */
export function findNearestCodes(n: i32, m: i32, scratch: usize): void {
  const blocks = blocksOf(m);
  for (let block: usize = 0; block < blocks; block++) {
    let smallest = i8x16.splat(-1);
    for (let i: usize = 0; i < (n as usize); i++) {
      smallest = i8x16.min_u(smallest, v128.load(scratch + DISTANCES + i * ROW + (block << 4)));
    }
    v128.store(scratch + NEAREST_SECOND + (block << 4), smallest);
  }
  for (let i = 0; i < n; i++) {
    const row = scratch + DISTANCES + (i as usize) * ROW;
    let smallest = v128.load(row);
    for (let block: usize = 1; block < blocks; block++) {
      smallest = i8x16.min_u(smallest, v128.load(row + (block << 4)));
    }
    // Halves the vector step by step, keeping the smaller lanes.
    const upper = v128.shuffle<u64>(smallest, smallest, 1, 1);
    let least = i8x16.min_u(smallest, upper);
    least = i8x16.min_u(least, i64x2.shr_u(least, 32));
    least = i8x16.min_u(least, i64x2.shr_u(least, 16));
    least = i8x16.min_u(least, i64x2.shr_u(least, 8));
    setB(scratch + NEAREST_FIRST, i, i8x16.extract_lane_u(least, 0));
  }
}
