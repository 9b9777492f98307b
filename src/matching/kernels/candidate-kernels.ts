/** The host side of the candidate stage's kernels. They choose the references to compare, and never decide a score. */
import type { BatchKernels } from './batch-kernels.ts';
import { kernelModule, type KernelBuild } from './kernel-builds.ts';

/** Maximum number of instances of one search with ranks of their own. */
export const MAX_INSTANCES = 64;

/** Mask of a code, see scanCodes. */
export const NIBBLE = 15;

/** The kernels over one memory. All arguments are byte addresses or counts, and nothing is checked. */
export interface CandidateKernels extends BatchKernels {
  /**
   * Makes the codes of a candidate vector, CODE_BYTES.
   * @param vector - i8 [2 × pairs]
   * @param book - the code book, see finger-vector-model.ts
   */
  encodeCodes(vector: number, pairs: number, book: number, out: number): void;
  /**
   * Projects an embedding on directions, see face-codes.ts.
   * @param face - i8 [dimension]
   * @param widened - room for i16 [dimension]
   * @param directions - i8 [rows × dimension]
   * @param offsets - i32 [rows]: subtracted from the inner products
   * @param out - i32 [rows]
   */
  projectFace(
    face: number,
    widened: number,
    directions: number,
    dimension: number,
    rows: number,
    offsets: number,
    out: number,
  ): void;
  /**
   * Estimates the similarities of a probe and references from their codes.
   * @param tables - u8 [rows × 16], see code-tables.ts; 16-byte aligned
   * @param rows - a multiple of 8
   * @param codes - the block of the first reference, see gallery/code-plane.ts
   * @param nibble - NIBBLE
   * @param out - u8 for each reference, up to whole blocks: 0 for a removed one, otherwise 1 + the similarity in steps
   */
  scanCodes(
    tables: number,
    rows: number,
    base: number,
    codes: number,
    count: number,
    nibble: typeof NIBBLE,
    out: number,
  ): void;
  /**
   * Inner products of a vector with the vectors of listed references, divided by 8; REMOVED_SIMILARITY if removed.
   * @param probe - the vector, widened to i16
   * @param size - bytes of a vector, a multiple of 16
   * @param directory - u32 for each reference of the segment; 0: removed
   * @param indices - u32 for each listed reference
   * @param out - i16 for each
   */
  similaritiesAt(
    probe: number,
    size: number,
    vectors: number,
    directory: number,
    indices: number,
    count: number,
    out: number,
  ): void;
  /** Notes the best value of each subject: u8 for each ordinal. Values: u8, owners: u32 for each reference. */
  noteBest(values: number, owners: number, count: number, best: number): void;
  /** Like noteBest, from similarities: i16 for each reference. */
  noteBestSimilarities(similarities: number, owners: number, count: number, best: number): void;
  /** Adds the best values to u16 sums, adds 1 to the u8 count of each subject with a value, and clears the values. */
  addInstance(best: number, ordinals: number, sums: number, counts: number): void;
  /**
   * Turns sums into ranks, in place.
   * @param table - u16 factor and offset for each number of instances up to MAX_INSTANCES
   */
  rankSubjects(sums: number, counts: number, ordinals: number, instances: number, table: number): void;
  /** Adds the members of a gallery to the scope: u8 for each ordinal. */
  uniteScopes(scope: number, members: number, ordinals: number): void;
  /** Sets ranks outside the scope to 0, and clears the scope. */
  maskOutside(ranks: number, scope: number, ordinals: number): void;
  /** Sets the ranks of subjects expired at an instant to 0. @param times - f64 for each ordinal */
  maskExpired(ranks: number, times: number, ordinals: number, instant: number): void;
  /** @returns the greatest rank that at least `wanted` subjects reach; 1 where there are fewer */
  rankWith(ranks: number, ordinals: number, wanted: number): number;
  /** Lists the ordinals with a rank of at least `least`, and marks them. @returns their number */
  collectSubjects(ranks: number, ordinals: number, least: number, marks: number, out: number): number;
  /** Overwrites bytes with zeros: faster than `fill`, which writes shared memory byte by byte. */
  wipe(from: number, bytes: number): void;
  /** Counts the bytes that are at least `least`, 1 or more. They are padded with zeros to a multiple of 16. */
  countValues(values: number, count: number, least: number): number;
  /**
   * Lists the indices of bytes that are at least `least`, padded likewise.
   * @param out - u32 for each
   * @returns their number
   */
  collectValues(values: number, count: number, least: number, out: number): number;
  /** Lists the indices of references of marked subjects. @param out - room for `count` @returns their number */
  collectReferences(owners: number, count: number, first: number, marks: number, out: number): number;
}

/**
 * Instantiates the kernels over a memory. They write no tables.
 * @param build - a particular build, for tests and measurements
 * @throws Error when the kernels are not built
 */
export function instantiateCandidateKernels(memory: WebAssembly.Memory, build?: KernelBuild): CandidateKernels {
  const { exports } = new WebAssembly.Instance(kernelModule('candidates', build), { env: { memory } });
  return exports as unknown as CandidateKernels;
}
