/**
 * Watches what callers owe: a message that was begun, the next one of a stream. Whoever keeps the service waiting for longer
 * than allowed, or holds more memory with unfinished messages than there is, has the call ended with a status.
 */
import {
  ServerInterceptingCall,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import type { Connection } from '../network/connections.ts';
import type { Peer } from './grpc-listener.ts';
import { toServiceError } from './status.ts';

export interface WatchLimits {
  /** Time for the one message of a call to become complete, in milliseconds. */
  readonly messageMs: number;
  /** Time that a stream may be without a message, in milliseconds. */
  readonly streamIdleMs: number;
  /** Bytes of unfinished messages, of all callers together. */
  readonly mostBytesHeld: number;
}

/** A call that was ended before, or beside, its handler. */
export interface EndedCall {
  /** Path of the method, e.g. `/ridgewatch.v1.Identification/Identify`. */
  readonly path: string;
  readonly failure: Failure;
  readonly seconds: number;
}

/** A connection's calls, and how many of its bytes belong to messages that are complete. */
interface Traffic {
  readonly connection: Connection;
  readonly calls: Set<WatchedCall>;
  settledBytes: number;
}

/** Beside its own bytes a message has frames around it. */
const FRAMING = 1.01;

const ends = new WeakMap<Metadata, AbortSignal>();

/** Aborted, with a Failure as reason, when the call that came with these headers is ended because of its caller. */
export function endOf(metadata: Metadata | undefined): AbortSignal | undefined {
  return metadata && ends.get(metadata);
}

export class CallWatch {
  readonly #limits: WatchLimits;
  readonly #connectionOf: (peer: Peer) => Connection | undefined;
  readonly #ended: (call: EndedCall) => void;
  readonly #traffic = new WeakMap<Connection, Traffic>();
  readonly #sizes = new WeakMap<object, number>();

  /** @param ended - told of each call whose handler does not report its end */
  constructor(
    limits: WatchLimits,
    connectionOf: (peer: Peer) => Connection | undefined,
    ended: (call: EndedCall) => void,
  ) {
    this.#limits = limits;
    this.#connectionOf = connectionOf;
    this.#ended = ended;
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    const traffic = this.#trafficOf(call.getConnectionInfo());
    return new WatchedCall(call, {
      path: method.path,
      streams: { request: method.requestStream, response: method.responseStream },
      limits: this.#limits,
      traffic,
      sizeOf: (message) => this.#sizes.get(message) ?? 0,
      ended: this.#ended,
    });
  };

  /** Remembers how many bytes a message had. */
  measured<T>(deserialize: (bytes: Buffer) => T): (bytes: Buffer) => T {
    return (bytes) => {
      const message = deserialize(bytes);
      if (typeof message === 'object' && message !== null) this.#sizes.set(message, bytes.length);
      return message;
    };
  }

  /** Ends the calls that hold most, until what is held fits. To be called again and again. */
  sweep(connections: Iterable<Connection>): void {
    const held = [...connections]
      .map((connection) => this.#traffic.get(connection))
      .filter((traffic) => traffic !== undefined)
      .map((traffic) => ({ traffic, bytes: unfinishedBytes(traffic) }))
      .filter(({ bytes }) => bytes > 0)
      .sort((a, b) => b.bytes - a.bytes);
    let sum = held.reduce((total, { bytes }) => total + bytes, 0);
    for (const { traffic, bytes } of held) {
      if (sum <= this.#limits.mostBytesHeld) return;
      sum -= bytes;
      const sentence = 'The messages that are being received take all the memory that they may: try again later.';
      for (const call of [...traffic.calls])
        call.end(new Failure('resource-exhausted', 'TOO_MANY_UNFINISHED', sentence, { retryAfterMs: 1000 }));
    }
  }

  #trafficOf(peer: Peer): Traffic | undefined {
    const connection = this.#connectionOf(peer);
    if (connection === undefined) return undefined;
    const known = this.#traffic.get(connection);
    if (known !== undefined) return known;
    const traffic = { connection, calls: new Set<WatchedCall>(), settledBytes: connection.socket.bytesRead };
    this.#traffic.set(connection, traffic);
    return traffic;
  }
}

/** Of messages that are not complete. */
function unfinishedBytes({ connection, calls, settledBytes }: Traffic): number {
  return calls.size === 0 ? 0 : connection.socket.bytesRead - settledBytes;
}

interface WatchedCallParts {
  readonly path: string;
  readonly streams: { readonly request: boolean; readonly response: boolean };
  readonly limits: WatchLimits;
  readonly traffic: Traffic | undefined;
  sizeOf(message: object): number;
  ended(call: EndedCall): void;
}

/** `waiting`: for the caller; `working`: the caller waits for us; `over`. */
type Phase = 'waiting' | 'working' | 'over';

class WatchedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #parts: WatchedCallParts;
  readonly #end = new AbortController();
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  #phase: Phase = 'over';
  /** Messages of a stream that have no answer yet. */
  #unanswered = 0;
  #halfClosed = false;

  constructor(call: ServerInterceptingCallInterface, parts: WatchedCallParts) {
    super(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, onward) => {
            ends.set(metadata, this.#end.signal);
            onward(metadata);
          },
          onReceiveMessage: (message: object, onward) => {
            this.#received(message);
            onward(message);
          },
          onReceiveHalfClose: (onward) => {
            this.#halfClosed = true;
            this.#enter('working');
            onward();
          },
          onCancel: () => this.#cancelled(),
        }),
      sendMessage: (message, onward) => {
        this.#answered();
        onward(message);
      },
      sendStatus: (status, onward) => {
        this.#enter('over');
        onward(status);
      },
    });
    this.#call = call;
    this.#parts = parts;
    const { limits, streams } = parts;
    this.#timer = setTimeout(() => this.#late(), streams.request ? limits.streamIdleMs : limits.messageMs);
    this.#timer.unref();
    this.#enter('waiting');
  }

  override startRead(): void {
    if (this.#parts.streams.request && this.#phase === 'working' && !this.#halfClosed && !this.#owesAnswers)
      this.#enter('waiting');
    super.startRead();
  }

  /** Ends the call, if it waits for its caller. */
  end(failure: Failure): void {
    if (this.#phase !== 'waiting' || this.#isWatched) return;
    const { streams, path } = this.#parts;
    this.#enter('over');
    this.#end.abort(failure);
    // The handler of a stream of requests with one answer reports the call as a whole.
    if (!streams.request || streams.response) {
      this.#parts.ended({ path, failure, seconds: (performance.now() - this.#started) / 1000 });
    }
    this.#call.sendStatus(toServiceError(failure));
  }

  /** Whether a caller who sends nothing may be waiting for us. */
  get #owesAnswers(): boolean {
    return this.#parts.streams.response && this.#unanswered > 0;
  }

  #received(message: object): void {
    const { traffic, streams } = this.#parts;
    if (traffic !== undefined) {
      const size = this.#parts.sizeOf(message);
      const { socket } = traffic.connection;
      traffic.settledBytes =
        traffic.calls.size <= 1
          ? socket.bytesRead
          : Math.min(socket.bytesRead, traffic.settledBytes + Math.ceil(size * FRAMING));
    }
    this.#unanswered++;
    // The end of a call with one message is still to come.
    if (streams.request) this.#enter('working');
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
    const failure = streams.request
      ? new Failure(
          'deadline-exceeded',
          'STREAM_IDLE',
          `The stream brought no complete message for ${limits.streamIdleMs / 1000} s.`,
        )
      : new Failure(
          'deadline-exceeded',
          'MESSAGE_INCOMPLETE',
          `The message was not complete within ${limits.messageMs / 1000} s.`,
        );
    this.end(failure);
  }

  #cancelled(): void {
    const { streams, path } = this.#parts;
    const isUnseen = this.#phase === 'waiting' && !streams.request && !this.#halfClosed;
    this.#enter('over');
    const deadline = this.#call.getDeadline();
    // grpc-js ends it by itself, and no handler has seen it yet.
    if (!isUnseen || Date.now() < Number(deadline)) return;
    const sentence = 'The deadline passed before the message was complete.';
    const failure = new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', sentence);
    this.#parts.ended({ path, failure, seconds: (performance.now() - this.#started) / 1000 });
  }

  #enter(phase: Phase): void {
    const { traffic } = this.#parts;
    if (phase === 'waiting') this.#timer.refresh();
    if (phase === 'over') clearTimeout(this.#timer);
    const before = this.#phase;
    this.#phase = phase;
    if (traffic === undefined) return;
    const { connection, calls } = traffic;
    connection.lastActive = performance.now();
    if (before === phase) return;
    if (before === 'waiting') connection.waiting--;
    if (before === 'working') connection.working--;
    if (phase === 'waiting') connection.waiting++;
    if (phase === 'working') connection.working++;
    if (phase === 'waiting') calls.add(this);
    else calls.delete(this);
    if (calls.size === 0) traffic.settledBytes = connection.socket.bytesRead;
  }
}
