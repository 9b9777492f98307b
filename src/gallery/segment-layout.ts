/**
 * The layout of a segment in linear memory. Every number here is part of the contract between the gallery, which writes
 * references, and the workers, which read them through the kernels.
 *
 *   0                 kernel statics      constant tables; every thread that instantiates the kernels writes the same bytes
 *   STATIC_BYTES      header              HEADER_BYTES; word 0 magic, word 1 layout version, word 2 scratch slots taken,
 *                                         word 3 not 0: closed, threads must release it
 *   + HEADER_BYTES    scratch             SCRATCH_SLOTS × scratchBytes; one slot a thread: probe, kernel scratch, scores
 *   directory         capacity × u32      entry i = address of record i / 16; 0 = removed
 *   owners            capacity × u32      ordinal of the subject of reference i (SubjectEntry.ordinal)
 *   vectors           capacity × vectorBytes   candidate vectors, where the partition has them
 *   codes             see code-plane.ts   codes of the candidate vectors, where the partition has them
 *   records           growing             packed references, each aligned to RECORD_ALIGNMENT
 *
 * Reasons: with a directory, one kernel call can walk references of unequal length and skip removed ones. Scratch lies
 * before the records so that it never moves when the memory grows. Records come last because only they grow. Vectors
 * and codes are contiguous and apart from the records, because a search reads all codes, some vectors and few records.
 * Unused room in the fixed parts is address space only: the system assigns memory to pages when they are written.
 */

import { planeBytes } from './code-plane.ts';

/** Room for the kernels' constant tables. */
export const STATIC_BYTES = 65_536;
export const HEADER_BYTES = 65_536;
export const RECORD_ALIGNMENT = 16;
/** Threads that can attach to one segment over its lifetime. */
export const SCRATCH_SLOTS = 64;
export const PAGE_BYTES = 65_536;
/** 'RWSG', little-endian. */
export const SEGMENT_MAGIC = 0x47535752;
export const LAYOUT_VERSION = 4;
const HEADER_WORDS = 4;
const SLOTS_WORD = 2;
const CLOSED_WORD = 3;

/** Addresses of a segment's parts, in bytes. All are multiples of 16. */
export interface SegmentLayout {
  readonly capacity: number;
  readonly headerAddress: number;
  readonly scratchAddress: number;
  /** Bytes of one thread's scratch slot. */
  readonly scratchBytes: number;
  readonly directoryAddress: number;
  readonly ownersAddress: number;
  readonly vectorsAddress: number;
  /** Bytes of one candidate vector; 0: none. */
  readonly vectorBytes: number;
  readonly codesAddress: number;
  /** Bytes of the codes of one reference; 0: none. */
  readonly codeBytes: number;
  /** Whether codes follow each packed reference; otherwise Segment.coder makes them later. */
  readonly codesArePacked: boolean;
  readonly recordsAddress: number;
}

/** Rounds up to the record alignment. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
}

/**
 * @param capacity - references that the segment can hold, including removed ones; at least 1
 * @param scratchBytes - bytes that one thread needs for a probe, the kernels' scratch and a batch of scores
 * @param vectorBytes - bytes of a candidate vector, a multiple of 16; 0: no vectors
 * @param codeBytes - bytes of the codes of a reference; 0: no codes
 * @param codesArePacked - whether codes follow each packed reference
 */
export function layoutSegment(
  capacity: number,
  scratchBytes: number,
  vectorBytes = 0,
  codeBytes = 0,
  codesArePacked = true,
): SegmentLayout {
  const headerAddress = STATIC_BYTES;
  const scratchAddress = headerAddress + HEADER_BYTES;
  const slotBytes = aligned(scratchBytes);
  const directoryAddress = scratchAddress + SCRATCH_SLOTS * slotBytes;
  const ownersAddress = directoryAddress + aligned(capacity * 4);
  const vectorsAddress = ownersAddress + aligned(capacity * 4);
  const codesAddress = vectorsAddress + capacity * vectorBytes;
  const recordsAddress = codesAddress + planeBytes(capacity, codeBytes);
  return {
    capacity,
    headerAddress,
    scratchAddress,
    scratchBytes: slotBytes,
    directoryAddress,
    ownersAddress,
    vectorsAddress,
    vectorBytes,
    codesAddress,
    codeBytes,
    codesArePacked,
    recordsAddress,
  };
}

/** Everything that a worker thread needs to read a segment. Sent in messages; the memory is shared, not copied. */
export interface SegmentHandle {
  /** Unique within the process. */
  readonly id: number;
  readonly memory: WebAssembly.Memory;
  readonly layout: SegmentLayout;
}

/** The words of the header. They do not move when the memory grows. */
export function headerOf({ memory, layout }: SegmentHandle): Int32Array {
  return new Int32Array(memory.buffer, layout.headerAddress, HEADER_WORDS);
}

/**
 * Takes a scratch slot of a segment for the calling thread. Slots are never returned: a thread attaches once.
 * @returns the slot's address in bytes
 * @throws Error when more than SCRATCH_SLOTS threads have attached
 */
export function claimScratch(handle: SegmentHandle): number {
  const slot = Atomics.add(headerOf(handle), SLOTS_WORD, 1);
  if (slot >= SCRATCH_SLOTS) throw new Error(`segment ${handle.id} has no scratch slot left for another thread`);
  return handle.layout.scratchAddress + slot * handle.layout.scratchBytes;
}

/** Bytes of scratch taken by threads. */
export function scratchTaken(handle: SegmentHandle): number {
  return Math.min(SCRATCH_SLOTS, Atomics.load(headerOf(handle), SLOTS_WORD)) * handle.layout.scratchBytes;
}

/** Makes every thread release the segment: no search reads it any more. */
export function closeSegment(handle: SegmentHandle): void {
  Atomics.store(headerOf(handle), CLOSED_WORD, 1);
}

/** @param header - see headerOf */
export function isClosed(header: Int32Array): boolean {
  return Atomics.load(header, CLOSED_WORD) !== 0;
}
