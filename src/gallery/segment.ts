import {
  aligned,
  LAYOUT_VERSION,
  layoutSegment,
  PAGE_BYTES,
  SEGMENT_MAGIC,
  type SegmentHandle,
  type SegmentLayout,
} from './segment-layout.ts';

/** Shared memory cannot move, so its greatest size is fixed when it is made: 4 GiB less one page. */
const MOST_PAGES = 65_535;

let nextSegmentId = 1;

/**
 * A live segment: references in one shared memory that every worker sees. Only the main thread writes: it copies a
 * record behind the last one and enters it in the directory; searches name the range they read, so no reader ever
 * meets a record that is half written.
 */
export class Segment {
  readonly handle: SegmentHandle;
  readonly #layout: SegmentLayout;
  readonly #memory: WebAssembly.Memory;
  /** References that were replaced, and are still read by the searches that began before. */
  readonly #retired = new Set<number>();
  /** Bytes of each record. */
  readonly #lengths: number[] = [];
  #end: number;
  #live = 0;

  /**
   * @param capacity - references it can hold
   * @param largestRecord - bytes of the largest record that will be appended
   * @param scratchBytes - bytes of one thread's scratch
   * @param vectorBytes - bytes at the end of each packed reference that are its candidate vector
   */
  constructor(capacity: number, largestRecord: number, scratchBytes: number, vectorBytes = 0) {
    this.#layout = layoutSegment(capacity, scratchBytes, vectorBytes);
    const most = Math.ceil((this.#layout.recordsAddress + capacity * aligned(largestRecord)) / PAGE_BYTES);
    const initial = Math.ceil(this.#layout.recordsAddress / PAGE_BYTES) + 1;
    this.#memory = new WebAssembly.Memory({
      initial,
      maximum: Math.min(MOST_PAGES, Math.max(most, initial)),
      shared: true,
    });
    const header = new Int32Array(this.#memory.buffer, this.#layout.headerAddress, 3);
    header[0] = SEGMENT_MAGIC;
    header[1] = LAYOUT_VERSION;
    this.#end = this.#layout.recordsAddress;
    this.handle = { id: nextSegmentId++, memory: this.#memory, layout: this.#layout };
  }

  /** References appended so far, removed ones included. */
  get count(): number {
    return this.#lengths.length;
  }

  /** References that can be found. */
  get liveCount(): number {
    return this.#live;
  }

  get isFull(): boolean {
    return this.#lengths.length >= this.#layout.capacity;
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /**
   * Appends a packed reference; its last `vectorBytes` bytes are the candidate vector.
   * @param ordinal - of the subject who owns it
   * @returns its index
   * @throws RangeError when the segment is full
   */
  append(packed: Uint8Array, ordinal: number): number {
    if (this.isFull) throw new RangeError('the segment is full');
    const index = this.#lengths.length;
    const { ownersAddress, vectorsAddress, vectorBytes } = this.#layout;
    const record = packed.subarray(0, packed.byteLength - vectorBytes);
    const length = aligned(record.byteLength);
    this.#reserve(this.#end + length);
    new Uint8Array(this.#memory.buffer, this.#end, record.byteLength).set(record);
    new Uint8Array(this.#memory.buffer, vectorsAddress + index * vectorBytes, vectorBytes).set(
      packed.subarray(record.byteLength),
    );
    new Uint32Array(this.#memory.buffer, ownersAddress, this.#layout.capacity)[index] = ordinal;
    Atomics.store(this.#directory(), index, this.#end / 16);
    this.#end += length;
    this.#lengths.push(length);
    this.#live++;
    return index;
  }

  /** Reference i is no longer counted; searches under way still read it. */
  retire(index: number): void {
    if (this.addressOf(index) === 0 || this.#retired.has(index)) return;
    this.#retired.add(index);
    this.#live--;
  }

  /** Hides reference i from every search at once, those under way included. Its bytes stay until `erase`. */
  remove(index: number): void {
    if (this.addressOf(index) === 0) return;
    if (!this.#retired.delete(index)) this.#live--;
    Atomics.store(this.#directory(), index, 0);
  }

  /**
   * Overwrites the bytes of a removed reference. Only when no search that could have read its directory entry is under
   * way: a kernel in the middle of the record would compare half of it.
   * @param address - the record's address, from `addressOf` before it was removed
   */
  erase(index: number, address: number): void {
    const { vectorsAddress, vectorBytes } = this.#layout;
    new Uint8Array(this.#memory.buffer, address, this.#lengths[index] ?? 0).fill(0);
    new Uint8Array(this.#memory.buffer, vectorsAddress + index * vectorBytes, vectorBytes).fill(0);
  }

  /** Address of the bytes of reference i, 0 when it was removed. */
  addressOf(index: number): number {
    return (Atomics.load(this.#directory(), index) >>> 0) * 16;
  }

  /** The ordinals of the subjects who own some references, in their order. */
  ownersOf(indices: Uint32Array): Uint32Array {
    const owners = new Uint32Array(this.#memory.buffer, this.#layout.ownersAddress, this.#layout.capacity);
    return indices.map((index) => owners[index]);
  }

  #directory(): Int32Array {
    return new Int32Array(this.#memory.buffer, this.#layout.directoryAddress, this.#layout.capacity);
  }

  #reserve(end: number): void {
    const missing = end - this.#memory.buffer.byteLength;
    if (missing <= 0) return;
    // Grow by an eighth more than needed: growing is cheap, but every grow makes new views in every thread.
    const pages = Math.ceil((missing + end / 8) / PAGE_BYTES);
    try {
      this.#memory.grow(pages);
    } catch {
      this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    }
  }
}
