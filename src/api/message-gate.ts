/**
 * Checks the frames of a call's messages before grpc-js reads them. grpc-js would decompress compressed messages,
 * accept any flag, ignore a truncated message, and answer an oversized one with a status of its own, regardless of the
 * state of the call. Bytes after a fault are read and discarded.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { Failure } from '../failure.ts';

/** One byte of flags and four of length. */
export const FRAME_HEAD_BYTES = 5;
/**
 * Messages passed to the library at once. A network chunk can contain thousands of five-byte messages, and the library
 * allocates objects for all messages of a chunk at once.
 */
const MESSAGES_AT_ONCE = 16;
/** Memory overhead per chunk of a message, in bytes: a message may arrive byte by byte. */
const PIECE_BYTES = 256;
const COMPRESSED = 1;

/** Called when the number of bytes held by a gate changes, with the difference. */
type Holding = (gate: MessageGate, change: number) => void;

export interface MessageLimits {
  readonly maxBytes: number;
  /** Whether the headers of the call name a compression. */
  readonly isCompressed: boolean;
  /** Bytes of the call's headers that stay in memory while it is open. */
  readonly headBytes: number;
}

export class MessageGate {
  readonly #stream: ServerHttp2Stream;
  readonly #push: ServerHttp2Stream['push'];
  readonly #limits: MessageLimits;
  readonly #holding: Holding;
  #onFault: ((failure: Failure) => void) | undefined;
  #fault: Failure | undefined;
  /** State of the frame being received: bytes of its head, its length as read so far, bytes still missing. */
  #headBytes = 0;
  #length = 0;
  #missing = 0;
  /** Bytes held: headers, complete messages still in use, and the incomplete message. */
  #head: number;
  #complete = 0;
  #partial = 0;
  #told = 0;
  /** Nothing more is passed to the library. */
  #isShut = false;
  #callerHasEnded = false;
  #hasEnded = false;

  /**
   * Wraps the stream's `push`, from which the library reads.
   * @param fault - a fault of the call that is already known
   */
  constructor(stream: ServerHttp2Stream, limits: MessageLimits, holding: Holding, fault: Failure | undefined) {
    this.#stream = stream;
    this.#push = stream.push.bind(stream);
    this.#limits = limits;
    this.#holding = holding;
    this.#fault = fault;
    this.#head = limits.headBytes;
    stream.push = (piece: Buffer | null) => (piece === null ? this.#end() : this.#take(piece));
    stream.once('close', () => this.shut());
    this.#tell();
  }

  /** Bytes of headers and messages in memory. */
  get held(): number {
    return this.#told;
  }

  /** Whether the caller has reset the call, which looks like a regular end of its messages. */
  get isBrokenOff(): boolean {
    return this.#stream.closed;
  }

  /** Whether an answer has begun. */
  get isAnswered(): boolean {
    return this.#stream.headersSent;
  }

  /** @param onFault - called once with a fault of the messages; at once if there already is one */
  attach(onFault: (failure: Failure) => void): void {
    this.#onFault = onFault;
    if (this.#fault !== undefined) onFault(this.#fault);
  }

  /** Passes nothing more to the library, and signals it the end of the messages. */
  endInput(): void {
    this.#isShut = true;
    this.#partial = 0;
    this.#tell();
    this.#endOnce();
  }

  /** The call has ended: releases everything it holds. */
  shut(): void {
    this.#isShut = true;
    this.#head = 0;
    this.#partial = 0;
    this.#complete = 0;
    this.#tell();
    if (this.#callerHasEnded) this.#endOnce();
  }

  /** Releases a message that is no longer in use; without a size, all complete messages. */
  release(messageBytes?: number): void {
    const bytes = messageBytes === undefined ? this.#complete : messageBytes + FRAME_HEAD_BYTES;
    this.#complete = Math.max(0, this.#complete - bytes);
    this.#tell();
  }

  #take(piece: Buffer): boolean {
    if (this.#isShut || this.#fault !== undefined) return true;
    const cuts = this.#follow(piece);
    if (this.#isPartial) this.#partial += PIECE_BYTES;
    // May shut this gate.
    this.#tell();
    let goesOn = true;
    let from = 0;
    for (const to of cuts) {
      if (this.#isShut) return true;
      if (to > from) goesOn = this.#push(piece.subarray(from, to));
      from = to;
    }
    if (this.#fault !== undefined) this.#onFault?.(this.#fault);
    return goesOn;
  }

  #end(): boolean {
    this.#callerHasEnded = true;
    if (!this.#isShut && !this.isBrokenOff && this.#fault === undefined && this.#isPartial) {
      this.#fault = unreadable('it ends in the middle of a message');
      this.#onFault?.(this.#fault);
    }
    // The call decides how to report a fault, so the end is held back until it exists.
    if (this.#fault === undefined || this.#isShut) this.#endOnce();
    return false;
  }

  #endOnce(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#push(null);
  }

  get #isPartial(): boolean {
    return this.#headBytes > 0;
  }

  /** Scans a chunk up to its end or to a fault. @returns the offsets at which to split it */
  #follow(piece: Buffer): number[] {
    const cuts: number[] = [];
    let messages = 0;
    let at = 0;
    while (at < piece.length) {
      if (this.#headBytes < FRAME_HEAD_BYTES) {
        const byte = piece[at] ?? 0;
        if (this.#headBytes === 0) this.#fault = faultOfFlag(byte, this.#limits.isCompressed);
        else this.#length = this.#length * 256 + byte;
        if (this.#headBytes === FRAME_HEAD_BYTES - 1 && this.#length > this.#limits.maxBytes)
          this.#fault = tooLarge(this.#length, this.#limits.maxBytes);
        if (this.#fault !== undefined) {
          this.#partial = 0;
          cuts.push(at);
          return cuts;
        }
        at++;
        this.#partial++;
        if (++this.#headBytes < FRAME_HEAD_BYTES) continue;
        this.#missing = this.#length;
      } else {
        const bytes = Math.min(this.#missing, piece.length - at);
        at += bytes;
        this.#missing -= bytes;
        this.#partial += bytes;
      }
      if (this.#missing > 0) continue;
      this.#complete += this.#length + FRAME_HEAD_BYTES;
      this.#headBytes = this.#length = this.#partial = 0;
      if (++messages % MESSAGES_AT_ONCE === 0) cuts.push(at);
    }
    cuts.push(at);
    return cuts;
  }

  #tell(): void {
    const held = this.#head + this.#complete + this.#partial;
    const change = held - this.#told;
    this.#told = held;
    if (change !== 0) this.#holding(this, change);
  }
}

function faultOfFlag(flag: number, isCompressed: boolean): Failure | undefined {
  if (flag === 0) return undefined;
  if (flag !== COMPRESSED) return unreadable(`a message has the flag ${flag}, and only 0 is allowed`);
  if (!isCompressed) return unreadable('a message is marked as compressed, but the headers name no compression');
  const sentence = 'Compressed messages are not accepted: switch compression off (grpc-encoding identity).';
  return new Failure('unimplemented', 'COMPRESSION_UNSUPPORTED', sentence);
}

function tooLarge(bytes: number, most: number): Failure {
  const sentence = `A message has ${bytes} bytes; the limit is ${most}.`;
  return new Failure('resource-exhausted', 'MESSAGE_TOO_LARGE', sentence, { metadata: { most_bytes: String(most) } });
}

/** A fault of the call as a whole. */
export function unreadable(what: string): Failure {
  return new Failure('invalid-argument', 'REQUEST_UNREADABLE', `The call does not match the contract: ${what}.`);
}
