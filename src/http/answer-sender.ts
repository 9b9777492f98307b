import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ByteBudget } from '../network/byte-budget.ts';
import type { Connection } from '../network/connections.ts';
import type { CertificateFacts } from '../security/peer-certificate.ts';
import { type HttpRefusal, tooManyAnswers, type Answer } from './answers.ts';
import type { HttpLimits } from './http-limits.ts';
import type { SlicedSocket } from './sliced-socket.ts';
import { forgetBody, isUnread } from './unread-body.ts';

/** A request refused by this server. Contains nothing that comes from the caller. */
export interface HttpRefused {
  readonly reason: string;
  /** Undefined if there was no request to answer. */
  readonly status: number | undefined;
  /** What was thrown, if it is a defect. */
  readonly defect: unknown;
}

/** The rest of a refused body is read up to this multiple of the largest body, and for this time. */
const MAX_FORGOTTEN = 4;
const MAX_FORGETTING_MS = 5000;
/** Smaller answers are not counted and always sent: each connection has at most one. */
const SMALL_ANSWER_BYTES = 4096;

/** The client of a connection. */
export interface Caller {
  readonly connection: Connection;
  readonly socket: SlicedSocket;
  readonly certificate: CertificateFacts | undefined;
  /** Whether an answer is still to be sent. */
  isWaiting: boolean;
}

/** Sends answers and refusals within the limits of bytes and time, and reports refusals. */
export class AnswerSender {
  readonly #refused: (refused: HttpRefused) => void;
  readonly #limits: HttpLimits;
  readonly #budget: ByteBudget;
  readonly #callers = new WeakMap<Duplex, Caller>();
  readonly #answering = new WeakMap<Duplex, ServerResponse>();
  /** Connections whose refusal was reported: their hanging up is not reported again. */
  readonly #refusedSockets = new WeakSet<Duplex>();

  constructor(refused: (refused: HttpRefused) => void, limits: HttpLimits, budget: ByteBudget) {
    this.#refused = refused;
    this.#limits = limits;
    this.#budget = budget;
  }

  enter(caller: Caller): void {
    this.#callers.set(caller.socket, caller);
  }

  callerOf(socket: Duplex): Caller | undefined {
    return this.#callers.get(socket);
  }

  /** Marks a response as the next one of its caller. */
  begin(caller: Caller, response: ServerResponse): void {
    this.#answering.set(caller.socket, response);
    caller.isWaiting = true;
  }

  /** Sends an answer. Refuses instead if the answers in memory leave no room. */
  send(response: ServerResponse, { status, contentType, body, allow, closes }: Answer): void {
    if (response.destroyed || response.headersSent) return;
    const { req: request } = response;
    const bytes = Buffer.byteLength(body);
    const counted = bytes > SMALL_ANSWER_BYTES ? bytes : 0;
    if (!this.#budget.take(counted)) {
      this.refuse(response, tooManyAnswers());
      return;
    }
    const caller = this.#callers.get(request.socket);
    if (closes === true) caller?.socket.shut();
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': bytes,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(allow !== undefined && { allow }),
      ...(closes === true && { connection: 'close' }),
    });
    const shown = request.method === 'HEAD' ? '' : body;
    const sent = () => {
      if (caller !== undefined) caller.isWaiting = false;
    };
    if (closes !== true && isUnread(request)) {
      const { maxBodyBytes, requestMs } = this.#limits;
      // Reported once: a missing rest of the body is not reported again.
      this.#refusedSockets.add(request.socket);
      request.once('end', () => this.#refusedSockets.delete(request.socket));
      response.write(shown, sent);
      const milliseconds = Math.min(MAX_FORGETTING_MS, requestMs);
      forgetBody(request, response, { bytes: MAX_FORGOTTEN * maxBodyBytes, milliseconds });
    } else response.end(shown, sent);
    // A caller that does not read its answer must not keep it in memory.
    const timer = setTimeout(() => response.destroy(), this.#limits.requestMs);
    timer.unref();
    response.once('close', () => {
      clearTimeout(timer);
      this.#budget.give(counted);
    });
  }

  /** Answers with a refusal and reports it, unless the connection's refusal was reported before. */
  refuse(response: ServerResponse, refusal: HttpRefusal): void {
    if (!this.#refusedSockets.has(response.req.socket)) this.report(refusal.failure.reason, refusal);
    this.send(response, refusal.answer);
  }

  /** Answers on a connection whose request cannot be read, and ends it. */
  refuseSocket(socket: Duplex, refusal: HttpRefusal): void {
    // A shut connection ends after its remaining answers.
    if (this.#callers.get(socket)?.socket.isShut === true) return;
    if (!this.#refusedSockets.has(socket)) this.report(refusal.failure.reason, refusal);
    this.#refusedSockets.add(socket);
    const under = this.#answering.get(socket);
    const isFree = under === undefined || under.writableFinished || !under.headersSent;
    if (!socket.writable || !isFree) {
      socket.destroy();
      return;
    }
    const { status, contentType, body } = refusal.answer;
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      `content-type: ${contentType}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'cache-control: no-store',
      'connection: close',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    socket.destroy();
  }

  /** Reports a refusal, with or without an answer. */
  report(reason: string, refusal?: HttpRefusal): void {
    this.#refused({ reason, status: refusal?.status, defect: refusal?.failure.detail.cause });
  }
}
