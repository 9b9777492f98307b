/** Code distances of every minutia of one finger to every minutia of another. */
import {
  BLOCK,
  CODE_BLOCK_BYTES,
  DISTANCES,
  MOST_MINUTIAE,
  NEAREST_FIRST,
  NEAREST_SECOND,
  blocksOf,
  codesOf,
  getB,
  setB,
} from './layout';

/** Distances of one row are MOST_MINUTIAE bytes apart. */
export const ROW: usize = MOST_MINUTIAE as usize;

/** Sixteen zeros, then sixteen times 255: read from r on, the last r lanes are 255. */
const BEHIND: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255,
]);

/** Carry of a full adder, bit by bit; `ab` is a XOR b. */
@inline
function carry(a: v128, b: v128, c: v128, ab: v128): v128 {
  return v128.or(v128.and(a, b), v128.and(ab, c));
}

@inline
function difference(code: usize, planes: usize, k: usize): v128 {
  return v128.xor(v128.load(planes + (k << 4)), v128.load8_splat(code + (k << 4)));
}

/**
 * Bits in which sixteen codes differ from one: 0 to 128 in each lane.
 *
 * Codes lie in planes: sixteen minutiae side by side, the first byte of each, then the second byte of each. The sixteen
 * differences are added bit by bit before any bit is counted (Harley-Seal), so five counts do for sixteen planes; a
 * count of bits is eight instructions where the machine has none of its own.
 */
@inline
function sixteenDistances(code: usize, planes: usize): v128 {
  let ones = difference(code, planes, 0);
  let d = difference(code, planes, 1);
  let e = difference(code, planes, 2);
  let x = v128.xor(ones, d);
  let twosA = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  d = difference(code, planes, 3);
  e = difference(code, planes, 4);
  x = v128.xor(ones, d);
  let twosB = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  d = difference(code, planes, 5);
  e = difference(code, planes, 6);
  x = v128.xor(ones, d);
  let twos = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  x = v128.xor(twos, twosA);
  let foursA = carry(twos, twosA, twosB, x);
  twos = v128.xor(x, twosB);
  d = difference(code, planes, 7);
  e = difference(code, planes, 8);
  x = v128.xor(ones, d);
  twosA = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  d = difference(code, planes, 9);
  e = difference(code, planes, 10);
  x = v128.xor(ones, d);
  twosB = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  x = v128.xor(twos, twosA);
  let foursB = carry(twos, twosA, twosB, x);
  twos = v128.xor(x, twosB);
  d = difference(code, planes, 11);
  e = difference(code, planes, 12);
  x = v128.xor(ones, d);
  twosA = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  d = difference(code, planes, 13);
  e = difference(code, planes, 14);
  x = v128.xor(ones, d);
  twosB = carry(ones, d, e, x);
  ones = v128.xor(x, e);
  x = v128.xor(twos, twosA);
  let fours = carry(twos, twosA, twosB, x);
  twos = v128.xor(x, twosB);
  x = v128.xor(fours, foursA);
  let eights = carry(fours, foursA, foursB, x);
  fours = v128.xor(x, foursB);
  // The sixteenth plane: its carries run through.
  d = difference(code, planes, 15);
  x = v128.and(ones, d);
  ones = v128.xor(ones, d);
  d = v128.and(twos, x);
  twos = v128.xor(twos, x);
  x = v128.and(fours, d);
  fours = v128.xor(fours, d);
  const sixteens = v128.and(eights, x);
  eights = v128.xor(eights, x);
  let sum = i8x16.popcnt(sixteens);
  sum = i8x16.add(i8x16.popcnt(eights), i8x16.add(sum, sum));
  sum = i8x16.add(i8x16.popcnt(fours), i8x16.add(sum, sum));
  sum = i8x16.add(i8x16.popcnt(twos), i8x16.add(sum, sum));
  return i8x16.add(i8x16.popcnt(ones), i8x16.add(sum, sum));
}

/** Fills the matrix: row i, column j for minutia i of the first and j of the second; 255 behind the last column. */
export function measureDistances(first: usize, n: i32, second: usize, m: i32, scratch: usize): void {
  const firstCodes = codesOf(first, blocksOf(n));
  const blocks = blocksOf(m);
  const secondCodes = codesOf(second, blocks);
  const behind = v128.load(BEHIND + (((blocks as i32) * BLOCK - m) as usize));
  for (let i = 0; i < n; i++) {
    const code = firstCodes + ((i / BLOCK) as usize) * CODE_BLOCK_BYTES + ((i % BLOCK) as usize);
    const row = scratch + DISTANCES + (i as usize) * ROW;
    for (let block: usize = 0; block < blocks; block++) {
      v128.store(row + (block << 4), sixteenDistances(code, secondCodes + block * CODE_BLOCK_BYTES));
    }
    const last = row + ((blocks - 1) << 4);
    v128.store(last, v128.or(v128.load(last), behind));
  }
}

/** Distance of two minutiae. */
export function distanceOf(scratch: usize, i: i32, j: i32): i32 {
  return getB(scratch + DISTANCES + (i as usize) * ROW, j);
}

/** The smallest distance of every minutia to any of the other finger. */
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
    let smallest = 255;
    for (let j = 0; j < m; j++) {
      const distance = getB(row, j);
      if (distance < smallest) smallest = distance;
    }
    setB(scratch + NEAREST_FIRST, i, smallest);
  }
}
