import { TemplateError } from './template-error.ts';

/** Reads big-endian fields and tracks the offset: every error can name its place. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Offset of the next field. */
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** @param what - the field, for the error */
  u8(what: string): number {
    return this.#view.getUint8(this.#take(1, what));
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#take(2, what));
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what));
  }

  /** A copy of the next bytes. */
  bytes(length: number, what: string): Uint8Array {
    const start = this.#take(length, what);
    return this.#bytes.slice(start, start + length);
  }

  /** The next bytes, without advancing; fewer at the end of the data. */
  peek(length: number): Uint8Array {
    return this.#bytes.subarray(this.offset, this.offset + length);
  }

  /** Whether all bytes from an offset on are zero. */
  isZeroFrom(offset: number): boolean {
    return offset <= this.#bytes.length && this.#bytes.subarray(offset).every((byte) => byte === 0);
  }

  /** Rejects the template unless the condition holds. */
  require(condition: boolean, reason: string, offset: number, message: string): asserts condition {
    if (!condition) throw new TemplateError(reason, offset, message);
  }

  #take(length: number, what: string): number {
    const start = this.offset;
    if (start + length > this.#bytes.length) {
      throw new TemplateError('TRUNCATED', this.#bytes.length, `The record ends within the ${what}`);
    }
    this.offset += length;
    return start;
  }
}
