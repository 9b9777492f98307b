/**
 * One probe against many references: distances, shortlist, consensus, alignment, pairing, score.
 *
 * The score is not symmetric: ties in the shortlist fall by the probe's order, and the fit moves the probe onto the
 * reference, not the other way. Change their places and one score in three differs. The probe is always the first.
 */
import { alignCluster, alignMatches, moveProbe } from './alignment';
import { firstSupport, gatherPairs, relax } from './consensus';
import { measureDistances } from './distances';
import { makeCluster, pairMinutiae } from './pairing';
import { scoreAlignment } from './score';
import { shortlistPairs } from './shortlist';

/** Score of a reference that was removed. */
export const REMOVED: i32 = i32.MIN_VALUE;
/**
 * Largest support below which no alignment is tried. On FVC2002 DB2 to DB4, which it was tuned on, a comparison of
 * different fingers takes 15 to 20 µs with it and 22 to 31 µs without, at the same error rates; 1.5 loses mates.
 */
const LEAST_SUPPORT: f64 = 1.1;
/** Fewer matches than this are not an alignment. */
const FEWEST_MATCHES: i32 = 3;
const FEWEST_FOR_AFFINE: i32 = 5;
const PASSES: i32 = 3;

function compareFinger(probe: usize, reference: usize, scratch: usize): i32 {
  const n = load<u8>(probe) as i32;
  const m = load<u8>(reference) as i32;
  measureDistances(probe, n, reference, m, scratch);
  const size = shortlistPairs(n, m, scratch);
  gatherPairs(probe, n, reference, m, size, scratch);
  const largest = firstSupport(size, scratch);
  if (largest < LEAST_SUPPORT) return 0;
  relax(size, scratch, largest);
  alignCluster(makeCluster(size, scratch), scratch);
  let matches = 0;
  for (let pass = 0; pass < PASSES; pass++) {
    if (pass > 0) alignMatches(probe, n, reference, m, matches, pass > 1 && matches >= FEWEST_FOR_AFFINE, scratch);
    moveProbe(probe, n, scratch);
    matches = pairMinutiae(probe, n, reference, m, scratch);
    if (matches < FEWEST_MATCHES) return 0;
  }
  return scoreAlignment(probe, n, reference, m, matches, scratch);
}

/**
 * Compares a packed probe with `count` packed references in one call.
 * @param directory - u32 address / 16 of each reference; 0: removed
 * @param scores - i32 for each: 0 to 65535, or REMOVED
 */
export function compareFingers(probe: usize, directory: usize, count: i32, scores: usize, scratch: usize): void {
  for (let r: usize = 0; r < (count as usize); r++) {
    const address = (load<u32>(directory + (r << 2)) as usize) << 4;
    store<i32>(scores + (r << 2), address == 0 ? REMOVED : compareFinger(probe, address, scratch));
  }
}
