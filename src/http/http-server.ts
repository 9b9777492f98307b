import { once } from 'node:events';
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Failure } from '../failure.ts';
import { ByteBudget } from '../network/byte-budget.ts';
import { Connections, type Connection } from '../network/connections.ts';
import {
  type HttpRefusal,
  pipelined,
  toRefusal,
  tooManyAnswers,
  unknownPath,
  unreadable,
  wrongMethod,
  type Answer,
} from './answers.ts';
import { readBody } from './body.ts';
import { requireJson, requireLocalProgram } from './callers.ts';
import { requireReadable, timeoutOf } from './request-head.ts';
import { describeRoutes, type JsonRoute, type Routes } from './routes.ts';
import { SlicedSocket } from './sliced-socket.ts';
import { forgetBody, isUnread } from './unread-body.ts';

/** A request refused by this server. Contains nothing that comes from the caller. */
export interface HttpRefused {
  readonly reason: string;
  /** Undefined if there was no request to answer. */
  readonly status: number | undefined;
  /** What was thrown, if it is a defect. */
  readonly defect: unknown;
}

export interface HttpLimits {
  /** Bytes of the largest body. */
  readonly maxBodyBytes: number;
  /** Bytes of all bodies in memory and all answers that callers have not read yet. */
  readonly maxBytesHeld: number;
  readonly maxConnections: number;
  /** Time for the headers of a request, in milliseconds. */
  readonly headersMs: number;
  /** Time for a request with its body, and for the caller to read the answer, in milliseconds. */
  readonly requestMs: number;
  /** Time between two requests on one connection, in milliseconds. */
  readonly keepAliveMs: number;
}

const DEFAULT_LIMITS: HttpLimits = {
  maxBodyBytes: 4_194_304,
  maxBytesHeld: 134_217_728,
  maxConnections: 256,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 60_000,
};

/** The rest of a refused body is read up to this multiple of the largest body, and for this time. */
const MAX_FORGOTTEN = 4;
const MAX_FORGETTING_MS = 5000;
/** Interval of the timeout checks: short enough to end a late request soon after its deadline. */
const MAX_CHECK_MS = 1000;
/** All headers of a request together. */
const MAX_HEAD_BYTES = 16_384;
/** Smaller answers are not counted and always sent: each connection has at most one. */
const SMALL_ANSWER_BYTES = 4096;

/** The client of a connection. */
interface Caller {
  readonly connection: Connection;
  readonly socket: SlicedSocket;
  /** Whether an answer is still to be sent. */
  isWaiting: boolean;
}

/** Serves pages and JSON, with limits on connections, bytes and time. */
export class HttpServer {
  readonly #server: Server;
  readonly #routes: Routes;
  readonly #refused: (refused: HttpRefused) => void;
  readonly #limits: HttpLimits;
  readonly #budget: ByteBudget;
  readonly #connections: Connections;
  readonly #callers = new WeakMap<Duplex, Caller>();
  readonly #answering = new WeakMap<Duplex, ServerResponse>();
  /** Connections whose refusal was reported: their hanging up is not reported again. */
  readonly #refusedSockets = new WeakSet<Duplex>();
  #host = '';

