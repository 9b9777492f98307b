/**
 * The candidate vector of a finger: 256 bytes of fixed length, whose inner product tells which references are worth a
 * comparison. It is made of how minutiae lie to their neighbours: every minutia with every one near it falls, by their
 * distance and by either direction against the line between them, into a histogram that no rotation or shift of the
 * print changes, and that a missing minutia changes little. Near neighbours weigh most, for prints that overlap in part
 * share them. The roots of the histogram are projected on the directions that tell fingers apart (index-builder/train/
 * vectors.ts). The pairs are those of BOZORTH3 and of Jiang and Yau (ICPR 2000); a vector of them is ours.
 *
 * Whole numbers wherever something is summed over minutiae, so that their order does not matter; the few operations on
 * doubles are single correctly rounded ones in a fixed order. A direction is a row of 1,440 sixteen-bit numbers, read
 * forwards, which i32x4.dot_i16x8_s eats by eights; histogram and roots (9 KiB) stay in the first cache while 720 KiB of
 * directions pass once.
 */
import { innerProduct } from '../product';
import { product } from './code';
import { angleOf, getF, qualityOf, setF, xOf, yOf } from './layout';
import { ARCTANGENTS } from './tables';

const SIZE: i32 = 256;
/** Cells of the histogram: lengths of 15 pixels, and twelfths of a turn for either direction. */
const LENGTHS: i32 = 10;
const TURN_PARTS: i32 = 12;
const LENGTH_CELLS: i32 = 144;
const CELLS: i32 = 1440;
const CELL_ROW: usize = 2880;
const CELL_PIXELS: f64 = 15.0;
/** Pairs farther apart, or nearer (one minutia found twice), do not count. */
const FARTHEST: i32 = 150;
const NEAREST_SQUARED: i32 = 36;

// The tables, as src/matching/finger-vector-model.ts lays them out.
const RANKS: usize = 256;
const DIRECTIONS: usize = RANKS + 256;
const CENTRE: usize = DIRECTIONS + 737280;
const SCALE: usize = CENTRE + 1024;
export const VECTOR_TABLES: usize = SCALE + 1024;

// Scratch: f64 [256], i32 [64] four times, i32 [1440], i16 [1440].
const VALUES: usize = 0;
const X: usize = VALUES + 2048;
const Y: usize = X + 256;
const WEIGHT: usize = Y + 256;
/** Squared distances from one minutia; i32.MAX_VALUE where they do not count, and behind the last. */
const SQUARES: usize = WEIGHT + 256;
const HISTOGRAM: usize = SQUARES + 256;
const FLAT: usize = HISTOGRAM + 5760;
export const VECTOR_SCRATCH: usize = FLAT + CELL_ROW;

/** As long as that four and a half times the usual value fills a byte. */
const LENGTH: f64 = (127.0 * 16.0) / 4.5;

export function encodeVector(packed: usize, out: usize, tables: usize, scratch: usize): void {
  const count = load<u8>(packed) as i32;
  const blocks = load<u8>(packed + 1) as usize;
  for (let i = 0; i < count; i++) {
    setI(scratch + X, i, xOf(packed, i) as i32);
    setI(scratch + Y, i, yOf(packed, blocks, i) as i32);
    setI(scratch + WEIGHT, i, getI(tables, qualityOf(packed, blocks, i)));
  }
  memory.fill(scratch + HISTOGRAM, 0, CELL_ROW * 2);
  for (let i = 0; i < count; i++) {
    measure(i, count, scratch);
    for (let j = 0; j < count; j++) {
      const square = getI(scratch + SQUARES, j);
      if (square > FARTHEST * FARTHEST) continue;
      const rank = getI(tables + RANKS, nearerThan(square, scratch + SQUARES));
      const weight = (getI(scratch + WEIGHT, i) * getI(scratch + WEIGHT, j) * rank) >> 6;
      const line = direction(
        getI(scratch + X, j) - getI(scratch + X, i),
        getI(scratch + Y, j) - getI(scratch + Y, i),
      );
      const first = (angleOf(packed, blocks, i) - line) & 255;
      const second = (angleOf(packed, blocks, j) - line) & 255;
      addPair(sqrt<f64>(square as f64), first * TURN_PARTS, second * TURN_PARTS, weight, scratch + HISTOGRAM);
    }
  }
  flatten(scratch);
  project(tables, scratch, out);
}

/** Squared distances from minutia i to all, as far as they count. */
function measure(i: i32, count: i32, scratch: usize): void {
  const x = getI(scratch + X, i);
  const y = getI(scratch + Y, i);
  for (let j = 0; j < 64; j++) {
    let square = i32.MAX_VALUE;
    if (j < count && j != i) {
      const dx = getI(scratch + X, j) - x;
      const dy = getI(scratch + Y, j) - y;
      // Farther ones could leave thirty-two bits.
      if (abs<i32>(dx) <= FARTHEST && abs<i32>(dy) <= FARTHEST) square = dx * dx + dy * dy;
    }
    setI(scratch + SQUARES, j, square > NEAREST_SQUARED ? square : i32.MAX_VALUE);
  }
}

