/** Watches every call of one server, and the memory of all their messages and answers. */
import type { ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptor } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import type { Connection, Peer } from '../network/connections.ts';
import { AnswerGate } from './answer-gate.ts';
import { MessageGates } from './message-gates.ts';
import { MessageMemory } from './message-memory.ts';
import { WatchedCall, type EndedCall, type Patience } from './watched-call.ts';

export interface WatchLimits extends Patience {
  /** Size limit of one message, in bytes. */
  readonly maxMessageBytes: number;
  /** Limit on the messages in use of all callers together, and on their unread answers, in bytes. */
  readonly maxBytesHeld: number;
}

export class CallWatch {
  readonly #limits: WatchLimits;
  readonly #connectionOf: (peer: Peer) => Connection | undefined;
  readonly #ended: (call: EndedCall) => void;
  readonly #untaken: (failure: Failure) => void;
  readonly #memory: MessageMemory;
  readonly #answers: MessageMemory;
  readonly #gates: MessageGates;
  readonly #sizes = new WeakMap<object, number>();

  /**
   * @param ended - called for each call that was ended outside its handler
   * @param untaken - called with the reason for each call whose answer was not read
   */
  constructor(
    limits: WatchLimits,
    connectionOf: (peer: Peer) => Connection | undefined,
    ended: (call: EndedCall) => void,
    untaken: (failure: Failure) => void,
  ) {
    this.#limits = limits;
    this.#connectionOf = connectionOf;
    this.#ended = ended;
    this.#untaken = untaken;
    this.#memory = new MessageMemory(limits.maxBytesHeld, tooManyUnfinished);
    this.#answers = new MessageMemory(limits.maxBytesHeld, tooManyUntaken);
    this.#gates = new MessageGates(
      limits.maxMessageBytes,
      connectionOf,
      (connection, gate, change) => this.#memory.changed(connection, gate.held, change),
      (stream, connection) => this.#followAnswers(stream, connection),
    );
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    const connection = this.#connectionOf(call.getConnectionInfo());
    const gates = this.#gates.arriving;
    return new WatchedCall(call, {
      path: method.path,
      streams: { request: method.requestStream, response: method.responseStream },
      limits: this.#limits,
      share: connection && this.#memory.shareOf(connection),
      gate: gates?.messages,
      answers: gates?.answers,
      sizeOf: (message) => this.#sizes.get(message),
      ended: this.#ended,
    });
  };

  /** Bytes of messages in use. */
  get bytesHeld(): number {
    return this.#memory.held;
  }

  /** Bytes of answers that callers have not read. */
  get bytesUntaken(): number {
    return this.#answers.held;
  }

  /** Starts watching. @returns stops it */
  open(): () => void {
    return this.#gates.open();
  }

  /** Wraps a deserialiser to record the size of each message. */
  measured<T>(deserialize: (bytes: Buffer) => T): (bytes: Buffer) => T {
    return (bytes) => {
      const message = deserialize(bytes);
      if (typeof message === 'object' && message !== null) this.#sizes.set(message, bytes.length);
      return message;
    };
  }

  #followAnswers(stream: ServerHttp2Stream, connection: Connection): AnswerGate {
    return new AnswerGate(stream, {
      share: this.#answers.shareOf(connection),
      takeMs: this.#limits.messageMs,
      holding: (gate, change) => this.#answers.changed(connection, gate.held, change),
      ended: this.#untaken,
    });
  }
}

function tooManyUnfinished(): Failure {
  const sentence = 'Unfinished messages use all the memory available for them: try again later.';
  return new Failure('resource-exhausted', 'TOO_MANY_UNFINISHED', sentence, { retryAfterMs: 1000 });
}

function tooManyUntaken(): Failure {
  const sentence = 'Unread answers use all the memory available for them.';
  return new Failure('resource-exhausted', 'TOO_MANY_UNTAKEN', sentence);
}
