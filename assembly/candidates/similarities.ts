/** Similarities, by whole candidate vectors, of the references chosen by their codes. */
import { innerProduct } from '../product';

/** Similarity of a removed reference: below every real one. */
const REMOVED: i32 = -32768;

/**
 * Inner products of a vector with the vectors of listed references, divided by 8.
 * @param probe - the vector, widened to i16
 * @param size - bytes of a vector, a multiple of 16
 * @param directory - u32 for each reference of the segment; 0: removed
 * @param indices - u32 [count]: the references, ascending, so that memory is read in one direction
 * @param out - i16 [count]: −32767 to 32767; −32768 for a removed reference
 */
export function similaritiesAt(
  probe: usize,
  size: i32,
  vectors: usize,
  directory: usize,
  indices: usize,
  count: i32,
  out: usize,
): void {
  const bytes = size as usize;
  for (let k: usize = 0; k < (count as usize); k++) {
    const i = load<u32>(indices + (k << 2)) as usize;
    let similarity = REMOVED;
    if (load<u32>(directory + (i << 2)) != 0) {
      similarity = max<i32>(-32767, min<i32>(32767, innerProduct(vectors + i * bytes, probe, bytes) >> 3));
    }
    store<i16>(out + (k << 1), similarity as i16);
  }
}
