/** The pairs of minutiae with the smallest code distances. */
import {
  DISTANCES,
  PAIRS,
  PAIR_KEY,
  PAIR_RANK,
  PAIR_WEIGHT,
  PAIR_STRENGTH,
  ROW_COLUMNS,
  ROW_NUMBER,
  UNSORTED_KEY,
  angleOf,
  blocksOf,
  getB,
  setB,
} from './layout';
import { ROW } from './distances';

/** Mean distance of the shortlisted pairs. */
export let meanDistance: f64 = 0;

/** Counts the distances that are at most `limit`. Columns in the outer loop: 64 rows can be counted in a byte. */
function countUpTo(n: i32, blocks: usize, limit: i32, scratch: usize): i32 {
  const splat = i8x16.splat(limit as i8);
  let total = i32x4.splat(0);
  for (let block: usize = 0; block < blocks; block++) {
    let counts = i8x16.splat(0);
    let at = scratch + DISTANCES + (block << 4);
    let row = 4;
    // Four rows per iteration: the loop costs as much as the counting.
    for (; row <= n; row += 4) {
      const one = i8x16.add(i8x16.le_u(v128.load(at), splat), i8x16.le_u(v128.load(at, ROW), splat));
      const two = i8x16.add(i8x16.le_u(v128.load(at, 2 * ROW), splat), i8x16.le_u(v128.load(at, 3 * ROW), splat));
      counts = i8x16.sub(counts, i8x16.add(one, two));
      at += 4 * ROW;
    }
    for (row -= 4; row < n; row++) {
      counts = i8x16.sub(counts, i8x16.le_u(v128.load(at), splat));
      at += ROW;
    }
    total = i32x4.add(total, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(counts)));
  }
  return (
    i32x4.extract_lane(total, 0) +
    i32x4.extract_lane(total, 1) +
    (i32x4.extract_lane(total, 2) + i32x4.extract_lane(total, 3))
  );
}

/** The most frequent limit, and the step between the first two guesses. */
const USUAL_LIMIT: i32 = 47;
const FIRST_STEP: i32 = 2;

/** Number of distances below the limit found last. */
let below: i32 = 0;

/**
 * The smallest limit that at least PAIRS distances meet: steps from the usual one, then bisection. 254 if none does.
 */
function smallestLimit(n: i32, blocks: usize, scratch: usize): i32 {
  let low = 0;
  let high = 254;
  let step = FIRST_STEP;
  let guess = USUAL_LIMIT;
  below = 0;
  while (low < high) {
    const count = countUpTo(n, blocks, guess, scratch);
    const enough = count >= PAIRS;
    if (enough) {
      high = guess;
    } else {
      low = guess + 1;
      below = count;
    }
    const bracketed = low > 0 && high < 254;
    guess = bracketed ? (low + high) >> 1 : enough ? max<i32>(low, guess - step) : min<i32>(high - 1, guess + step);
    step <<= 1;
  }
  return low;
}

export function rotationAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, (p << 2) + 3);
}
export function firstAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, (p << 2) + 1);
}
export function secondAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, p << 2);
}

const SIGN: u32 = 0x80000000;

/**
 * Sorts distinct keys whose sign bits are inverted: the position of a key is the number of smaller keys. That takes
 * eight comparisons of four for each key and no branch; insertion would mispredict at every key.
 */
function sortKeys(unsorted: usize, size: i32, keys: usize, ranks: usize): void {
  const end = unsorted + ((size as usize) << 2);
  // Sixteen at a time, so that they and their ranks stay in registers.
  for (let half: usize = 0; half < 128; half += 64) {
    const a = v128.load(unsorted + half);
    const b = v128.load(unsorted + half, 16);
    const c = v128.load(unsorted + half, 32);
    const d = v128.load(unsorted + half, 48);
    let rankA = i32x4.splat(0);
    let rankB = i32x4.splat(0);
    let rankC = i32x4.splat(0);
    let rankD = i32x4.splat(0);
    for (let at = unsorted; at < end; at += 4) {
      const key = v128.load32_splat(at);
      rankA = i32x4.sub(rankA, i32x4.gt_s(a, key));
      rankB = i32x4.sub(rankB, i32x4.gt_s(b, key));
      rankC = i32x4.sub(rankC, i32x4.gt_s(c, key));
      rankD = i32x4.sub(rankD, i32x4.gt_s(d, key));
    }
    v128.store(ranks + half, rankA);
    v128.store(ranks + half, rankB, 16);
    v128.store(ranks + half, rankC, 32);
    v128.store(ranks + half, rankD, 48);
  }
  for (let p: usize = 0; p < ((size as usize) << 2); p += 4) {
    store<u32>(keys + ((load<u32>(ranks + p) as usize) << 2), load<u32>(unsorted + p) ^ SIGN);
  }
}

