/** Encodes minutiae as a packed finger. */
import {
  HEADER_BYTES,
  MINIMUM_MINUTIAE,
  MOST_MINUTIAE,
  POINTS,
  blocksOf,
  codesOf,
  packedBytes,
} from './layout';
import { makeCodes } from './code';
import { makeCylinders } from './cylinder';

/** Bytes of a minutia as the host writes it: i16 x, i16 y, u8 angle, u8 quality << 2 | type, u16 unused. */
const MINUTIA_BYTES: usize = 8;

/**
 * @param minutiae - `count` minutiae of MINUTIA_BYTES each
 * @param out - room for the packed finger, 16-byte aligned
 * @param planes - of the codes, see makeCodes
 * @returns the packed finger's bytes; 0 for too few or too many minutiae
 */
export function encodeFinger(minutiae: usize, count: i32, out: usize, planes: usize, scratch: usize): i32 {
  if (count < MINIMUM_MINUTIAE || count > MOST_MINUTIAE) return 0;
  const blocks = blocksOf(count);
  const length = packedBytes(count);
  memory.fill(out, 0, length);
  store<u8>(out, count as u8);
  store<u8>(out + 1, blocks as u8);
  for (let i = 0; i < count; i++) {
    const from = minutiae + (i as usize) * MINUTIA_BYTES;
    const x = out + HEADER_BYTES + ((i as usize) << 1);
    store<i16>(x, load<i16>(from));
    store<i16>(x + blocks * 32, load<i16>(from + 2));
    const angle = out + HEADER_BYTES + blocks * 64 + (i as usize);
    store<u8>(angle, load<u8>(from + 4));
    store<u8>(angle + blocks * 16, load<u8>(from + 5));
    store<u32>(scratch + POINTS + ((i as usize) << 2), load<u32>(from));
  }
  makeCylinders(out, count, planes, scratch);
  makeCodes(planes, count, codesOf(out, blocks), scratch);
  return length as i32;
}
