/** Code distances of every probe minutia to every reference minutia. */
import { BLOCK, CODE_BLOCK_BYTES, CODE_BYTES, DISTANCES, MOST_MINUTIAE, blocksOf, codesOf } from './layout';

/** Distances of one row are MOST_MINUTIAE bytes apart; those behind the last minutia are meaningless. */
export const ROW: usize = MOST_MINUTIAE as usize;

/**
 * Sixteen distances at a time: for each of the 32 byte planes, sixteen reference bytes against one splatted probe byte.
 * The sum saturates at 255 instead of wrapping to 0 for codes that differ in all 256 bits.
 */
export function measureDistances(probe: usize, n: i32, reference: usize, m: i32, scratch: usize): void {
  const probeCodes = codesOf(probe, blocksOf(n));
  const referenceBlocks = blocksOf(m);
  const referenceCodes = codesOf(reference, referenceBlocks);
  for (let i = 0; i < n; i++) {
    const code = probeCodes + ((i / BLOCK) as usize) * CODE_BLOCK_BYTES + ((i % BLOCK) as usize);
    const row = scratch + DISTANCES + (i as usize) * ROW;
    for (let block: usize = 0; block < referenceBlocks; block++) {
      const planes = referenceCodes + block * CODE_BLOCK_BYTES;
      let sum = i8x16.splat(0);
      for (let k: usize = 0; k < (CODE_BYTES as usize); k++) {
        const different = v128.xor(v128.load(planes + (k << 4)), v128.load8_splat(code + (k << 4)));
        sum = i8x16.add_sat_u(sum, i8x16.popcnt(different));
      }
      v128.store(row + (block << 4), sum);
    }
  }
}
