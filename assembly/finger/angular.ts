/**
 * Shares of a difference of directions in the six angular cells of a cylinder. They are looked up for every neighbour of
 * every minutia; a row for each of the 256 differences takes one load. The rows are made once, from a table.
 */
import { TURN_CELLS } from './layout';
import { ANGULAR_WEIGHTS } from './tables';

/** Unit of ANGULAR_WEIGHTS: 768ths of a turn, three to a 256th, 128 to a cell. */
const TURN: i32 = 768;
/** Bytes of a row: i16 [6], and two zeros. */
const ROW: usize = 16;

/**
 * @param difference - in 256ths of a turn, 0 to 255
 * @param k - angular cell; the first one begins at minus half a turn
 */
function angularWeight(difference: i32, k: i32): i32 {
  const middle = (k * TURN) / TURN_CELLS - (TURN - TURN / TURN_CELLS) / 2;
  const distance = (middle - 3 * difference + 2 * TURN) % TURN;
  return load<i16>(ANGULAR_WEIGHTS + ((min<i32>(distance, TURN - distance) as usize) << 1)) as i32;
}

/** @param rows - i16 [256 × 8] */
export function makeAngularRows(rows: usize): void {
  for (let difference = 0; difference < 256; difference++) {
    const row = angularRow(rows, difference);
    store<u32>(row, 0, 12);
    for (let k = 0; k < TURN_CELLS; k++) store<i16>(row + ((k as usize) << 1), angularWeight(difference, k));
  }
}

/** Address of the row of a difference. */
@inline
export function angularRow(rows: usize, difference: i32): usize {
  return rows + (difference as usize) * ROW;
}
