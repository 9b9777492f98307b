import { CodePlane, planeBytes } from './code-plane.ts';
import type { ReferenceBlock } from './reference-block.ts';
import {
  aligned,
  headerOf,
  LAYOUT_VERSION,
  layoutSegment,
  PAGE_BYTES,
  scratchTaken,
  SEGMENT_MAGIC,
  type SegmentHandle,
  type SegmentLayout,
} from './segment-layout.ts';

/** Shared memory cannot move: its maximum is fixed at creation, 4 GiB less one page. */
const MAX_PAGES = 65_535;
/** Bytes wiped in one step: a fraction of a millisecond. */
const WIPED_PER_STEP = 1 << 20;
/** Bytes of a reference in the directory and in the owners. */
const ENTRY_BYTES = Int32Array.BYTES_PER_ELEMENT + Uint32Array.BYTES_PER_ELEMENT;
const NOT_COPIED = -1;

let nextSegmentId = 1;

/** Where a reference lies. */
export interface Place {
  readonly segment: Segment;
  readonly index: number;
}

/** Sizes in bytes, see SegmentSizing; undefined: a reference has no such part. */
export interface SegmentShape {
  readonly scratchBytes: number;
  readonly vectorBytes?: number | undefined;
  readonly codeBytes?: number | undefined;
  readonly codesArePacked?: boolean | undefined;
}

/** Makes the codes of records that are appended without. */
export interface Coder {
  /** @returns `codeBytes` of the segment */
  encode(record: Uint8Array): Uint8Array;
}

/** A coder whose codes can be kept in files: equal hashes mean equal codes of equal records. */
export interface IdentifiedCoder extends Coder {
  readonly hash: string;
}

/** Target of the references of a segment being compacted. */
interface Copies {
  readonly target: Segment;
  /** For each reference its index in the target, or NOT_COPIED. */
  readonly indices: Int32Array;
}

/**
 * References in one memory shared with all workers. Only the main thread writes. It first appends a record and then
 * enters it in the directory, and searches state the range they read: no reader ever sees a half-written record.
 */
export class Segment {
  readonly handle: SegmentHandle;
  readonly #layout: SegmentLayout;
  readonly #memory: WebAssembly.Memory;
  // Both lie before the growing part: one view of each stays valid.
  readonly #directory: Int32Array;
  readonly #owners: Uint32Array;
  readonly #codes: CodePlane;
  /** Replaced references that searches which began before still read. */
  readonly #retired = new Set<number>();
  /** Bytes of each record. */
  readonly #lengths: number[] = [];
  /** Codes records that are appended without codes from now on. Without a coder, scans of codes skip them. */
  coder: Coder | undefined;
  #copies: Copies | undefined;
  #isWiped = false;
  #end: number;
  #live = 0;
  #liveBytes = 0;

  /**
   * @param capacity - maximum number of references
   * @param maxRecordBytes - bytes of the largest record that will be appended
   * @param shape - bytes of one thread's scratch and of the parts of a reference, see SegmentSizing
   * @param spare - a wiped segment of the same sizes, whose memory is reused; undefined: new memory
   * @throws RangeError when there is no memory
   */
  constructor(capacity: number, maxRecordBytes: number, shape: SegmentShape, spare?: SegmentHandle) {
    const { scratchBytes, vectorBytes, codeBytes, codesArePacked } = shape;
    this.handle =
      spare ??
      makeMemory(layoutSegment(capacity, scratchBytes, vectorBytes, codeBytes, codesArePacked), maxRecordBytes);
    this.#layout = this.handle.layout;
    this.#memory = this.handle.memory;
    const { buffer } = this.#memory;
    this.#directory = new Int32Array(buffer, this.#layout.directoryAddress, capacity);
    this.#owners = new Uint32Array(buffer, this.#layout.ownersAddress, capacity);
    this.#codes = new CodePlane(this.#memory, this.#layout.codesAddress, capacity, this.#layout.codeBytes);
    this.#end = this.#layout.recordsAddress;
  }

  /** References appended so far, including removed ones. */
  get count(): number {
    return this.#lengths.length;
  }

  /** Live references. */
  get liveCount(): number {
    return this.#live;
  }

  /** Bytes of the live records. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Whether another reference can be appended: there is room, and the segment is not being compacted. */
  get isOpen(): boolean {
    return this.count < this.#layout.capacity && !this.isBeingCompacted;
  }

  get isBeingCompacted(): boolean {
    return this.#copies !== undefined;
  }

  /**
   * Bytes of all references, including removed ones: records, vectors, codes, and their entries in the directory and
   * the owners. The memory is larger, but its unwritten part is address space only.
   */
  get usedBytes(): number {
    const { recordsAddress, vectorBytes, codeBytes } = this.#layout;
    const ofCodes = codeBytes === 0 ? 0 : codeBytes + 1;
    return this.#end - recordsAddress + this.count * (vectorBytes + ofCodes + ENTRY_BYTES);
  }

