/**
 * Tracks the bytes of a call's answers until the caller has read them. grpc-js keeps an unread answer in memory for
 * ever, without a time limit. The gate therefore resets the stream if the caller reads nothing, or if unread answers
 * use too much memory.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Failure } from '../failure.ts';
import type { Holder, Share } from './message-memory.ts';

/** Time for a reset to be sent, in milliseconds. If the caller reads nothing at all, a reset is never sent. */
const RESET_MS = 1000;

type Done = (error?: Error | null) => void;
type Write = (piece: Buffer, done: Done) => boolean;

export interface AnswerGateParts {
  readonly share: Share;
  /** Time for the caller to read an answer, in milliseconds. */
  readonly takeMs: number;
  /** Called when the number of kept bytes changes, with the difference. */
  holding(gate: AnswerGate, change: number): void;
  /** Called when the stream is reset, with the reason. */
  ended(failure: Failure): void;
}

export class AnswerGate implements Holder {
  readonly #stream: ServerHttp2Stream;
  readonly #parts: AnswerGateParts;
  #timer: NodeJS.Timeout | undefined;
  #onChange: (() => void) | undefined;
  /** Bytes in memory. Bytes queued for the socket stay in memory even after the call has ended. */
  #kept = 0;
  #hasEnded = false;

  /** Wraps the stream's `write`, which the library calls. */
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

  /** Bytes of answers that the caller has not read. */
  get held(): number {
    return this.#hasEnded ? 0 : this.#kept;
  }

  /** @param onChange - called whenever `held` changes */
  attach(onChange: () => void): void {
    this.#onChange = onChange;
  }

  /** Resets the stream: a status would queue behind the unread answers. */
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
    // The time limit applies to each answer: it restarts when one has been read.
    if (this.#kept === 0) clearTimeout(this.#timer);
    else if (bytes < 0 || this.#kept === bytes) this.#restart(takeMs);
    this.#onChange?.();
    // May end this gate.
    this.#parts.holding(this, bytes);
  }

  #restart(takeMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const sentence = `The caller did not read an answer within ${takeMs / 1000} s.`;
      this.end(new Failure('deadline-exceeded', 'ANSWER_NOT_TAKEN', sentence));
    }, takeMs).unref();
  }
}
