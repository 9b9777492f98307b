/** The pairs of minutiae with the smallest code distances. */
import {
  DISTANCES,
  HISTOGRAM,
  PAIRS,
  PAIR_PROBE,
  PAIR_REFERENCE,
  PAIR_WEIGHT,
  PAIR_STRENGTH,
  getB,
  setB,
  getF,
  setF,
} from './layout';
import { ROW } from './distances';

/** Mean distance of the shortlisted pairs. */
export let meanDistance: f64 = 0;

/**
 * Keeps the PAIRS smallest; of equal ones those that come first in row order. Weighs each by 1 / (1 + h / mean h).
 * @returns how many there are
 */
export function shortlistPairs(n: i32, m: i32, scratch: usize): i32 {
  const histogram = scratch + HISTOGRAM;
  memory.fill(histogram, 0, 1024);
  for (let i = 0; i < n; i++) {
    const row = scratch + DISTANCES + (i as usize) * ROW;
    for (let j = 0; j < m; j++) {
      const count = histogram + ((load<u8>(row + (j as usize)) as usize) << 2);
      store<i32>(count, load<i32>(count) + 1);
    }
  }
  let limit = 0;
  let below = 0;
  for (; limit < 255; limit++) {
    const count = load<i32>(histogram + ((limit as usize) << 2));
    if (below + count > PAIRS) break;
    below += count;
  }
  let room = PAIRS - below;
  let size = 0;
  let sum: f64 = 0;
  for (let i = 0; i < n; i++) {
    const row = scratch + DISTANCES + (i as usize) * ROW;
    for (let j = 0; j < m; j++) {
      const distance = load<u8>(row + (j as usize)) as i32;
      if (distance > limit) continue;
      if (distance == limit && --room < 0) continue;
      setB(scratch + PAIR_PROBE, size, i);
      setB(scratch + PAIR_REFERENCE, size, j);
      setF(scratch + PAIR_WEIGHT, size, distance as f64);
      sum += distance as f64;
      size++;
    }
  }
  meanDistance = sum / (size as f64);
  // Only codes that are equal in every pair make the mean 0.
  if (meanDistance < 1) meanDistance = 1;
  for (let p = 0; p < size; p++) {
    const weight: f64 = 1 / (1 + getF(scratch + PAIR_WEIGHT, p) / meanDistance);
    setF(scratch + PAIR_WEIGHT, p, weight);
    setF(scratch + PAIR_STRENGTH, p, weight);
  }
  return size;
}

/** Distance of two minutiae. */
export function distanceOf(scratch: usize, i: i32, j: i32): f64 {
  return getB(scratch + DISTANCES + (i as usize) * ROW, j) as f64;
}
