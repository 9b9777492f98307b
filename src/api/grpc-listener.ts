import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Failure } from '../failure.ts';
import { Connections, type Connection, type Peer } from '../network/connections.ts';
import type { CertificateFacts } from '../security/peer-certificate.ts';
import type { ServerCertificates } from '../security/server-certificates.ts';
import { TlsTerminator, type RefusedPeer } from '../security/tls-terminator.ts';
import { TurnPace } from './turn-pace.ts';

/** Every HTTP/2 connection starts with these bytes. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const TLS_HANDSHAKE = 0x16;
const OLD_HTTP_ANSWER = 'HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';

export interface ListenerLimits {
  /**
   * Time for a new connection to complete the TLS handshake, if any, and to send the HTTP/2 preface, in milliseconds.
   */
  readonly handshakeMs: number;
  readonly maxConnections: number;
}

/**
 * Listens for gRPC. A connection is handed to the gRPC server only after the TLS handshake, with a certificate where
 * required, and the HTTP/2 preface. Until then it costs only a timer and a socket.
 */
export class GrpcListener {
  readonly connections: Connections;
  readonly #server: Server;
  readonly #tls: TlsTerminator | undefined;
  readonly #limits: ListenerLimits;
  readonly #handOn: (socket: Socket) => void;
  readonly #refused: (reason: string) => void;
  readonly #certificates = new WeakMap<Connection, CertificateFacts>();
  readonly #handedOn = new WeakSet<Connection>();
  readonly #pace = new TurnPace();

  /**
   * @param handOn - takes over an established HTTP/2 connection
   * @param refused - called with the reason when a connection is closed before that, or later for its certificate
   * @param refusedPeer - called with more about some of those whose handshake or certificate was refused
   */
  constructor(
    tls: ServerCertificates | undefined,
    limits: ListenerLimits,
    handOn: (socket: Socket) => void,
    refused: (reason: string) => void,
    refusedPeer: (peer: RefusedPeer) => void = () => undefined,
  ) {
    this.#limits = limits;
    this.#handOn = handOn;
    this.#refused = refused;
    this.connections = new Connections(limits.maxConnections, () => refused('CONNECTION_EVICTED'));
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#tls = tls && this.#createTls(tls, refusedPeer);
  }

  /**
   * @param port - 0: any free port
   * @returns the bound port
   * @throws Failure PORT_IN_USE, ADDRESS_UNUSABLE
   */
  async listen(host: string, port: number): Promise<number> {
    this.#server.listen(port, host);
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
        const sentence = `gRPC port ${port} on ${host} is in use by another program: set RIDGEWATCH_GRPC_PORT to a free one.`;
        throw new Failure('failed-precondition', 'PORT_IN_USE', sentence);
      }
      const sentence = `The service cannot listen on ${host}:${port}: check RIDGEWATCH_GRPC_HOST and RIDGEWATCH_GRPC_PORT.`;
      throw new Failure('failed-precondition', 'ADDRESS_UNUSABLE', sentence, { cause });
    }
    this.#server.on('error', () => this.#refused('ACCEPT_FAILED'));
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connection that a call arrived on; undefined once it has closed. */
  connectionOf(peer: Peer): Connection | undefined {
    return this.connections.of(peer);
  }

  /** The verified certificate of the client that a call arrived from; undefined: it has none, or has gone. */
  certificateOf(peer: Peer): CertificateFacts | undefined {
    const connection = this.connections.of(peer);
    return connection && this.#certificates.get(connection);
  }

  /** Stops accepting connections. Established ones stay open, while their certificates are accepted. */
  close(): void {
    this.#server.close();
    for (const connection of this.connections.all) if (!this.#handedOn.has(connection)) connection.socket.destroy();
  }

  #accept(socket: Socket): void {
    // The calls on the connection report its end.
    socket.on('error', () => undefined);
    if (this.connections.admit(socket) === undefined) this.#refused('TOO_MANY_CONNECTIONS');
    else if (this.#tls === undefined) this.#awaitPreface(socket);
    else this.#tls.accept(socket);
  }

  #createTls(tls: ServerCertificates, refusedPeer: (peer: RefusedPeer) => void): TlsTerminator {
    return new TlsTerminator(tls, {
      protocol: 'h2',
      handshakeMs: this.#limits.handshakeMs,
      requiresCertificate: true,
      secured: (socket, certificate) => {
        if (socket.alpnProtocol !== 'h2') {
          this.#refused('HTTP2_EXPECTED');
          socket.destroy();
          return;
        }
        const connection = this.connections.of(socket);
        if (connection !== undefined && certificate !== undefined) this.#certificates.set(connection, certificate);
        this.#awaitPreface(socket);
      },
      refused: (reason) => this.#refused(reason),
      refusedPeer,
    });
  }

  /** Counts protocol errors of HTTP/2 itself: they end the connection and belong to no call. */
  #watchRules(socket: Socket): void {
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code?.startsWith('ERR_HTTP2_') === true) this.#refused('HTTP2_RULES_BROKEN');
    });
  }

  /** Reads the first bytes, and unshifts them when they are the preface. */
  #awaitPreface(socket: Socket): void {
    let seen: Buffer = Buffer.alloc(0);
    const settle = (reason: string | undefined) => {
      clearTimeout(timer);
      socket.removeListener('readable', look);
      socket.removeListener('close', gone);
      if (reason === undefined) return;
      this.#refused(reason);
      if (reason === 'HTTP2_EXPECTED') socket.write(OLD_HTTP_ANSWER);
      socket.destroy();
    };
    const timer = setTimeout(() => settle('HANDSHAKE_TIMEOUT'), this.#limits.handshakeMs);
    timer.unref();
    const gone = () => settle(seen.length === 0 ? undefined : 'HANDSHAKE_ABORTED');
    const look = () => {
      const part = socket.read() as Buffer | null;
      if (part === null) return;
      seen = seen.length === 0 ? part : Buffer.concat([seen, part]);
      const length = Math.min(seen.length, PREFACE.length);
      if (!seen.subarray(0, length).equals(PREFACE.subarray(0, length))) {
        settle(seen[0] === TLS_HANDSHAKE ? 'PLAINTEXT_EXPECTED' : 'HTTP2_EXPECTED');
      } else if (length === PREFACE.length) {
        settle(undefined);
        socket.unshift(seen);
        this.#watchRules(socket);
        const connection = this.connectionOf(socket);
        if (connection !== undefined) this.#handedOn.add(connection);
        // With its first bytes a connection may bring as many calls as it may have at all.
        this.#pace.enter(() => {
          if (!socket.destroyed) this.#handOn(socket);
        });
      }
    };
    socket.on('readable', look);
    socket.once('close', gone);
  }
}