  /** @param refused - called for each request refused by this server */
  constructor(routes: Routes, refused: (refused: HttpRefused) => void, limits: Partial<HttpLimits> = {}) {
    this.#routes = routes;
    this.#refused = refused;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    const { headersMs, requestMs, keepAliveMs, maxBytesHeld, maxConnections } = this.#limits;
    this.#budget = new ByteBudget(maxBytesHeld);
    this.#connections = new Connections(maxConnections, () => this.#report('CONNECTION_EVICTED'));
    this.#server = createServer({
      headersTimeout: Math.min(headersMs, requestMs),
      requestTimeout: requestMs,
      keepAliveTimeout: keepAliveMs,
      // Checked by `requireReadable`, which counts it.
      requireHostHeader: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      connectionsCheckingInterval: Math.min(MAX_CHECK_MS, headersMs / 2, requestMs / 2),
    });
    // By default Node.js silently drops headers after the first two thousand.
    this.#server.maxHeadersCount = 0;
    const [serve] = this.#server.listeners('connection') as ((socket: Duplex) => void)[];
    this.#server.removeAllListeners('connection');
    this.#server.on('connection', (socket: Socket) => {
      const caller = this.#accept(socket);
      if (caller !== undefined) serve.call(this.#server, caller.socket);
    });
    // `requireReadable` checks `Expect` with the other headers.
    for (const event of ['request', 'checkContinue', 'checkExpectation'])
      this.#server.on(
        event,
        (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response),
      );
    this.#server.on('connect', (_request, socket: Duplex) => this.#refuseSocket(socket, wrongMethod('GET, HEAD')));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      // Connections normally end between two requests.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') socket.destroy();
      else this.#refuseSocket(socket, unreadable(error.code));
    });
  }

  /** Bytes of bodies that are held now. */
  get bytesHeld(): number {
    return this.#budget.held;
  }

  get connectionCount(): number {
    return this.#connections.count;
  }

  /**
   * @param port - 0: any free one
   * @returns the port
   * @throws Failure PORT_IN_USE, ADDRESS_UNUSABLE
   */
  async start(host: string, port: number): Promise<number> {
    this.#host = host;
    this.#server.listen(port, host);
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
        const sentence = `HTTP port ${port} on ${host} is in use by another program: set RIDGEWATCH_HTTP_PORT to a free one.`;
        throw new Failure('failed-precondition', 'PORT_IN_USE', sentence);
      }
      const sentence = `The service cannot listen on ${host}:${port}: check RIDGEWATCH_HTTP_HOST and RIDGEWATCH_HTTP_PORT.`;
      throw new Failure('failed-precondition', 'ADDRESS_UNUSABLE', sentence, { cause });
    }
    this.#server.on('error', (defect) => this.#refused({ reason: 'INTERNAL_ERROR', status: undefined, defect }));
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    this.#connections.endAll();
    await closed;
  }

  #accept(socket: Socket): Caller | undefined {
    // Errors of a socket are reported by its request; without a request they concern no caller.
    socket.on('error', () => undefined);
    const connection = this.#connections.admit(socket);
    if (connection === undefined) {
      this.#report('TOO_MANY_CONNECTIONS');
      return undefined;
    }
    const caller = { connection, socket: new SlicedSocket(socket), isWaiting: false };
    caller.socket.on('error', () => undefined);
    this.#callers.set(caller.socket, caller);
    return caller;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const caller = this.#callers.get(socket);
    // Sent together with the request that ended the connection.
    if (caller === undefined || caller.socket.isShut) return;
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const { connection } = caller;
    connection.change(0, 0);
    if (caller.isWaiting) {
      this.#refuse(response, pipelined());
      return;
    }
    this.#answering.set(socket, response);
    caller.isWaiting = true;
    try {
      requireReadable(request);
      const route = this.#routes.json.get(request.url ?? '');
      const answer = await (route === undefined
        ? this.#show(request)
        : this.#takeJson(route, request, response, connection));
      this.#send(response, answer);
    } catch (thrown) {
      this.#refuse(response, toRefusal(thrown));
    }
  }

  async #takeJson(
    route: JsonRoute,
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
  ): Promise<Answer> {
    if (request.method !== 'POST') throw wrongMethod('POST');
    requireLocalProgram(request, this.#host);
    requireJson(request);
    const timeout = timeoutOf(request);
    if (request.headers.expect !== undefined) response.writeContinue();
    const body = await readBody(request, this.#limits.maxBodyBytes, this.#budget);
    connection.change(1, 0);
    try {
      return await route({
        body: body.bytes,
        deadlineMs: Date.now() + timeout,
        onHangUp: (listener) => void response.once('close', () => void (response.writableEnded || listener())),
      });
    } finally {
      body.release();
      connection.change(-1, 0);
    }
  }

  async #show(request: IncomingMessage): Promise<Answer> {
    const path = (request.url ?? '').split('?')[0];
    const page = this.#routes.pages.get(path);
    if (page === undefined) throw unknownPath(describeRoutes(this.#routes));
    if (request.method !== 'GET' && request.method !== 'HEAD') throw wrongMethod('GET, HEAD');
    return page();
  }

  #send(response: ServerResponse, { status, contentType, body, allow, closes }: Answer): void {
    if (response.destroyed || response.headersSent) return;
    const { req: request } = response;
    const bytes = Buffer.byteLength(body);
    const counted = bytes > SMALL_ANSWER_BYTES ? bytes : 0;
    if (!this.#budget.take(counted)) {
      this.#refuse(response, tooManyAnswers());
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

  #refuse(response: ServerResponse, refusal: HttpRefusal): void {
    if (!this.#refusedSockets.has(response.req.socket)) this.#report(refusal.failure.reason, refusal);
    this.#send(response, refusal.answer);
  }

  /** Answers on a connection whose request cannot be read, and ends it. */
  #refuseSocket(socket: Duplex, refusal: HttpRefusal): void {
    // A shut connection ends after its remaining answers.
    if (this.#callers.get(socket)?.socket.isShut === true) return;
    if (!this.#refusedSockets.has(socket)) this.#report(refusal.failure.reason, refusal);
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

  #report(reason: string, refusal?: HttpRefusal): void {
    this.#refused({ reason, status: refusal?.status, defect: refusal?.failure.detail.cause });
  }
}