/** Columns of a row, as bits, whose distances are at most the limit. */
@inline
function columnsUpTo(row: usize, blocks: usize, limits: v128): u64 {
  let columns: u64 = 0;
  for (let block: usize = 0; block < blocks; block++) {
    const mask = i8x16.bitmask(i8x16.le_u(v128.load(row + (block << 4)), limits));
    columns |= (mask as u64) << (block << 4);
  }
  return columns;
}

/** 1 / (1 + h / mean h) of two distances, in double precision. */
@inline
function weightsOf(distances: v128): v128 {
  const one = f64x2.splat(1);
  const ratio = f64x2.div(f64x2.convert_low_i32x4_s(distances), f64x2.splat(meanDistance));
  return f32x4.demote_f64x2_zero(f64x2.div(one, f64x2.add(one, ratio)));
}

/** Weighs the pairs; the weights are the first strengths. Writes whole vectors, also past the last pair. */
function weighPairs(size: i32, scratch: usize): void {
  const end = scratch + ((size as usize) << 2);
  for (let at = scratch; at < end; at += 16) {
    const distances = v128.and(i32x4.shr_u(v128.load(at, PAIR_KEY), 16), i32x4.splat(255));
    const low = weightsOf(distances);
    const high = weightsOf(v128.shuffle<u64>(distances, distances, 1, 1));
    const weights = v128.shuffle<u64>(low, high, 0, 2);
    v128.store(at, weights, PAIR_WEIGHT);
    v128.store(at, weights, PAIR_STRENGTH);
  }
}

/** Lists the rows with distances of at most the limits, and their columns. @returns number of rows */
function findRows(n: i32, blocks: usize, limits: v128, scratch: usize): i32 {
  let rows = 0;
  for (let i = 0; i < n; i++) {
    const columns = columnsUpTo(scratch + DISTANCES + (i as usize) * ROW, blocks, limits);
    // An entry without columns is overwritten by the next row's.
    store<u64>(scratch + ROW_COLUMNS + ((rows as usize) << 3), columns);
    setB(scratch + ROW_NUMBER, rows, i);
    rows += i32(columns != 0);
  }
  return rows;
}

/**
 * Keeps the PAIRS smallest; of equals, the first in row order. Weighs each by 1 / (1 + h / mean h).
 * @returns number of pairs
 */
export function shortlistPairs(first: usize, n: i32, second: usize, m: i32, scratch: usize): i32 {
  const blocks = blocksOf(m);
  const firstBlocks = blocksOf(n);
  const limit = smallestLimit(n, blocks, scratch);
  let room = PAIRS - below;
  const limits = i8x16.splat(limit as i8);
  const unsorted = scratch + UNSORTED_KEY;
  let size = 0;
  let sum = 0;
  const rows = findRows(n, blocks, limits, scratch);
  for (let k = 0; k < rows; k++) {
    const i = getB(scratch + ROW_NUMBER, k);
    const row = scratch + DISTANCES + (i as usize) * ROW;
    const angle = angleOf(first, firstBlocks, i);
    let columns = load<u64>(scratch + ROW_COLUMNS + ((k as usize) << 3));
    do {
      const j = ctz(columns) as i32;
      const distance = load<u8>(row + (j as usize)) as i32;
      const rotation = (angleOf(second, blocks, j) - angle) & 255;
      const key = ((rotation << 24) | (distance << 16) | (i << 8) | j) as u32;
      // Written without a branch: the next pair overwrites one that is not kept.
      store<u32>(unsorted + ((size as usize) << 2), key ^ SIGN);
      const last = (distance == limit) as i32;
      const kept = last ^ 1 | ((room > 0) as i32);
      room -= last;
      sum += distance & -kept;
      size += kept;
      columns &= columns - 1;
    } while (columns != 0);
  }
  sortKeys(unsorted, size, scratch + PAIR_KEY, scratch + PAIR_RANK);
  meanDistance = (sum as f64) / (size as f64);
  // The mean is 0 only if the codes are equal in every pair.
  if (meanDistance < 1) meanDistance = 1;
  weighPairs(size, scratch);
  return size;
}
