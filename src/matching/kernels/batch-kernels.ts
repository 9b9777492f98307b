/** Kernels that read references once for several probes. The results of each probe are those of a scan for it alone. */

/** Maximum number of probes of one pass. */
export const MAX_BATCH_PROBES = 8;

/** Numbers of probes for which there is a kernel, besides one. */
export type BatchSize = 2 | 4 | 8;

/**
 * Estimates the similarities of some probes and references from codes, see CandidateKernels.scanCodes.
 * @param tables - u8 [rows × probes × 16]: for each row, the table of each probe; 16-byte aligned
 * @param bases - u8 for each probe
 * @param out - for each probe, `stride` bytes apart: u8 for each reference, up to whole blocks
 */
type ScanCodes = (
  tables: number,
  rows: number,
  bases: number,
  codes: number,
  count: number,
  nibble: number,
  out: number,
  stride: number,
) => void;

/**
 * Similarities of some probes and faces, see Kernels.resembleFaces.
 * @param prepared - see prepareFace
 * @param rests - i32 for each probe: the result of prepareFace
 * @param similarities - for each probe, `stride` bytes apart: i16 for each reference
 * @returns references that were not removed
 */
type ResembleFaces = (
  prepared: number,
  dimension: number,
  rests: number,
  directory: number,
  count: number,
  scale: number,
  similarities: number,
  stride: number,
) => number;

/** All arguments are byte addresses or counts, and nothing is checked. */
export interface BatchKernels {
  readonly scanCodes2: ScanCodes;
  readonly scanCodes4: ScanCodes;
  readonly scanCodes8: ScanCodes;
  readonly resembleFaces2: ResembleFaces;
  readonly resembleFaces4: ResembleFaces;
  readonly resembleFaces8: ResembleFaces;
  /**
   * Prepares one probe of several: 32 bytes for sixteen components, between those of the other probes.
   * @param probe - i8 [dimension], a multiple of 16
   * @param out - 32 × the probe's place after the start of all; 16-byte aligned
   * @returns a constant to add to each product
   */
  prepareFace(probe: number, dimension: number, probes: BatchSize, out: number): number;
}

/**
 * Divides a number of probes among the kernels: as few passes as possible, without a place for a probe that is not there.
 * @param probes - 1 to MAX_BATCH_PROBES
 * @returns numbers of probes, descending, which sum up to `probes`
 */
export function batchSizes(probes: number): (BatchSize | 1)[] {
  const sizes: (BatchSize | 1)[] = [];
  let left = probes;
  for (const size of [8, 4, 2, 1] as const) {
    for (; left >= size; left -= size) sizes.push(size);
  }
  return sizes;
}
