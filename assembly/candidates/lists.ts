/** Lists of references: those of chosen subjects, and those of the greatest values. */
import { areConsecutive } from './owners';

/** Overwrites bytes with zeros. The host's own fill writes shared memory byte by byte: four times slower. */
export function wipe(from: usize, bytes: i32): void {
  memory.fill(from, 0, bytes as usize);
}

/**
 * Lists the references of marked subjects.
 * @param first - index of the first reference
 * @param out - u32 for each listed index, ascending; room for `count`
 * @returns their number
 */
export function collectReferences(owners: usize, count: i32, first: i32, marks: usize, out: usize): i32 {
  const end = count as usize;
  let found: usize = 0;
  for (let i: usize = 0; i < end;) {
    const own = owners + (i << 2);
    let stop = min<usize>(end, i + 16);
    // Few subjects are marked: most sixteen consecutive ones are not.
    if (stop == i + 16) {
      const ordinal = load<u32>(own);
      if (areConsecutive(own, ordinal) && !v128.any_true(v128.load(marks + (ordinal as usize)))) {
        i = stop;
        continue;
      }
    }
    for (; i < stop; i++) {
      // Written unconditionally: a rare, unpredictable branch costs more.
      store<u32>(out + (found << 2), (first as u32) + (i as u32));
      found += load<u8>(marks + (load<u32>(owners + (i << 2)) as usize)) as usize;
    }
  }
  return found as i32;
}

/** Counts the bytes that are at least `least`, 1 or more. They are padded with zeros to a multiple of 16. */
export function countValues(values: usize, count: i32, least: i32): i32 {
  const bound = i8x16.splat(least as i8);
  const end = values + (count as usize);
  let total = 0;
  for (let at = values; at < end;) {
    // A lane counts up to 255.
    const stop = min<usize>(end, at + 255 * 16);
    let counts = i8x16.splat(0);
    for (; at < stop; at += 16) counts = i8x16.sub(counts, i8x16.ge_u(v128.load(at), bound));
    const sums = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(counts));
    total += i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
    total += i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
  }
  return total;
}

/**
 * Lists the bytes that are at least `least`, padded as for countValues.
 * @param out - u32 index for each, ascending
 * @returns their number
 */
export function collectValues(values: usize, count: i32, least: i32, out: usize): i32 {
  const bound = i8x16.splat(least as i8);
  let found: usize = 0;
  for (let i: usize = 0; i < (count as usize); i += 16) {
    let bits = i8x16.bitmask(i8x16.ge_u(v128.load(values + i), bound));
    while (bits != 0) {
      store<u32>(out + (found << 2), (i as u32) + (ctz(bits) as u32));
      found++;
      bits &= bits - 1;
    }
  }
  return found as i32;
}
