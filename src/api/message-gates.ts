/** Installs the gates on every call of one server, and provides them to the interceptor of the call. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { Failure } from '../failure.ts';
import type { Connection, Peer } from '../network/connections.ts';
import type { AnswerGate } from './answer-gate.ts';
import { keptBytes } from './call-head.ts';
import { MessageGate } from './message-gate.ts';

const CREATED = 'http2.server.stream.created';

export interface CallGates {
  readonly messages: MessageGate;
  readonly answers: AnswerGate;
}

export class MessageGates {
  readonly #maxBytes: number;
  readonly #connectionOf: (peer: Peer) => Connection | undefined;
  readonly #holding: (connection: Connection, gate: MessageGate, change: number) => void;
  readonly #answersOf: (stream: ServerHttp2Stream, connection: Connection) => AnswerGate;
  readonly #gates = new WeakMap<ServerHttp2Stream, CallGates>();
  readonly #sessions = new WeakSet<ServerHttp2Session>();
  #arriving: CallGates | undefined;

  /**
   * @param maxBytes - size limit of a message
   * @param connectionOf - finds a connection of this server; undefined for other servers
   * @param holding - called when the number of bytes held by a message gate changes, with the difference
   * @param answersOf - creates the gate for a call's answers
   */
  constructor(
    maxBytes: number,
    connectionOf: (peer: Peer) => Connection | undefined,
    holding: (connection: Connection, gate: MessageGate, change: number) => void,
    answersOf: (stream: ServerHttp2Stream, connection: Connection) => AnswerGate,
  ) {
    this.#maxBytes = maxBytes;
    this.#connectionOf = connectionOf;
    this.#holding = holding;
    this.#answersOf = answersOf;
  }

  /** @returns stops it */
  open(): () => void {
    const created = (message: unknown) => {
      const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
      this.#guard(stream, headers);
    };
    subscribe(CREATED, created);
    return () => unsubscribe(CREATED, created);
  }

  /**
   * The gates of the call being created: grpc-js creates the interceptor inside the event that announces the stream.
   */
  get arriving(): CallGates | undefined {
    return this.#arriving;
  }

  #guard(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const session = stream.session as ServerHttp2Session | undefined;
    const connection = session?.socket === undefined ? undefined : this.#connectionOf(session.socket);
    if (session === undefined || connection === undefined) return;
    const encoding = headers['grpc-encoding'] ?? 'identity';
    const limits = {
      maxBytes: this.#maxBytes,
      isCompressed: encoding !== 'identity',
      headBytes: keptBytes(headers),
    };
    const holding = (gate: MessageGate, change: number) => this.#holding(connection, gate, change);
    const messages = new MessageGate(stream, limits, holding, faultOfMethod(headers[':method']));
    this.#gates.set(stream, { messages, answers: this.#answersOf(stream, connection) });
    if (this.#sessions.has(session)) return;
    this.#sessions.add(session);
    session.prependListener('stream', (arriving: ServerHttp2Stream) => {
      this.#arriving = this.#gates.get(arriving);
    });
  }
}

function faultOfMethod(method: unknown): Failure | undefined {
  if (method === 'POST') return undefined;
  return new Failure('invalid-argument', 'METHOD_NOT_ALLOWED', 'gRPC calls must use the HTTP method POST.');
}