/** How many of 64 numbers are less. */
function nearerThan(square: i32, squares: usize): i32 {
  const all = i32x4.splat(square);
  let less = i32x4.splat(0);
  for (let b: usize = 0; b < 256; b += 16) less = i32x4.sub(less, i32x4.lt_s(v128.load(squares + b), all));
  return (
    i32x4.extract_lane(less, 0) + i32x4.extract_lane(less, 1) + i32x4.extract_lane(less, 2) + i32x4.extract_lane(less, 3)
  );
}

/** Direction of a line that is not of length 0, in 256ths of a turn. */
function direction(x: i32, y: i32): i32 {
  const w = abs<i32>(x);
  const h = abs<i32>(y);
  // In the first eighth, then mirrored to where it belongs.
  const slope = w > h ? (h << 8) / w : (w << 8) / h;
  let angle = load<i16>(ARCTANGENTS + ((slope as usize) << 1)) as i32;
  if (w <= h) angle = 64 - angle;
  if (x < 0) angle = 128 - angle;
  return y < 0 ? -angle : angle;
}

/**
 * Shares a pair out among the eight cells around it.
 * @param first - direction of the first minutia against the line, in 256ths of a cell; and the same of the second
 */
function addPair(length: f64, first: i32, second: i32, weight: i32, histogram: usize): void {
  const l = (floor<f64>((length * 256) / CELL_PIXELS) as i32) - 128;
  for (let i = 0; i < 2; i++) {
    const cellL = min<i32>(LENGTHS - 1, max<i32>(0, (l >> 8) + i)) * LENGTH_CELLS;
    const weightL = weight * (i ? l & 255 : 256 - (l & 255));
    for (let j = 0; j < 2; j++) {
      const cellA = ((first >> 8) + j) % TURN_PARTS;
      const weightA = (weightL * (j ? first & 255 : 256 - (first & 255))) >> 14;
      for (let k = 0; k < 2; k++) {
        const cellB = ((second >> 8) + k) % TURN_PARTS;
        const share = (weightA * (k ? second & 255 : 256 - (second & 255))) >> 4;
        const at = cellL + cellA * TURN_PARTS + cellB;
        setI(histogram, at, getI(histogram, at) + share);
      }
    }
  }
}

/** Roots, of length 32767 all together: a crowd of pairs in one cell does not drown the others. */
function flatten(scratch: usize): void {
  let total: i64 = 0;
  for (let i = 0; i < CELLS; i++) total += getI(scratch + HISTOGRAM, i) as i64;
  const scale: f64 = total > 0 ? (32767.0 * 32767.0) / (total as f64) : 0;
  for (let i = 0; i < CELLS; i++) {
    const root = floor<f64>(sqrt<f64>((getI(scratch + HISTOGRAM, i) as f64) * scale)) as i32;
    store<i16>(scratch + FLAT + ((i as usize) << 1), root as i16);
  }
}

function project(tables: usize, scratch: usize, out: usize): void {
  let squares: f64 = 0;
  for (let j = 0; j < SIZE; j++) {
    const inner = product(tables + DIRECTIONS + (j as usize) * CELL_ROW, scratch + FLAT, CELL_ROW) as f64;
    const centred = inner - (getI(tables + CENTRE, j) as f64);
    const value = centred * (load<f32>(tables + SCALE + ((j as usize) << 2)) as f64);
    setF(scratch + VALUES, j, value);
    squares += value * value;
  }
  const length = squares > 0 ? LENGTH / sqrt<f64>(squares) : 0;
  for (let j = 0; j < SIZE; j++) {
    const value = floor<f64>(getF(scratch + VALUES, j) * length + 0.5);
    store<i8>(out + (j as usize), max<f64>(-127, min<f64>(127, value)) as i32 as i8);
  }
}

function getI(base: usize, i: i32): i32 {
  return load<i32>(base + ((i as usize) << 2));
}
function setI(base: usize, i: i32, value: i32): void {
  store<i32>(base + ((i as usize) << 2), value);
}

/** What a removed reference is given: less than any inner product. */
const REMOVED: i32 = -32768;

/**
 * Inner products of a vector with `count` others, an eighth of them, i16 each. The vectors are read once, front to back,
 * and 256 bytes are all that is read of a reference: at millions of them the memory's speed decides.
 * @param probe - the vector widened to i16 [256], for it is used `count` times
 * @param directory - u32 for each: 0 where the reference was removed
 */
export function scanVectors(probe: usize, vectors: usize, directory: usize, count: i32, scores: usize): void {
  for (let i = 0; i < count; i++) {
    const score = scores + ((i as usize) << 1);
    if (load<u32>(directory + ((i as usize) << 2)) == 0) {
      store<i16>(score, REMOVED as i16);
      continue;
    }
    const row = vectors + (i as usize) * (SIZE as usize);
    const sum = innerProduct(row, probe, SIZE as usize);
    store<i16>(score, max<i32>(-32767, min<i32>(32767, sum >> 3)) as i16);
  }
}
