/**
 * From an alignment to the comparison score.
 *
 * Each match counts by how near it is in place, direction and code; the sum is then weighed by how large a part it is
 * of the minutiae in the region that both prints show. So neither a tiny print, of which everything matches by chance,
 * nor a crowded one, in which something lies near everything, gets a high score. A print against itself scores 1,000
 * points for each of its minutiae, from nine on.
 *
 * Nothing was fitted. The constants were chosen by hand on FVC2002 DB2 to DB4 (one commercial extractor). FNMR at FMR
 * 10⁻³ there, mean of the three: 3.1 % as it is; 3.9 % with half the weight on place and direction, 6.1 % with none;
 * 5.2 % with the square root of the overlap; 5.2 to 6.4 % with a fixed code distance in place of the shortlist's mean.
 * Weight on the types' agreement or on the support of the cluster changed nothing (each with 24 pairs).
 */
import { MATCH_PROBE, MATCH_REFERENCE, MOVED_X, MOVED_Y, angleOf, blocksOf, getB, getF, xOf, yOf } from './layout';
import { COS_30 } from './consensus';
import { directionCosine, radiusSquared } from './pairing';
import { distanceOf, meanDistance } from './shortlist';

/** A code distance of this many times the mean of the shortlist is worth nothing. */
const WORTHLESS_DISTANCE: f64 = 1.6;
/** Pixels by which the box of a print is widened before the other's minutiae in it are counted. */
const BOX_MARGIN: f64 = 8;
/**
 * An overlap counts as if it held at least this many minutiae. With nine, prints cut to five to eight minutiae score as
 * low against other fingers as whole prints do (10⁻³ quantile 392 to 543, against 482); with six they score higher, 573 to 638.
 */
const SMALLEST_OVERLAP: f64 = 9;
/** Points for a match that is perfect in every respect, in an overlap where everything matches. */
const SCALE: f64 = 1000;
const LARGEST_SCORE: i32 = 65535;

/** Sum over the matches of their worth, 0 to 1 each. */
function worthOfMatches(probe: usize, n: i32, reference: usize, m: i32, matches: i32, scratch: usize): f64 {
  const probeBlocks = blocksOf(n);
  const referenceBlocks = blocksOf(m);
  let sum: f64 = 0;
  for (let z = 0; z < matches; z++) {
    const i = getB(scratch + MATCH_PROBE, z);
    const j = getB(scratch + MATCH_REFERENCE, z);
    const dx = xOf(reference, j) - getF(scratch + MOVED_X, i);
    const dy = yOf(reference, referenceBlocks, j) - getF(scratch + MOVED_Y, i);
    const place = (dx * dx + dy * dy) / radiusSquared(i, scratch);
    const cosine = directionCosine(angleOf(probe, probeBlocks, i), angleOf(reference, referenceBlocks, j));
    const direction = (1 - cosine) / (1 - COS_30);
    const code = 1 - distanceOf(scratch, i, j) / (WORTHLESS_DISTANCE * meanDistance);
    if (code > 0) sum += code * (1 - place) * (1 - direction);
  }
  return sum;
}

/** Bounds of one print's minutiae, and how many of the other's lie within them. */
let left: f64 = 0;
let right: f64 = 0;
let lower: f64 = 0;
let upper: f64 = 0;

function openBox(): void {
  left = lower = 1e9;
  right = upper = -1e9;
}

function widenBox(x: f64, y: f64): void {
  if (x < left) left = x;
  if (x > right) right = x;
  if (y < lower) lower = y;
  if (y > upper) upper = y;
}

function inBox(x: f64, y: f64): bool {
  return x > left - BOX_MARGIN && x < right + BOX_MARGIN && y > lower - BOX_MARGIN && y < upper + BOX_MARGIN;
}

function probeMinutiaeInOverlap(n: i32, reference: usize, m: i32, scratch: usize): i32 {
  const blocks = blocksOf(m);
  openBox();
  for (let j = 0; j < m; j++) widenBox(xOf(reference, j), yOf(reference, blocks, j));
  let count = 0;
  for (let i = 0; i < n; i++) if (inBox(getF(scratch + MOVED_X, i), getF(scratch + MOVED_Y, i))) count++;
  return count;
}

function referenceMinutiaeInOverlap(n: i32, reference: usize, m: i32, scratch: usize): i32 {
  const blocks = blocksOf(m);
  openBox();
  for (let i = 0; i < n; i++) widenBox(getF(scratch + MOVED_X, i), getF(scratch + MOVED_Y, i));
  let count = 0;
  for (let j = 0; j < m; j++) if (inBox(xOf(reference, j), yOf(reference, blocks, j))) count++;
  return count;
}

/** @returns 0 to 65535 */
export function scoreAlignment(probe: usize, n: i32, reference: usize, m: i32, matches: i32, scratch: usize): i32 {
  const worth = worthOfMatches(probe, n, reference, m, matches, scratch);
  let probeOverlap = probeMinutiaeInOverlap(n, reference, m, scratch) as f64;
  let referenceOverlap = referenceMinutiaeInOverlap(n, reference, m, scratch) as f64;
  if (probeOverlap < SMALLEST_OVERLAP) probeOverlap = SMALLEST_OVERLAP;
  if (referenceOverlap < SMALLEST_OVERLAP) referenceOverlap = SMALLEST_OVERLAP;
  const score = floor<f64>((SCALE * worth * worth) / sqrt<f64>(probeOverlap * referenceOverlap)) as i32;
  return score > LARGEST_SCORE ? LARGEST_SCORE : score;
}
