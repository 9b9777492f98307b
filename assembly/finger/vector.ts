/**
 * The candidate vector of a finger: 256 bytes of fixed length, whose inner product tells which references are worth a
 * comparison. Each minutia's cylinder is projected on 48 learned directions and shared out among the near ones of 64
 * words; what is kept of a finger is how its minutiae differ from the words (VLAD: Jégou, Douze, Schmid, Pérez, CVPR
 * 2010), under a signed square root so that no word drowns the others (Perronnin, Sánchez, Mensink, ECCV 2010), on its
 * principal directions.
 *
 * Whole numbers wherever something is summed over minutiae, so that their order does not matter; the few operations on
 * doubles are single correctly rounded ones in a fixed order, and the exponential is a table. Every table is rows of
 * sixteen-bit numbers read forwards, which i32x4.dot_i16x8_s eats by eights; a row of the largest is one value of the
 * result, so that the aggregate (6 KiB) stays in the first cache while 1.5 MiB of directions pass once.
 */
import { flatten, product } from './code';
import { makeCylinder } from './cylinder';
import { makeHull } from './hull';
import {
  CYLINDER_SIZE,
  ENCODE_HULL,
  ENCODE_SCRATCH,
  POINT_X,
  POINT_Y,
  ROOTS,
  getF,
  qualityOf,
  setF,
  setS,
  xOf,
  yOf,
} from './layout';

const SIZE: i32 = 256;
const DIRECTIONS: i32 = 48;
const WORDS: i32 = 64;
const AGGREGATE: i32 = 3072;
const EXPONENTIALS: i32 = 1024;
const CYLINDER_ROW: usize = (CYLINDER_SIZE as usize) << 1;
const WORD_ROW: usize = 96;
const AGGREGATE_ROW: usize = 6144;

// The tables, as src/matching/finger-vector-model.ts lays them out.
const MEANS: usize = 36864;
const CODEBOOK: usize = MEANS + 192;
const SQUARES: usize = CODEBOOK + 6144;
const EXPONENTIAL: usize = SQUARES + 256;
const QUALITY: usize = EXPONENTIAL + 4096;
const PRINCIPAL: usize = QUALITY + 256;
const CENTRE: usize = PRINCIPAL + 1572864;
const SCALE: usize = CENTRE + 1024;
export const VECTOR_TABLES: usize = SCALE + 1024;

// Scratch, behind that of encodeFinger: f64 [256], i16 [48], i32 [64], i32 [3072], i16 [3072].
const VALUES: usize = ENCODE_SCRATCH;
const Z: usize = VALUES + 2048;
const NEAR: usize = Z + 96;
const SUMS: usize = NEAR + 256;
const FLAT: usize = SUMS + 12288;
export const VECTOR_SCRATCH: usize = FLAT + 6144;

/** As long as that four and a half times the usual value fills a byte. */
const LENGTH: f64 = (127.0 * 16.0) / 4.5;

export function encodeVector(packed: usize, out: usize, tables: usize, scratch: usize): void {
  const count = load<u8>(packed) as i32;
  const blocks = load<u8>(packed + 1) as usize;
  for (let i = 0; i < count; i++) {
    setS(scratch + POINT_X, i, xOf(packed, i) as f32);
    setS(scratch + POINT_Y, i, yOf(packed, blocks, i) as f32);
  }
  makeHull(scratch + POINT_X, scratch + POINT_Y, count, scratch + ENCODE_HULL);
  memory.fill(scratch + SUMS, 0, AGGREGATE_ROW * 2);
  for (let i = 0; i < count; i++) {
    makeCylinder(packed, count, i, scratch);
    flatten(scratch);
    project(tables, scratch);
    const quality = qualityOf(packed, blocks, i);
    addToWords(tables, load<i32>(tables + QUALITY + ((quality as usize) << 2)), scratch);
  }
  flattenWords(scratch);
  compress(tables, scratch, out);
}

function project(tables: usize, scratch: usize): void {
  let squares: f64 = 0;
  for (let e = 0; e < DIRECTIONS; e++) {
    const sum = product(tables + (e as usize) * CYLINDER_ROW, scratch + ROOTS, CYLINDER_ROW) as f64;
    const value = sum - (load<i32>(tables + MEANS + ((e as usize) << 2)) as f64);
    setF(scratch + VALUES, e, value);
    squares += value * value;
  }
  const scale = squares > 0 ? 16384.0 / sqrt<f64>(squares) : 0;
  for (let e = 0; e < DIRECTIONS; e++) {
    store<i16>(scratch + Z + ((e as usize) << 1), floor<f64>(getF(scratch + VALUES, e) * scale + 0.5) as i32 as i16);
  }
}

