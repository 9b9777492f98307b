/**
 * The pairs of near minutiae that a candidate vector counts, and how much each weighs. All pairs of one minutia are found
 * together: their squared distances fit sixteen bits, eight at a time.
 */
import { angleOf, blocksOf, columnOfX, columnOfY, qualityOf } from './layout';
import { addFour, fold, prepareFour } from './pair-cells';
import {
  HISTOGRAM,
  LAYER,
  LAYERS,
  MINUTIA,
  MINUTIAE,
  NEAR,
  NEARER,
  NEAR_RANKS,
  NEAR_SQUARES,
  RANKS,
  SQUARES,
  X,
  Y,
  getI,
} from './vector-layout';

/** A coordinate out of reach of every minutia, even if the difference leaves sixteen bits; for unused entries. */
const NOWHERE: i16 = -400;

/** Pairs that are farther apart do not count: pixels. */
const FARTHEST: i16 = 150;
/** Pairs that are nearer do not count: one minutia was found twice. Square of pixels. */
const NEAREST_SQUARED: i16 = 36;

// Loaded, see pair-cells.ts.
const FARTHEST_AT: usize = memory.data<i16>([FARTHEST]);
/** The least square that counts, and how much greater the greatest one is. */
const LEAST_SQUARE: usize = memory.data<i16>([NEAREST_SQUARED + 1]);
const SQUARES_ABOVE: usize = memory.data<i16>([FARTHEST * FARTHEST - NEAREST_SQUARED - 1]);
/** More than every squared distance that counts. */
const BEYOND: usize = memory.data<i16>([32767]);

/** Makes the histogram of a packed finger. */
export function addPairs(packed: usize, tables: usize, scratch: usize): void {
  const count = load<u8>(packed) as i32;
  readMinutiae(packed, count, tables, scratch);
  memory.fill(scratch + HISTOGRAM, 0, LAYERS * LAYER);
  for (let i = 0; i < count; i++) {
    const near = measure(i, count, scratch);
    if (near == 0) continue;
    const pairs = popcnt<u64>(near) as i32;
    gather(near, scratch);
    rank(pairs, tables, scratch);
    for (let at = 0; at < pairs; at += 4) prepareFour(i, at, scratch);
    for (let at = 0; at < pairs; at += 4) addFour(at, scratch);
  }
  fold(scratch);
}

function readMinutiae(packed: usize, count: i32, tables: usize, scratch: usize): void {
  const blocks = blocksOf(count);
  for (let i: usize = 0; i < blocks * 32; i += 16) {
    v128.store(scratch + X + i, v128.load(columnOfX(packed) + i));
    v128.store(scratch + Y + i, v128.load(columnOfY(packed, blocks) + i));
  }
  for (let i = count; i < (blocks as i32) * 16; i++) store<i16>(scratch + X + ((i as usize) << 1), NOWHERE);
  for (let i = 0; i < count; i++) {
    const minutia = scratch + MINUTIAE + (i as usize) * MINUTIA;
    store<i16>(minutia, load<i16>(scratch + X + ((i as usize) << 1)));
    store<i16>(minutia, load<i16>(scratch + Y + ((i as usize) << 1)), 2);
    store<i32>(minutia, (getI(tables, qualityOf(packed, blocks, i)) << 8) | angleOf(packed, blocks, i), 4);
  }
}

/** Squared distances from minutia i to all others. @returns those that count, as bits; itself is too near */
function measure(i: i32, count: i32, scratch: usize): u64 {
  const x = v128.load16_splat(scratch + X + ((i as usize) << 1));
  const y = v128.load16_splat(scratch + Y + ((i as usize) << 1));
  const farthest = v128.load16_splat(FARTHEST_AT);
  let near: u64 = 0;
  for (let j = 0; j < count; j += 8) {
    const dx = i16x8.sub(v128.load(scratch + X + ((j as usize) << 1)), x);
    const dy = i16x8.sub(v128.load(scratch + Y + ((j as usize) << 1)), y);
    // Squares of larger differences could overflow sixteen bits.
    const within = i16x8.le_s(i16x8.max_s(i16x8.abs(dx), i16x8.abs(dy)), farthest);
    const square = i16x8.add(i16x8.mul(dx, dx), i16x8.mul(dy, dy));
    const counts = i16x8.le_u(
      i16x8.sub(square, v128.load16_splat(LEAST_SQUARE)),
      v128.load16_splat(SQUARES_ABOVE),
    );
    v128.store(scratch + SQUARES + ((j as usize) << 1), square);
    near |= (i16x8.bitmask(v128.and(within, counts)) as u64) << (j as u64);
  }
  return near;
}

/** Copies the minutiae that are near, without gaps. */
function gather(near: u64, scratch: usize): void {
  let minutia = scratch + NEAR;
  let square = scratch + NEAR_SQUARES;
  for (let left = near; left != 0; left &= left - 1) {
    const j = ctz<u64>(left) as usize;
    store<u64>(minutia, load<u64>(scratch + MINUTIAE + j * MINUTIA));
    store<u16>(square, load<u16>(scratch + SQUARES + (j << 1)));
    minutia += MINUTIA;
    square += 2;
  }
  // Four pairs and sixteen ranks are computed at a time.
  const last = load<u64>(minutia - MINUTIA);
  store<u64>(minutia, last);
  store<u64>(minutia, last, MINUTIA);
  store<u64>(minutia, last, 2 * MINUTIA);
  v128.store(square, v128.load16_splat(BEYOND));
  v128.store(square, v128.load16_splat(BEYOND), 16);
}

/** Weighs each pair by how many other minutiae are nearer. */
function rank(pairs: i32, tables: usize, scratch: usize): void {
  const squares = scratch + NEAR_SQUARES;
  const end = squares + ((pairs as usize) << 1);
  for (let at: usize = 0; at < ((pairs as usize) << 1); at += 32) {
    const low = v128.load(squares + at);
    const high = v128.load(squares + at, 16);
    let nearerLow = i16x8.splat(0);
    let nearerHigh = i16x8.splat(0);
    for (let other = squares; other < end; other += 2) {
      const square = v128.load16_splat(other);
      nearerLow = i16x8.sub(nearerLow, i16x8.gt_s(low, square));
      nearerHigh = i16x8.sub(nearerHigh, i16x8.gt_s(high, square));
    }
    v128.store(scratch + NEARER + at, nearerLow);
    v128.store(scratch + NEARER + at, nearerHigh, 16);
  }
  for (let i = 0; i < pairs; i++) {
    const nearer = load<u16>(scratch + NEARER + ((i as usize) << 1)) as i32;
    store<i32>(scratch + NEAR_RANKS + ((i as usize) << 2), getI(tables + RANKS, nearer));
  }
  // The copies of the last minutia weigh nothing.
  v128.store(scratch + NEAR_RANKS + ((pairs as usize) << 2), i32x4.splat(0));
}
