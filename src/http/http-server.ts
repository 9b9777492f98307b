import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Failure } from '../failure.ts';
import { ByteBudget } from '../network/byte-budget.ts';
import { Connections, type Connection } from '../network/connections.ts';
import type { CertificateFacts } from '../security/peer-certificate.ts';
import type { ServerCertificates } from '../security/server-certificates.ts';
import { TlsTerminator, type RefusedPeer } from '../security/tls-terminator.ts';
import { AnswerSender, type Caller, type HttpRefused } from './answer-sender.ts';
import { pipelined, toRefusal, unknownPath, unreadable, wrongMethod, type Answer } from './answers.ts';
import { readBody } from './body.ts';
import { requireJson, requireProgram } from './callers.ts';
import { DEFAULT_LIMITS, type HttpLimits } from './http-limits.ts';
import { requireReadable, timeoutOf } from './request-head.ts';
import { describeRoutes, type JsonRoute, type RequestHead, type Routes } from './routes.ts';
import { SlicedSocket } from './sliced-socket.ts';

/** Interval of the timeout checks: short enough to end a late request soon after its deadline. */
const MAX_CHECK_MS = 1000;
/** All headers of a request together. */
const MAX_HEAD_BYTES = 16_384;

/** TLS of the port. */
export interface HttpTls {
  readonly certificates: ServerCertificates;
  /** Called for some of the clients whose handshake or certificate is refused, with more about them. */
  readonly handshakeRefused: (peer: RefusedPeer) => void;
}

/** Serves pages and JSON, with limits on connections, bytes and time. */
export class HttpServer {
  readonly #server: Server;
  readonly #routes: Routes;
  readonly #refused: (refused: HttpRefused) => void;
  readonly #limits: HttpLimits;
  readonly #budget: ByteBudget;
  readonly #connections: Connections;
  readonly #sender: AnswerSender;
  /** Begins HTTP on a connection. */
  readonly #serve: (socket: Duplex) => void;
  readonly #tls: TlsTerminator | undefined;
  #host = '';

  /**
   * @param refused - called for each request refused by this server
   * @param tls - undefined: without TLS
   */
  constructor(
    routes: Routes,
    refused: (refused: HttpRefused) => void,
    limits: Partial<HttpLimits> = {},
    tls?: HttpTls,
  ) {
    this.#routes = routes;
    this.#refused = refused;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    const { headersMs, requestMs, keepAliveMs, maxBytesHeld, maxConnections } = this.#limits;
    this.#budget = new ByteBudget(maxBytesHeld);
    this.#sender = new AnswerSender(refused, this.#limits, this.#budget);
    this.#connections = new Connections(maxConnections, () => this.#sender.report('CONNECTION_EVICTED'));
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
    this.#serve = serve.bind(this.#server);
    this.#tls = tls && this.#createTls(tls, headersMs);
    this.#server.on('connection', (socket: Socket) => this.#accept(socket));
    // `requireReadable` checks `Expect` with the other headers.
    for (const event of ['request', 'checkContinue', 'checkExpectation'])
      this.#server.on(
        event,
        (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response),
      );
    this.#server.on('connect', (_request, socket: Duplex) =>
      this.#sender.refuseSocket(socket, wrongMethod('GET, HEAD')),
    );
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      // Connections normally end between two requests.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') socket.destroy();
      else this.#sender.refuseSocket(socket, unreadable(error.code));
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
    this.#tls?.close();
    this.#server.closeAllConnections();
    this.#connections.endAll();
    await closed;
  }

  #accept(socket: Socket): void {
    // Errors of a socket are reported by its request; without a request they concern no caller.
    socket.on('error', () => undefined);
    const connection = this.#connections.admit(socket);
    if (connection === undefined) this.#sender.report('TOO_MANY_CONNECTIONS');
    else if (this.#tls === undefined) this.#begin(connection, socket, undefined);
    else this.#tls.accept(socket);
  }

  #createTls({ certificates, handshakeRefused }: HttpTls, handshakeMs: number): TlsTerminator {
    return new TlsTerminator(certificates, {
      protocol: 'http/1.1',
      handshakeMs,
      // Probes of orchestrators have none.
      requiresCertificate: false,
      secured: (socket, certificate) => {
        const connection = this.#connections.of(socket);
        if (connection === undefined) socket.destroy();
        else this.#begin(connection, socket, certificate);
      },
      refused: (reason) => this.#sender.report(reason),
      refusedPeer: handshakeRefused,
    });
  }

  #begin(connection: Connection, socket: Socket, certificate: CertificateFacts | undefined): void {
    const caller = { connection, socket: new SlicedSocket(socket), certificate, isWaiting: false };
    caller.socket.on('error', () => undefined);
    this.#sender.enter(caller);
    this.#serve(caller.socket);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const caller = this.#sender.callerOf(socket);
    // Sent together with the request that ended the connection.
    if (caller === undefined || caller.socket.isShut) return;
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const { connection } = caller;
    connection.change(0, 0);
    if (caller.isWaiting) {
      this.#sender.refuse(response, pipelined());
      return;
    }
    this.#sender.begin(caller, response);
    try {
      requireReadable(request);
      const route = this.#routes.json.get(request.url ?? '');
      const answer = await (route === undefined
        ? this.#show(request, caller)
        : this.#takeJson(route, request, response, caller));
      this.#sender.send(response, answer);
    } catch (thrown) {
      this.#sender.refuse(response, toRefusal(thrown));
    }
  }

  async #takeJson(
    route: JsonRoute,
    request: IncomingMessage,
    response: ServerResponse,
    caller: Caller,
  ): Promise<Answer> {
    if (request.method !== 'POST') throw wrongMethod('POST');
    requireProgram(request, this.#host, this.#tls !== undefined);
    requireJson(request);
    const timeout = timeoutOf(request);
    const { connection } = caller;
    const admitted = await route(this.#headOf(request, caller));
    try {
      requirePresent(request);
      if (request.headers.expect !== undefined) response.writeContinue();
      const body = await readBody(request, this.#limits.maxBodyBytes, this.#budget);
      connection.change(1, 0);
      try {
        return await admitted.answer({
          body: body.bytes,
          deadlineMs: Date.now() + timeout,
          onHangUp: (listener) => void response.once('close', () => void (response.writableEnded || listener())),
        });
      } finally {
        body.release();
        connection.change(-1, 0);
      }
    } finally {
      admitted.leave();
    }
  }

  #headOf({ headersDistinct }: IncomingMessage, { connection, certificate }: Caller): RequestHead {
    return { authorization: headersDistinct.authorization ?? [], address: connection.address, certificate };
  }

  async #show(request: IncomingMessage, caller: Caller): Promise<Answer> {
    const path = (request.url ?? '').split('?')[0];
    const page = this.#routes.pages.get(path);
    if (page === undefined) throw unknownPath(describeRoutes(this.#routes));
    if (request.method !== 'GET' && request.method !== 'HEAD') throw wrongMethod('GET, HEAD');
    return page(this.#headOf(request, caller));
  }
}

/** A caller may have hung up while its credential was verified: of such a request no more events come. */
function requirePresent(request: IncomingMessage): void {
  if (!request.destroyed) return;
  throw new Failure('cancelled', 'CALLER_GONE', 'The caller hung up before the body was complete.');
}