  /** Bytes that follow a record in its packed form: of its candidate vector, and of the codes where they are packed. */
  get candidateBytes(): number {
    const { vectorBytes, codeBytes, codesArePacked } = this.#layout;
    return vectorBytes + (codesArePacked ? codeBytes : 0);
  }

  /** Bytes of the codes of each reference; 0: none. */
  get codeBytes(): number {
    return this.#layout.codeBytes;
  }

  /**
   * Appends a packed reference: its record, its candidate vector and its codes.
   * @param ordinal - of its subject
   * @returns its index
   * @throws RangeError when the segment is full, or being compacted, or there is no memory
   */
  append(packed: Uint8Array, ordinal: number): number {
    if (!this.isOpen) throw new RangeError('the segment takes no more references');
    const recordBytes = packed.byteLength - this.candidateBytes;
    return this.#enter(packed.subarray(0, recordBytes), packed.subarray(recordBytes), ordinal);
  }

  /**
   * Appends many references at once, before the segment is read.
   * @param lengths - bytes of each record, multiples of 16
   * @param owners - subject ordinals
   * @param vectors - concatenated candidate vectors, each followed by its codes
   * @param records - concatenated records
   * @throws RangeError when they do not fit, or there is no memory
   */
  appendBlock({ lengths, owners, vectors, records }: ReferenceBlock): void {
    const first = this.count;
    if (first + lengths.length > this.#layout.capacity) throw new RangeError('the segment takes no more references');
    this.#reserve(this.#end + records.byteLength);
    new Uint8Array(this.#memory.buffer, this.#end).set(records);
    this.#owners.set(owners, first);
    const bytes = this.candidateBytes;
    for (let i = 0; i < lengths.length; i++) {
      const record = new Uint8Array(this.#memory.buffer, this.#end, lengths[i]);
      this.#writeCandidate(first + i, vectors.subarray(i * bytes, (i + 1) * bytes), record);
      Atomics.store(this.#directory, first + i, this.#end / 16);
      this.#end += lengths[i];
      this.#lengths.push(lengths[i]);
    }
    this.#live += lengths.length;
    this.#liveBytes += records.byteLength;
  }

  /**
   * Writes the codes of the references `from` and following. Removed references stay hidden.
   * @param codes - `codeBytes` for each
   */
  writeCodes(from: number, codes: Uint8Array): void {
    const { codeBytes } = this.#layout;
    for (let i = 0; (i + 1) * codeBytes <= codes.length; i++)
      if (this.addressOf(from + i) !== 0)
        this.#codes.write(from + i, codes.subarray(i * codeBytes, (i + 1) * codeBytes));
  }

  /** A copy of the codes of reference i; zeros where it has none. */
  codesOf(index: number): Uint8Array {
    const codes = new Uint8Array(this.codeBytes);
    this.#codes.read(index, codes);
    return codes;
  }

  /** Stops counting reference i; running searches still read it. */
  retire(index: number): void {
    if (!this.isLive(index)) return;
    this.#retired.add(index);
    this.#discount(index);
  }

  /** Hides reference i from every search at once, including running ones. Its bytes stay until `erase`. */
  remove(index: number): void {
    if (this.addressOf(index) === 0) return;
    if (!this.#retired.delete(index)) this.#discount(index);
    Atomics.store(this.#directory, index, 0);
    this.#codes.remove(index);
  }

  /**
   * Overwrites the bytes of a removed reference. Only when no search is running that could have read its directory
   * entry: a kernel in the middle of the record would compare a half-wiped one.
   * @param address - the record's address, from `addressOf` before it was removed
   */
  erase(index: number, address: number): void {
    if (this.#isWiped) return;
    new Uint8Array(this.#memory.buffer, address, this.#lengths[index] ?? 0).fill(0);
    this.#vector(index).fill(0);
    this.#codes.erase(index);
  }

  /** Address of the bytes of reference i; 0: removed. */
  addressOf(index: number): number {
    return this.#isWiped ? 0 : (Atomics.load(this.#directory, index) >>> 0) * 16;
  }

  /** A copy of reference i as it was appended; only while it is not removed. */
  packed(index: number): Uint8Array {
    const length = this.#lengths[index];
    const packed = new Uint8Array(length + this.candidateBytes);
    packed.set(new Uint8Array(this.#memory.buffer, this.addressOf(index), length));
    packed.set(this.#candidate(index), length);
    return packed;
  }

  /** Whether searches that begin now read reference i. */
  isLive(index: number): boolean {
    return this.addressOf(index) !== 0 && !this.#retired.has(index);
  }

  /** The subject ordinals of some references, in their order. */
  ownersOf(indices: Uint32Array): Uint32Array {
    const owners = new Uint32Array(indices.length);
    // No closure: a search asks for thousands.
    for (let k = 0; k < indices.length; k++) owners[k] = this.#owners[indices[k]];
    return owners;
  }

  /** The subject ordinal of reference i. */
  ownerOf(index: number): number {
    return this.#owners[index];
  }

  /** Closes the segment for new references: the present ones will be copied to `target`. */
  beginCopying(target: Segment): void {
    this.#copies = { target, indices: new Int32Array(this.count).fill(NOT_COPIED) };
  }

  /** Copies reference i to the target, unless it was removed or replaced: no search will read it there. */
  copy(index: number): void {
    if (this.#copies === undefined || !this.isLive(index)) return;
    const { target, indices } = this.#copies;
    const record = new Uint8Array(this.#memory.buffer, this.addressOf(index), this.#lengths[index]);
    indices[index] = target.#enter(record, this.#candidate(index), this.#owners[index]);
  }

  /** Forgets the target: restores the state before `beginCopying`. */
  abandonCopying(): void {
    this.#copies = undefined;
  }

  /** The place of the copy of reference i. */
  copyOf(index: number): Place | undefined {
    const copied = this.#copies?.indices[index] ?? NOT_COPIED;
    return this.#copies === undefined || copied === NOT_COPIED
      ? undefined
      : { segment: this.#copies.target, index: copied };
  }

  /**
   * Overwrites all personal data, step by step. Only when no search reads the segment any more. The segment is empty
   * afterwards, and its memory can be reused for another one.
   */
  *wipe(): Generator<void> {
    const { scratchAddress, vectorsAddress, vectorBytes, codesAddress, codeBytes, recordsAddress } = this.#layout;
    this.#isWiped = true;
    this.#directory.fill(0);
    yield* this.#wipe(scratchAddress, scratchTaken(this.handle));
    yield* this.#wipe(vectorsAddress, this.count * vectorBytes);
    yield* this.#wipe(codesAddress, planeBytes(this.count, codeBytes));
    yield* this.#wipe(recordsAddress, this.#end - recordsAddress);
  }

  *#wipe(address: number, length: number): Generator<void> {
    for (let start = 0; start < length; start += WIPED_PER_STEP) {
      new Uint8Array(this.#memory.buffer, address + start, Math.min(WIPED_PER_STEP, length - start)).fill(0);
      yield;
    }
  }

  #vector(index: number): Uint8Array {
    const { vectorsAddress, vectorBytes } = this.#layout;
    return new Uint8Array(this.#memory.buffer, vectorsAddress + index * vectorBytes, vectorBytes);
  }

  /** The vector of reference i, and its codes where they are packed. */
  #candidate(index: number): Uint8Array {
    const { vectorBytes, codesArePacked } = this.#layout;
    const bytes = new Uint8Array(this.candidateBytes);
    bytes.set(this.#vector(index));
    if (codesArePacked) this.#codes.read(index, bytes.subarray(vectorBytes));
    return bytes;
  }

  #writeCandidate(index: number, candidate: Uint8Array, record: Uint8Array): void {
    const { vectorBytes, codesArePacked } = this.#layout;
    this.#vector(index).set(candidate.subarray(0, vectorBytes));
    if (codesArePacked) this.#codes.write(index, candidate.subarray(vectorBytes));
    else if (this.coder === undefined) this.#codes.remove(index);
    else this.#codes.write(index, this.coder.encode(record));
  }

  /** @param candidate - vector and codes */
  #enter(record: Uint8Array, candidate: Uint8Array, ordinal: number): number {
    const index = this.#lengths.length;
    const length = aligned(record.byteLength);
    this.#reserve(this.#end + length);
    new Uint8Array(this.#memory.buffer, this.#end, record.byteLength).set(record);
    this.#writeCandidate(index, candidate, record);
    this.#owners[index] = ordinal;
    Atomics.store(this.#directory, index, this.#end / 16);
    this.#end += length;
    this.#lengths.push(length);
    this.#live++;
    this.#liveBytes += length;
    return index;
  }

  #discount(index: number): void {
    this.#live--;
    this.#liveBytes -= this.#lengths[index];
  }

  #reserve(end: number): void {
    const missing = end - this.#memory.buffer.byteLength;
    if (missing <= 0) return;
    // Grow by an eighth more than needed: growing is cheap, but every growth makes new views in every thread.
    const pages = Math.ceil((missing + end / 8) / PAGE_BYTES);
    try {
      this.#memory.grow(pages);
    } catch {
      this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    }
  }
}

function makeMemory(layout: SegmentLayout, maxRecordBytes: number): SegmentHandle {
  const { capacity, recordsAddress } = layout;
  const most = Math.ceil((recordsAddress + capacity * aligned(maxRecordBytes)) / PAGE_BYTES);
  const initial = Math.ceil(recordsAddress / PAGE_BYTES) + 1;
  const maximum = Math.min(MAX_PAGES, Math.max(most, initial));
  const handle = { id: nextSegmentId++, memory: new WebAssembly.Memory({ initial, maximum, shared: true }), layout };
  headerOf(handle).set([SEGMENT_MAGIC, LAYOUT_VERSION]);
  return handle;
}

/** All places of a reference: the original and its copy, as long as either may still be read. */
export function placesOf({ segment, index }: Place): Place[] {
  const places: Place[] = [];
  for (
    let place: Place | undefined = { segment, index };
    place !== undefined;
    place = place.segment.copyOf(place.index)
  )
    places.push(place);
  return places;
}