function addToWords(tables: usize, weight: i32, scratch: usize): void {
  let nearest = i32.MIN_VALUE;
  for (let k = 0; k < WORDS; k++) {
    const at = (k as usize) << 2;
    const inner = product(tables + CODEBOOK + (k as usize) * WORD_ROW, scratch + Z, WORD_ROW);
    const near = 2 * inner - load<i32>(tables + SQUARES + at);
    store<i32>(scratch + NEAR + at, near);
    if (near > nearest) nearest = near;
  }
  let total = 0;
  for (let k = 0; k < WORDS; k++) {
    const near = scratch + NEAR + ((k as usize) << 2);
    let i = (nearest - load<i32>(near)) >> 18;
    if (i >= EXPONENTIALS) i = EXPONENTIALS - 1;
    const share = load<i32>(tables + EXPONENTIAL + ((i as usize) << 2));
    store<i32>(near, share);
    total += share;
  }
  for (let k = 0; k < WORDS; k++) {
    const share = load<i32>(scratch + NEAR + ((k as usize) << 2));
    if (share * 50 < total) continue;
    const factor = i32x4.splat((((share << 14) / total) * weight) >> 6);
    const word = tables + CODEBOOK + (k as usize) * WORD_ROW;
    const sums = scratch + SUMS + (k as usize) * WORD_ROW * 2;
    for (let e: usize = 0; e < WORD_ROW; e += 8) {
      const difference = i32x4.sub(v128.load_ext<i16>(scratch + Z + e), v128.load_ext<i16>(word + e));
      const part = i32x4.shr_s(i32x4.mul(factor, difference), 8);
      v128.store(sums + e * 2, i32x4.add(v128.load(sums + e * 2), part));
    }
  }
}

function flattenWords(scratch: usize): void {
  let total: i64 = 0;
  for (let i = 0; i < AGGREGATE; i++) total += abs<i32>(load<i32>(scratch + SUMS + ((i as usize) << 2))) as i64;
  const scale: f64 = total > 0 ? (32767.0 * 32767.0) / (total as f64) : 0;
  for (let i = 0; i < AGGREGATE; i++) {
    const sum = load<i32>(scratch + SUMS + ((i as usize) << 2));
    const root = floor<f64>(sqrt<f64>((abs<i32>(sum) as f64) * scale)) as i32;
    store<i16>(scratch + FLAT + ((i as usize) << 1), (sum < 0 ? -root : root) as i16);
  }
}

function compress(tables: usize, scratch: usize, out: usize): void {
  let squares: f64 = 0;
  for (let j = 0; j < SIZE; j++) {
    const at = (j as usize) << 2;
    const inner = product(tables + PRINCIPAL + (j as usize) * AGGREGATE_ROW, scratch + FLAT, AGGREGATE_ROW) as f64;
    const centred = inner - (load<i32>(tables + CENTRE + at) as f64);
    const value = centred * (load<f32>(tables + SCALE + at) as f64);
    setF(scratch + VALUES, j, value);
    squares += value * value;
  }
  const length = squares > 0 ? LENGTH / sqrt<f64>(squares) : 0;
  for (let j = 0; j < SIZE; j++) {
    const value = floor<f64>(getF(scratch + VALUES, j) * length + 0.5);
    store<i8>(out + (j as usize), max<f64>(-127, min<f64>(127, value)) as i32 as i8);
  }
}

/** Inner products of `probe` with `count` vectors, rows of SIZE bytes; all 16-byte aligned. */
export function scanVectors(probe: usize, vectors: usize, count: i32, scores: usize): void {
  for (let i = 0; i < count; i++) {
    const row = vectors + (i as usize) * (SIZE as usize);
    let low = i32x4.splat(0);
    let high = i32x4.splat(0);
    for (let b: usize = 0; b < (SIZE as usize); b += 16) {
      const p = v128.load(probe + b);
      const v = v128.load(row + b);
      low = i32x4.add(low, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(p), i16x8.extend_low_i8x16_s(v)));
      high = i32x4.add(high, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(p), i16x8.extend_high_i8x16_s(v)));
    }
    const sum = i32x4.add(low, high);
    store<i32>(
      scores + ((i as usize) << 2),
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3),
    );
  }
}
