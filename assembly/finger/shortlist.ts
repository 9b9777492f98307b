/** The pairs of minutiae with the smallest code distances. */
import {
  DISTANCES,
  PAIRS,
  PAIR_KEY,
  PAIR_WEIGHT,
  PAIR_STRENGTH,
  angleOf,
  blocksOf,
  getB,
  setS,
} from './layout';
import { ROW } from './distances';

/** Mean distance of the shortlisted pairs. */
export let meanDistance: f64 = 0;

/** How many distances are at most `limit`. Columns outside: at most 64 rows can be counted in a byte. */
function countUpTo(n: i32, blocks: usize, limit: i32, scratch: usize): i32 {
  const splat = i8x16.splat(limit as i8);
  let total = i32x4.splat(0);
  for (let block: usize = 0; block < blocks; block++) {
    let counts = i8x16.splat(0);
    const end = scratch + DISTANCES + (block << 4) + (n as usize) * ROW;
    for (let at = scratch + DISTANCES + (block << 4); at < end; at += ROW) {
      counts = i8x16.sub(counts, i8x16.le_u(v128.load(at), splat));
    }
    total = i32x4.add(total, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(counts)));
  }
  return (
    i32x4.extract_lane(total, 0) +
    i32x4.extract_lane(total, 1) +
    (i32x4.extract_lane(total, 2) + i32x4.extract_lane(total, 3))
  );
}

/** Where most limits lie, and how far apart the first two guesses are. */
const USUAL_LIMIT: i32 = 47;
const FIRST_STEP: i32 = 2;

/** The smallest limit that leaves at least PAIRS: steps away from the usual one, then bisection. 254 if none does. */
function smallestLimit(n: i32, blocks: usize, scratch: usize): i32 {
  let low = 0;
  let high = 254;
  let step = FIRST_STEP;
  let guess = USUAL_LIMIT;
  while (low < high) {
    const enough = countUpTo(n, blocks, guess, scratch) >= PAIRS;
    if (enough) high = guess;
    else low = guess + 1;
    const bracketed = low > 0 && high < 254;
    guess = bracketed ? (low + high) >> 1 : enough ? max<i32>(low, guess - step) : min<i32>(high - 1, guess + step);
    step <<= 1;
  }
  return low;
}

export function rotationAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, (p << 2) + 3);
}
export function distanceAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, (p << 2) + 2);
}
export function firstAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, (p << 2) + 1);
}
export function secondAt(scratch: usize, p: i32): i32 {
  return getB(scratch + PAIR_KEY, p << 2);
}

/** Keeps keys in ascending order. */
function insertKey(keys: usize, size: i32, key: u32): void {
  let at = keys + ((size as usize) << 2);
  while (at > keys && load<u32>(at - 4) > key) {
    store<u32>(at, load<u32>(at - 4));
    at -= 4;
  }
  store<u32>(at, key);
}

/**
 * Keeps the PAIRS smallest; of equal ones those that come first in row order. Weighs each by 1 / (1 + h / mean h).
 * @returns how many there are
 */
export function shortlistPairs(first: usize, n: i32, second: usize, m: i32, scratch: usize): i32 {
  const blocks = blocksOf(m);
  const firstBlocks = blocksOf(n);
  const limit = smallestLimit(n, blocks, scratch);
  let room = PAIRS - (limit > 0 ? countUpTo(n, blocks, limit - 1, scratch) : 0);
  const splat = i8x16.splat(limit as i8);
  const keys = scratch + PAIR_KEY;
  let size = 0;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const row = scratch + DISTANCES + (i as usize) * ROW;
    for (let block: usize = 0; block < blocks; block++) {
      let mask = i8x16.bitmask(i8x16.le_u(v128.load(row + (block << 4)), splat));
      while (mask != 0) {
        const j = ((block as i32) << 4) + ctz(mask);
        mask &= mask - 1;
        const distance = load<u8>(row + (j as usize)) as i32;
        if (distance == limit && --room < 0) continue;
        const rotation = (angleOf(second, blocks, j) - angleOf(first, firstBlocks, i)) & 255;
        insertKey(keys, size, ((rotation << 24) | (distance << 16) | (i << 8) | j) as u32);
        sum += distance;
        size++;
      }
    }
  }
  meanDistance = (sum as f64) / (size as f64);
  // Only codes that are equal in every pair make the mean 0.
  if (meanDistance < 1) meanDistance = 1;
  for (let p = 0; p < size; p++) {
    const weight = (1 / (1 + (distanceAt(scratch, p) as f64) / meanDistance)) as f32;
    setS(scratch + PAIR_WEIGHT, p, weight);
    setS(scratch + PAIR_STRENGTH, p, weight);
  }
  return size;
}
