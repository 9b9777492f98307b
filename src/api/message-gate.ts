/**
 * Looks at the frames of a call's messages before the gRPC library does. The library would inflate what is compressed,
 * take any flag, answer a message that is too large with a status of its own, whatever the call has done before, and
 * pass over a message that is cut off. What lies behind a fault is read and forgotten.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { Failure } from '../failure.ts';

/** One byte of flags, four of length. */
export const FRAME_HEAD_BYTES = 5;
/**
 * Of messages of five bytes each, a piece from the network holds thousands, and the library makes objects of all that
 * are in one: so it is given few at a time.
 */
const MESSAGES_AT_ONCE = 16;
/** What a piece of a message takes beside its bytes: a message may come byte by byte. */
const PIECE_BYTES = 256;
const COMPRESSED = 1;

/** Told how many bytes more, or fewer, a gate holds. */
type Holding = (gate: MessageGate, change: number) => void;

export interface MessageLimits {
  readonly maxBytes: number;
  /** Whether the call names a compression. */
  readonly isCompressed: boolean;
  /** What is kept of the call's headers while it is open. */
  readonly headBytes: number;
}

export class MessageGate {
  readonly #stream: ServerHttp2Stream;
  readonly #push: ServerHttp2Stream['push'];
  readonly #limits: MessageLimits;
  readonly #holding: Holding;
  #onFault: ((failure: Failure) => void) | undefined;
  #fault: Failure | undefined;
  /** Of the frame that is being received: bytes of its head, its length so far, bytes that are still to come. */
  #headBytes = 0;
  #length = 0;
  #missing = 0;
  /** What is held: of the headers, of messages that are complete and not done with, and of the one that is not. */
  #head: number;
  #complete = 0;
  #partial = 0;
  #told = 0;
  /** Nothing more goes to the library. */
  #isShut = false;
  #callerHasEnded = false;
  #hasEnded = false;

  /**
   * Takes its place before the library, which reads from the stream.
   * @param fault - what is wrong with the call already
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

  /** Bytes of the headers and messages that are in memory. */
  get held(): number {
    return this.#told;
  }

  /** Whether the caller has broken the call off: that looks like an end, and is none. */
  get isBrokenOff(): boolean {
    return this.#stream.closed;
  }

  /** Whether the caller was told anything. */
  get isAnswered(): boolean {
    return this.#stream.headersSent;
  }

  /** @param onFault - told once, at once where there is one already, of what is wrong with the messages */
  attach(onFault: (failure: Failure) => void): void {
    this.#onFault = onFault;
    if (this.#fault !== undefined) onFault(this.#fault);
  }

  /** The library gets nothing more, and is told that the caller has ended, after what it was given. */
  endInput(): void {
    this.#isShut = true;
    this.#partial = 0;
    this.#tell();
    this.#endOnce();
  }

  /** The call is over: nothing of it is held any more. */
  shut(): void {
    this.#isShut = true;
    this.#head = 0;
    this.#partial = 0;
    this.#complete = 0;
    this.#tell();
    if (this.#callerHasEnded) this.#endOnce();
  }

  /** A message, or with no size all that are complete, is done with. */
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
      this.#fault = unreadable('it ends within a message');
      this.#onFault?.(this.#fault);
    }
    // Until the call is there, which decides what becomes of a fault, the end is kept back.
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

  /** Goes through a piece, up to its end or a fault. @returns where it is to be cut */
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
  if (flag !== COMPRESSED) return unreadable(`the flag of a message is ${flag}, and may be 0`);
  if (!isCompressed) return unreadable('a message says that it is compressed, and the headers name no compression');
  const sentence = 'Messages are taken uncompressed only (grpc-encoding identity): switch compression off.';
  return new Failure('unimplemented', 'COMPRESSION_UNSUPPORTED', sentence);
}

function tooLarge(bytes: number, most: number): Failure {
  const sentence = `A message has ${bytes} bytes, and may have ${most}.`;
  return new Failure('resource-exhausted', 'MESSAGE_TOO_LARGE', sentence, { metadata: { most_bytes: String(most) } });
}

/** The call itself is not what it should be. */
export function unreadable(what: string): Failure {
  return new Failure('invalid-argument', 'REQUEST_UNREADABLE', `The call is not what the contract says: ${what}.`);
}
