/**
 * Supervises what a caller owes a call: to complete a message, to send the next message of a stream, to read an answer.
 * The call is ended if the caller exceeds a time limit, uses too much memory for messages, or sends bytes that are not
 * a message.
 */
import { Metadata, ServerInterceptingCall, status as Code, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { CallPhase, type CallPhaseParts, type Phase } from './call-phase.ts';
import { unreadable, type MessageGate } from './message-gate.ts';
import type { Holder } from './message-memory.ts';
import { toServiceError } from './status.ts';
import { Turns } from '../turns.ts';

/** Time limits, in milliseconds. */
export interface Patience {
  /** For the single message of a call to arrive completely. */
  readonly messageMs: number;
  /** Between the messages of a stream. */
  readonly streamIdleMs: number;
}

/** A call that was ended outside its handler. */
export interface EndedCall {
  /** Path of the method, e.g. `/ridgewatch.v1.Identification/Identify`. */
  readonly path: string;
  readonly failure: Failure;
  readonly seconds: number;
}

/** Messages are handled in turns: a caller can send a hundred thousand messages a second that are refused at once. */
const receiving = new Turns();

const calls = new WeakMap<Metadata, WatchedCall>();
const undone = new WeakMap<object, () => void>();

/**
 * Signal of the call with this metadata. Aborted, with a Failure as reason, when the call is ended because of its
 * caller.
 */
export function endOf(metadata: Metadata | undefined): AbortSignal | undefined {
  return metadata && calls.get(metadata)?.ending;
}

/**
 * For handlers of streams that report the fault of a stream in their answer. Otherwise the fault becomes the status.
 * @returns after the last message, the fault that ended the messages; undefined if the caller sent all
 */
export function faultOf(metadata: Metadata | undefined): () => Failure | undefined {
  const call = metadata && calls.get(metadata);
  return call === undefined ? () => undefined : call.tellFault();
}

/** For handlers that answer one message of a stream twice: called before the first answer, which is then not the last. */
export function oweAnother(metadata: Metadata | undefined): void {
  if (metadata !== undefined) calls.get(metadata)?.oweAnother();
}

/** Releases a message of a stream from the memory accounts. */
export function doneWith(message: object): void {
  undone.get(message)?.();
  undone.delete(message);
}

export interface WatchedCallParts extends CallPhaseParts {
  readonly path: string;
  readonly streams: { readonly request: boolean; readonly response: boolean };
  readonly limits: Patience;
  readonly gate: MessageGate | undefined;
  /** Undefined for messages of health and reflection. */
  sizeOf(message: object): number | undefined;
  ended(call: EndedCall): void;
}

type PartialStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

/** The only encoding that messages may have. */
const ACCEPTED_ENCODING = 'identity';

export class WatchedCall extends ServerInterceptingCall implements Holder {
  readonly #call: ServerInterceptingCallInterface;
  readonly #parts: WatchedCallParts;
  readonly #end = new AbortController();
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #phase: CallPhase;
  #messages = 0;
  /** Messages of a stream without an answer. */
  #unanswered = 0;
  #halfClosed = false;
  #hasSentHeaders = false;
  /** The fault that ended the messages of a stream. */
  #fault: Failure | undefined;
  /** Whether the handler reports the fault. */
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
            if (this.#phase.current === 'over' || parts.gate?.isBrokenOff === true) return;
            if (!parts.streams.request && this.#messages === 0) {
              this.end(unreadable('it contains no message'));
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
    this.#phase = new CallPhase(this, parts);
    const { limits, streams } = parts;
    this.#timer = setTimeout(() => this.#late(), streams.request ? limits.streamIdleMs : limits.messageMs);
    this.#timer.unref();
    this.#enter('waiting');
    parts.answers?.attach(() => this.#phase.count());
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

  oweAnother(): void {
    this.#unanswered++;
  }

  override startRead(): void {
    if (this.#parts.streams.request && this.#phase.current === 'working' && !this.#halfClosed && !this.#owesAnswers)
      this.#enter('waiting');
    super.startRead();
  }

  /** Ends the call if it is waiting for its caller. */
  end(failure: Failure): void {
    const { streams, answers } = this.#parts;
    if (this.#phase.isUntaken) {
      answers?.end(failure);
      this.#enter('over');
    }
    if (this.#phase.current !== 'waiting' || this.#isWatched || this.#fault !== undefined) return;
    // A client stream gets an answer that reports the outcome of the messages so far.
    if (streams.request && !streams.response) {
      this.#cutOff(failure);
      return;
    }
    this.#end.abort(failure);
    this.#reportEnd(failure);
    this.sendStatus(toServiceError(failure));
  }

  /** Handles a fault in the bytes. Earlier messages are processed first. */
  #faulty(failure: Failure): void {
    if (this.#phase.current === 'over' || this.#fault !== undefined) return;
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

  /** Whether an idle caller may be waiting for answers. */
  get #owesAnswers(): boolean {
    return this.#parts.streams.response && this.#unanswered > 0;
  }

  /** @returns whether to pass the message on */
  #received(message: object): boolean {
    if (this.#phase.current === 'over') return false;
    const { gate, streams } = this.#parts;
    if (!streams.request && ++this.#messages > 1) {
      this.end(unreadable('it contains more than one message'));
      return false;
    }
    const size = this.#parts.sizeOf(message);
    if (streams.request) {
      // Messages of health and reflection are small and need no accounting.
      if (size === undefined) gate?.release();
      else undone.set(message, () => gate?.release(size));
    }
    this.#unanswered++;
    // A call with a single message works only after its half-close.
    if (streams.request) this.#enter('working');
    return true;
  }

  #answered(): void {
    this.#unanswered--;
    // A call that keeps answering one message, e.g. Health.Watch, must not protect its connection from eviction.
    if (this.#isWatched) this.#enter('waiting');
    if (this.#parts.streams.request && this.#phase.current === 'working' && !this.#halfClosed && !this.#owesAnswers)
      this.#enter('waiting');
  }

  /** Whether the caller owes nothing more and the service keeps answering. */
  get #isWatched(): boolean {
    const { streams } = this.#parts;
    return streams.response && !streams.request && this.#halfClosed;
  }

  #late(): void {
    if (this.#phase.current !== 'waiting' || this.#isWatched) return;
    const { streams, limits } = this.#parts;
    this.end(
      streams.request
        ? new Failure(
            'deadline-exceeded',
            'STREAM_IDLE',
            `No complete message arrived on the stream for ${limits.streamIdleMs / 1000} s.`,
          )
        : new Failure(
            'deadline-exceeded',
            'MESSAGE_INCOMPLETE',
            `The message was not complete within ${limits.messageMs / 1000} s.`,
          ),
    );
  }

  #cancelled(): void {
    const isUnseen = this.#phase.current === 'waiting' && !this.#parts.streams.request && !this.#halfClosed;
    this.#enter('over');
    const deadline = Number(this.#call.getDeadline());
    const isAnswered = this.#parts.gate?.isAnswered === true;
    // The library answers an expired call slightly before or after its deadline.
    const isLate = Number.isFinite(deadline) && (isAnswered || Date.now() >= deadline);
    // Handlers report the calls they have seen. Other answers of the library are observed in library-refusals.ts.
    if (!isUnseen || (isAnswered && !isLate)) return;
    this.#reportEnd(
      isLate
        ? new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', 'The deadline passed before the message was complete.')
        : new Failure('cancelled', 'CANCELLED', 'The caller cancelled the call before the message was complete.'),
    );
  }

  #enter(phase: Phase): void {
    const { gate } = this.#parts;
    if (phase === 'waiting') this.#timer.refresh();
    if (phase === 'over') {
      clearTimeout(this.#timer);
      gate?.shut();
    }
    this.#phase.enter(phase);
  }
}
