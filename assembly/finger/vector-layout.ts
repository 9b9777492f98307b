/** Sizes, tables and scratch of the candidate vector, see vector.ts. */

/** Cells of the histogram: lengths of 15 pixels, and twelfths of a turn for each direction. */
export const LENGTHS: usize = 10;
export const TURN_PARTS: usize = 12;
export const CELL_ROW: usize = 2880;

// Offsets of the tables, as in src/matching/model/finger-vector-model.ts.
export const RANKS: usize = 256;
export const DIRECTIONS: usize = RANKS + 256;
export const CENTRE: usize = DIRECTIONS + 737280;
export const SCALE: usize = CENTRE + 1024;
export const VECTOR_TABLES: usize = SCALE + 1024;

// Scratch: f64 [256].
export const VALUES: usize = 0;
/** Of each minutia: i16 x, i16 y, then its weight << 8 | its direction. Weights are less than 2²³. */
export const MINUTIAE: usize = VALUES + 2048;
export const MINUTIA: usize = 8;
/** i16 [64] each: coordinates; u16 [64]: squared distances from one minutia, right where they count. */
export const X: usize = MINUTIAE + 64 * MINUTIA;
export const Y: usize = X + 128;
export const SQUARES: usize = Y + 128;
/** Of the minutiae that form pairs with one: as in MINUTIAE, and three copies of the last. */
export const NEAR: usize = SQUARES + 128;
/** i16 [64], and up to sixteen that are beyond all: their squared distances; then how many are nearer. */
export const NEAR_SQUARES: usize = NEAR + 68 * MINUTIA;
export const NEARER: usize = NEAR_SQUARES + 160;
/** i32 [64], and up to four zeros: the weights of how many are nearer. */
export const NEAR_RANKS: usize = NEARER + 160;
/** Of each pair: its cell and its shares, see prepareFour. */
export const SHARES: usize = NEAR_RANKS + 272;
export const SHARE: usize = 28;
/**
 * i32 [12 × 13 × 16]: the histogram, with a layer before the first length and one behind the last, and a row and a column
 * behind the last direction, which are added to the first when all pairs are known. The cells of a pair are therefore
 * always at the same distances. The last three columns are unused.
 */
export const HISTOGRAM: usize = SHARES + 64 * SHARE;
export const ROW: usize = 64;
export const LAYER: usize = (TURN_PARTS + 1) * ROW;
export const LAYERS: usize = LENGTHS + 2;
/** i16 [1440]. */
export const FLAT: usize = HISTOGRAM + LAYERS * LAYER;
export const VECTOR_SCRATCH: usize = FLAT + CELL_ROW;

export function getI(base: usize, i: i32): i32 {
  return load<i32>(base + ((i as usize) << 2));
}
