/** Watches every call of one server, and what the messages of all of them take in memory. */
import type { ServerInterceptor } from '@grpc/grpc-js';
import type { Connection } from '../network/connections.ts';
import type { Peer } from './grpc-listener.ts';
import { MessageGates } from './message-gates.ts';
import { MessageMemory } from './message-memory.ts';
import { WatchedCall, type EndedCall, type Patience } from './watched-call.ts';

export interface WatchLimits extends Patience {
  /** Bytes of one message, and of those of all callers together that the service is not done with. */
  readonly maxMessageBytes: number;
  readonly maxBytesHeld: number;
}

export class CallWatch {
  readonly #limits: WatchLimits;
  readonly #connectionOf: (peer: Peer) => Connection | undefined;
  readonly #ended: (call: EndedCall) => void;
  readonly #memory: MessageMemory;
  readonly #gates: MessageGates;
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
    this.#memory = new MessageMemory(limits.maxBytesHeld);
    this.#gates = new MessageGates(limits.maxMessageBytes, connectionOf, (connection, gate, change) =>
      this.#memory.changed(connection, gate.held, change),
    );
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    const connection = this.#connectionOf(call.getConnectionInfo());
    return new WatchedCall(call, {
      path: method.path,
      streams: { request: method.requestStream, response: method.responseStream },
      limits: this.#limits,
      share: connection && this.#memory.shareOf(connection),
      gate: this.#gates.arriving,
      sizeOf: (message) => this.#sizes.get(message),
      ended: this.#ended,
    });
  };

  /** Bytes of messages that the service is not done with. */
  get bytesHeld(): number {
    return this.#memory.held;
  }

  /** Begins to look at what comes. @returns ends it */
  open(): () => void {
    return this.#gates.open();
  }

  /** Remembers how many bytes a message had. */
  measured<T>(deserialize: (bytes: Buffer) => T): (bytes: Buffer) => T {
    return (bytes) => {
      const message = deserialize(bytes);
      if (typeof message === 'object' && message !== null) this.#sizes.set(message, bytes.length);
      return message;
    };
  }
}
