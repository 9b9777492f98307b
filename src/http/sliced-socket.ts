import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes parsed at once: at most a hundred of the shortest requests, instead of two thousand. */
const SLICE_BYTES = 4096;
/** Limit of what an ending connection reads and discards: closing it with unread bytes loses what was written. */
const MAX_FORGOTTEN_BYTES = 1_048_576;
const MAX_FORGETTING_MS = 1000;

/**
 * A connection that is read in small pieces. Node.js reads 64 KiB at a time and handles every request in it before any
 * other event. Here, bytes after a request that ends the connection are not parsed.
 */
export class SlicedSocket extends Duplex {
  readonly #socket: Socket;
  readonly #look = () => this.#take();
  #isWanted = false;
  #isShut = false;
  #isEnding = false;

  constructor(socket: Socket) {
    // The next slice is read only after the previous one was handled.
    super({ readableHighWaterMark: 1, writableHighWaterMark: socket.writableHighWaterMark });
    this.#socket = socket;
    socket.on('readable', this.#look);
    socket.on('end', () => {
      if (!this.#isShut) this.push(null);
    });
    socket.on('timeout', () => this.emit('timeout'));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  get isShut(): boolean {
    return this.#isShut;
  }

  /** Stops parsing received bytes. Written bytes are still sent. */
  shut(): void {
    if (this.#isShut) return;
    this.#isShut = true;
    const socket = this.#socket;
    let left = MAX_FORGOTTEN_BYTES;
    socket.removeListener('readable', this.#look);
    socket.on('data', (part: Buffer) => {
      left -= part.length;
      if (left < 0) socket.pause();
    });
    socket.resume();
  }

  /** As on a socket: Node.js uses it to end connections without a request. */
  setTimeout(milliseconds: number): this {
    this.#socket.setTimeout(milliseconds);
    return this;
  }

  /** As on a socket: ends the connection when everything is written. */
  destroySoon(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (this.writable) this.end();
    if (this.writableFinished) this.#endSoon();
    else this.once('finish', () => this.#endSoon());
  }

  #endSoon(): void {
    if (!this.#isShut || this.#socket.readableEnded) {
      this.destroy();
      return;
    }
    const timer = setTimeout(() => this.destroy(), MAX_FORGETTING_MS);
    this.#socket.once('end', () => this.destroy());
    this.once('close', () => clearTimeout(timer));
  }

  override _read(): void {
    this.#isWanted = true;
    this.#take();
  }

  override _write(part: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(part, done);
  }

  override _writev(parts: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.write(parts.length === 1 ? parts[0].chunk : Buffer.concat(parts.map(({ chunk }) => chunk)), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(): void {
    if (!this.#isWanted || this.#isShut) return;
    const length = Math.min(SLICE_BYTES, this.#socket.readableLength);
    // Reading an empty buffer requests more data.
    const part = this.#socket.read(length === 0 ? undefined : length) as Buffer | null;
    if (part === null) return;
    this.#isWanted = false;
    this.push(part);
  }
}
