/**
 * Follows what a call has been answered until its caller has taken it. The gRPC library waits for that for ever, with the
 * answer in memory: so the stream of a caller that takes nothing, or for which too much is kept, is reset.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Failure } from '../failure.ts';
import type { Holder, Share } from './message-memory.ts';

/** Time for a reset to leave: it does not where a caller reads nothing at all. In milliseconds. */
const RESET_MS = 1000;

type Done = (error?: Error | null) => void;
type Write = (piece: Buffer, done: Done) => boolean;

export interface AnswerGateParts {
  readonly share: Share;
  /** Time to take an answer, in milliseconds. */
  readonly takeMs: number;
  /** Told how many bytes more, or fewer, are kept. */
  holding(gate: AnswerGate, change: number): void;
  /** Told why, where the stream is reset. */
  ended(failure: Failure): void;
}

export class AnswerGate implements Holder {
  readonly #stream: ServerHttp2Stream;
  readonly #parts: AnswerGateParts;
  #timer: NodeJS.Timeout | undefined;
  #onChange: (() => void) | undefined;
  /** Bytes that are in memory: those on their way to the line stay there, whatever becomes of the call. */
  #kept = 0;
  #hasEnded = false;

  /** Takes its place behind the library, which writes to the stream. */
  constructor(stream: ServerHttp2Stream, parts: AnswerGateParts) {
    this.#stream = stream;
    this.#parts = parts;
    const write = stream.write.bind(stream) as Write;
    const followed: Write = (piece, done) => {
      this.#change(piece.length);
      return write(piece, (error) => {
        this.#change(-piece.length);
        done(error);
      });
    };
    stream.write = followed as ServerHttp2Stream['write'];
  }

  /** Bytes of answers that the caller has not taken. */
  get held(): number {
    return this.#hasEnded ? 0 : this.#kept;
  }

  /** @param onChange - told whenever that changes */
  attach(onChange: () => void): void {
    this.#onChange = onChange;
  }

  /** Resets the stream: a status would stand behind what is not taken. */
  end(failure: Failure): void {
    if (this.#hasEnded) return;
    const { share } = this.#parts;
    const { held } = this;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    share.waiting.delete(this);
    this.#parts.holding(this, -held);
    this.#onChange?.();
    this.#parts.ended(failure);
    this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#stream.destroy();
    setTimeout(() => {
      if (this.#kept > 0) share.connection.socket.destroy();
    }, RESET_MS).unref();
  }

  #change(bytes: number): void {
    this.#kept += bytes;
    if (this.#hasEnded) return;
    const { share, takeMs } = this.#parts;
    if (this.#kept > 0) share.waiting.add(this);
    else share.waiting.delete(this);
    // Each answer has its time: that of the next begins when one was taken.
    if (this.#kept === 0) clearTimeout(this.#timer);
    else if (bytes < 0 || this.#kept === bytes) this.#restart(takeMs);
    this.#onChange?.();
    // May end this one.
    this.#parts.holding(this, bytes);
  }

  #restart(takeMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const sentence = `The caller did not take an answer within ${takeMs / 1000} s.`;
      this.end(new Failure('deadline-exceeded', 'ANSWER_NOT_TAKEN', sentence));
    }, takeMs).unref();
  }
}
