/**
 * Watches what a caller owes: a message that was begun, the next one of a stream, to take an answer. A caller that keeps the service
 * waiting for longer than allowed, holds more memory with messages than there is, or sends what is none, has the call ended.
 */
import { Metadata, ServerInterceptingCall, status as Code, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import type { AnswerGate } from './answer-gate.ts';
import { unreadable, type MessageGate } from './message-gate.ts';
import type { Holder, Share } from './message-memory.ts';
import { toServiceError } from './status.ts';
import { Turns } from './turns.ts';

/** Times in milliseconds. */
export interface Patience {
  /** For the one message of a call to become complete. */
  readonly messageMs: number;
  /** That a stream may be without a message. */
  readonly streamIdleMs: number;
}

/** A call that was ended before, or beside, its handler. */
export interface EndedCall {
  /** Path of the method, e.g. `/ridgewatch.v1.Identification/Identify`. */
  readonly path: string;
  readonly failure: Failure;
  readonly seconds: number;
}

/** Messages are taken in turn: of those that are refused at once, a caller can send a hundred thousand a second. */
const receiving = new Turns();

const calls = new WeakMap<Metadata, WatchedCall>();
const undone = new WeakMap<object, () => void>();

/** Aborted, with a Failure as reason, when the call that came with these headers is ended because of its caller. */
export function endOf(metadata: Metadata | undefined): AbortSignal | undefined {
  return metadata && calls.get(metadata)?.ending;
}

/**
 * For handlers of streams that tell in their answer why the stream came to no good end; otherwise it becomes the status.
 * @returns tells, once there are no more messages, why there are none; undefined: the caller has sent all
 */
export function faultOf(metadata: Metadata | undefined): () => Failure | undefined {
  const call = metadata && calls.get(metadata);
  return call === undefined ? () => undefined : call.tellFault();
}

/** The service is done with a message of a stream: it takes no memory any more. */
export function doneWith(message: object): void {
  undone.get(message)?.();
  undone.delete(message);
}

export interface WatchedCallParts {
  readonly path: string;
  readonly streams: { readonly request: boolean; readonly response: boolean };
  readonly limits: Patience;
  readonly share: Share | undefined;
  readonly gate: MessageGate | undefined;
  readonly answers: AnswerGate | undefined;
  /** Undefined for messages of the library's own services. */
  sizeOf(message: object): number | undefined;
  ended(call: EndedCall): void;
}

type PartialStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

/** `waiting`: for the caller; `working`: the caller waits for us; `over`. */
type Phase = 'waiting' | 'working' | 'over';

/** Of messages, what the service takes. */
const ACCEPTED_ENCODING = 'identity';

export class WatchedCall extends ServerInterceptingCall implements Holder {
  readonly #call: ServerInterceptingCallInterface;
  readonly #parts: WatchedCallParts;
  readonly #end = new AbortController();
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  #phase: Phase = 'over';
  /** As what its connection counts it. */
  #counted: Phase = 'over';
  #messages = 0;
  /** Messages of a stream that have no answer yet. */
  #unanswered = 0;
  #halfClosed = false;
  #hasSentHeaders = false;
  /** Why a stream of requests brings no more, and whether its handler tells. */
  #fault: Failure | undefined;
  #isFaultTold = false;

  constructor(call: ServerInterceptingCallInterface, parts: WatchedCallParts) {
    super(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, onward) => {
            calls.set(metadata, this);
            onward(metadata);
            parts.gate?.attach((failure) => this.#faulty(failure));
          },
          onReceiveMessage: (message: object, onward) => {
            if (this.#received(message)) void receiving.take(() => onward(message));
          },
          onReceiveHalfClose: (onward) => {
            if (this.#phase === 'over' || parts.gate?.isBrokenOff === true) return;
            if (!parts.streams.request && this.#messages === 0) {
              this.end(unreadable('it brings no message'));
              return;
            }
            this.#halfClosed = true;
            this.#enter('working');
            onward();
          },
          onCancel: () => this.#cancelled(),
        }),
      sendMetadata: (metadata, onward) => {
        this.#hasSentHeaders = true;
        metadata.set('grpc-accept-encoding', ACCEPTED_ENCODING);
        onward(metadata);
      },
      sendMessage: (message, onward) => {
        this.#answered();
        onward(message);
      },
      sendStatus: (status, onward) => onward(this.#finalStatus(status)),
    });
    this.#call = call;
    this.#parts = parts;
    const { limits, streams } = parts;
    this.#timer = setTimeout(() => this.#late(), streams.request ? limits.streamIdleMs : limits.messageMs);
    this.#timer.unref();
    this.#enter('waiting');
    parts.answers?.attach(() => this.#count());
  }

  get ending(): AbortSignal {
    return this.#end.signal;
  }

  get held(): number {
    return this.#parts.gate?.held ?? 0;
  }

  tellFault(): () => Failure | undefined {
    this.#isFaultTold = true;
    return () => this.#fault;
  }

  override startRead(): void {
    if (this.#parts.streams.request && this.#phase === 'working' && !this.#halfClosed && !this.#owesAnswers)
      this.#enter('waiting');
    super.startRead();
  }

  /** Ends the call, if it waits for its caller. */
  end(failure: Failure): void {
    const { streams, answers } = this.#parts;
    if (this.#phase === 'working' && this.#counted === 'waiting') {
      answers?.end(failure);
      this.#enter('over');
    }
    if (this.#phase !== 'waiting' || this.#isWatched || this.#fault !== undefined) return;
    // Of a stream of requests with one answer, that tells what became of the messages so far.
    if (streams.request && !streams.response) {
      this.#cutOff(failure);
      return;
    }
    this.#end.abort(failure);
    this.#reportEnd(failure);
    this.sendStatus(toServiceError(failure));
  }

  /** What came is no message. Those before it are dealt with first. */
  #faulty(failure: Failure): void {
    if (this.#phase === 'over' || this.#fault !== undefined) return;
    if (this.#parts.streams.request) this.#cutOff(failure);
    else this.end(failure);
  }

  #cutOff(failure: Failure): void {
    this.#fault = failure;
    this.#parts.gate?.endInput();
  }

  #reportEnd(failure: Failure): void {
    const { path } = this.#parts;
    this.#parts.ended({ path, failure, seconds: (performance.now() - this.#started) / 1000 });
  }

  #finalStatus(status: PartialStatus): PartialStatus {
    const untold = this.#isFaultTold || status.code !== Code.OK ? undefined : this.#fault;
    if (untold !== undefined) this.#reportEnd(untold);
    this.#enter('over');
    const final = untold === undefined ? status : toServiceError(untold);
    if (this.#hasSentHeaders) return final;
    const metadata = final.metadata?.clone() ?? new Metadata();
    metadata.set('grpc-accept-encoding', ACCEPTED_ENCODING);
    return { ...final, metadata };
  }

  /** Whether a caller who sends nothing may be waiting for us. */
  get #owesAnswers(): boolean {
    return this.#parts.streams.response && this.#unanswered > 0;
  }

  /** @returns whether it is to be handed on */
  #received(message: object): boolean {
    if (this.#phase === 'over') return false;
    const { gate, streams } = this.#parts;
    if (!streams.request && ++this.#messages > 1) {
      this.end(unreadable('it brings more than one message'));
      return false;
    }
    const size = this.#parts.sizeOf(message);
    if (streams.request) {
      // What the library's own services are given is small.
      if (size === undefined) gate?.release();
      else undone.set(message, () => gate?.release(size));
    }
    this.#unanswered++;
    // The end of a call with one message is still to come.
    if (streams.request) this.#enter('working');
    return true;
  }

  #answered(): void {
    this.#unanswered--;
    // A call that goes on answering one message, as Health.Watch, must not keep its connection from being ended for others.
    if (this.#isWatched) this.#enter('waiting');
    if (this.#parts.streams.request && this.#phase === 'working' && !this.#halfClosed && !this.#owesAnswers)
      this.#enter('waiting');
  }

  /** Whether the caller owes nothing any more, and the service goes on answering. */
  get #isWatched(): boolean {
    const { streams } = this.#parts;
    return streams.response && !streams.request && this.#halfClosed;
  }

  #late(): void {
    if (this.#phase !== 'waiting' || this.#isWatched) return;
    const { streams, limits } = this.#parts;
    this.end(
      streams.request
        ? new Failure(
            'deadline-exceeded',
            'STREAM_IDLE',
            `The stream brought no complete message for ${limits.streamIdleMs / 1000} s.`,
          )
        : new Failure(
            'deadline-exceeded',
            'MESSAGE_INCOMPLETE',
            `The message was not complete within ${limits.messageMs / 1000} s.`,
          ),
    );
  }

  #cancelled(): void {
    const isUnseen = this.#phase === 'waiting' && !this.#parts.streams.request && !this.#halfClosed;
    this.#enter('over');
    const deadline = Number(this.#call.getDeadline());
    const isAnswered = this.#parts.gate?.isAnswered === true;
    // The library answers when the time is up, a moment before or after it.
    const isLate = Number.isFinite(deadline) && (isAnswered || Date.now() >= deadline);
    // Handlers report what they have seen, and what else the library answers by itself is looked at elsewhere.
    if (!isUnseen || (isAnswered && !isLate)) return;
    this.#reportEnd(
      isLate
        ? new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', 'The deadline passed before the message was complete.')
        : new Failure('cancelled', 'CANCELLED', 'The caller broke the call off before the message was complete.'),
    );
  }

  #enter(phase: Phase): void {
    const { gate } = this.#parts;
    if (phase === 'waiting') this.#timer.refresh();
    if (phase === 'over') {
      clearTimeout(this.#timer);
      gate?.shut();
    }
    this.#phase = phase;
    this.#count();
  }

  /** A caller that does not take an answer keeps the service waiting, whatever else the call is to do: the connection may be ended. */
  #count(): void {
    const { share, answers } = this.#parts;
    if (share === undefined) return;
    const before = this.#counted;
    const isUntaken = this.#phase === 'working' && (answers?.held ?? 0) > 0;
    this.#counted = isUntaken ? 'waiting' : this.#phase;
    const { connection, waiting } = share;
    // A stream whose answers are on their way goes on with its messages.
    const mayEnd = this.#phase === 'waiting' || (isUntaken && !this.#parts.streams.request);
    if (mayEnd) waiting.add(this);
    else waiting.delete(this);
    const change = (of: Phase) => Number(this.#counted === of) - Number(before === of);
    connection.change(change('working'), change('waiting'));
  }
}
