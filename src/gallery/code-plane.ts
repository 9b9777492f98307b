/**
 * The codes of a segment's references, transposed for scans, in blocks of 32 references. A block has a row of 16 bytes
 * for each nibble of the codes (low nibbles: references 0 to 15 of the block; high nibbles: 16 to 31), then a byte for
 * each reference: REMOVED, or 0. See assembly/candidates/codes.ts.
 *
 * Only the main thread writes. Writing one reference does not change the nibbles of others: readers need no lock.
 */

/** References per block. */
export const BLOCK = 32;
const ROW = 16;
const REMOVED = 255;

/** Bytes of a plane for this number of references. */
export function planeBytes(references: number, codeBytes: number): number {
  return codeBytes === 0 ? 0 : Math.ceil(references / BLOCK) * blockBytes(codeBytes);
}

/** Offset of the block that begins with reference `first`. @param first - a multiple of BLOCK */
export function blockOffset(first: number, codeBytes: number): number {
  return (first / BLOCK) * blockBytes(codeBytes);
}

function blockBytes(codeBytes: number): number {
  return 2 * codeBytes * ROW + BLOCK;
}

/** Writes and reads the codes of single references. */
export class CodePlane {
  readonly #bytes: Uint8Array;
  readonly #codeBytes: number;

  /**
   * @param address - of the plane in the memory, 16-byte aligned
   * @param capacity - references
   */
  constructor(memory: WebAssembly.Memory, address: number, capacity: number, codeBytes: number) {
    this.#codeBytes = codeBytes;
    this.#bytes = new Uint8Array(memory.buffer, address, planeBytes(capacity, codeBytes));
  }

  /** Writes the codes of a reference, and marks it as present. @param codes - two nibbles a byte, the low one first */
  write(index: number, codes: Uint8Array): void {
    this.#writeCodes(index, codes);
    this.#mark(index, 0);
  }

  /** The codes of a reference, as written. */
  read(index: number, codes: Uint8Array): void {
    const bytes = this.#bytes;
    const { block, column, shift } = this.#place(index);
    for (let k = 0; k < this.#codeBytes; k++) {
      const at = block + 2 * k * ROW + column;
      codes[k] = ((bytes[at] >> shift) & 15) | (((bytes[at + ROW] >> shift) & 15) << 4);
    }
  }

  /** Hides a reference from every scan at once. */
  remove(index: number): void {
    this.#mark(index, REMOVED);
  }

  /** Overwrites the codes of a removed reference. It stays hidden throughout: scans that began since may be reading. */
  erase(index: number): void {
    this.#writeCodes(index, new Uint8Array(this.#codeBytes));
  }

  #writeCodes(index: number, codes: Uint8Array): void {
    const bytes = this.#bytes;
    const { block, column, shift } = this.#place(index);
    const kept = 240 >> shift;
    for (let k = 0; k < this.#codeBytes; k++) {
      const at = block + 2 * k * ROW + column;
      bytes[at] = (bytes[at] & kept) | ((codes[k] & 15) << shift);
      bytes[at + ROW] = (bytes[at + ROW] & kept) | ((codes[k] >> 4) << shift);
    }
  }

  #mark(index: number, mark: number): void {
    if (this.#codeBytes === 0) return;
    const block = Math.floor(index / BLOCK) * blockBytes(this.#codeBytes);
    this.#bytes[block + 2 * this.#codeBytes * ROW + (index % BLOCK)] = mark;
  }

  #place(index: number): { readonly block: number; readonly column: number; readonly shift: number } {
    const within = index % BLOCK;
    return {
      block: Math.floor(index / BLOCK) * blockBytes(this.#codeBytes),
      column: within % ROW,
      shift: within < ROW ? 0 : 4,
    };
  }
}
