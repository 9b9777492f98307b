/** Turns the terms into the comparison score. */
import { MASSES, WEIGHTS } from './layout';
import { KNOT_COUNT } from './terms';

export const MAX_SCORE: i32 = 65535;
/** Masses are in 256ths, weights in sixteenths of a point. */
const SHIFT: i64 = 12;

/**
 * The sum of the knots' weights times their masses, in sixty-four bits, rounded down.
 * @returns 1 to MAX_SCORE; 0 means that no alignment was found
 */
export function scoreEvidence(scratch: usize): i32 {
  let sum: i64 = 0;
  for (let k: usize = 0; k < (KNOT_COUNT as usize); k++) {
    sum += (load<i32>(scratch + MASSES + (k << 2)) as i64) * (load<i32>(WEIGHTS + (k << 2)) as i64);
  }
  const score = sum >> SHIFT;
  return score < 1 ? 1 : score > (MAX_SCORE as i64) ? MAX_SCORE : (score as i32);
}
