import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { LineLimit } from '../observability/line-limit.ts';
import type { ClientTrust, Verified } from './client-trust.ts';
import { describePeer, describeShown, type CertificateFacts, type ShownCertificate } from './peer-certificate.ts';
import type { ServerCertificates } from './server-certificates.ts';
import { handshakeRefusal } from './tls-refusals.ts';

/** Who was refused, as far as it is known. Nothing of it is verified, except where the connection was accepted before. */
export interface RefusedPeer {
  readonly reason: string;
  readonly address: string;
  /** What the client showed. */
  readonly certificate: ShownCertificate | undefined;
  /** Whether the connection had been accepted, and its certificate is accepted no longer. */
  readonly wasAccepted: boolean;
  /** Refusals for the same reason that were not told of before this one: there were too many. */
  readonly unsaid: number;
}

export interface TerminatorOptions {
  /** Name of the only protocol, for ALPN. */
  readonly protocol: 'h2' | 'http/1.1';
  /** Time for a handshake, in milliseconds. */
  readonly handshakeMs: number;
  /** Whether a client needs a certificate where the service has authorities; it always needs a good one or none. */
  readonly requiresCertificate: boolean;
  /** Takes over a connection whose handshake is complete. @param certificate - undefined: the client showed none */
  readonly secured: (socket: TLSSocket, certificate: CertificateFacts | undefined) => void;
  /** Called for each refusal. */
  readonly refused: (reason: string) => void;
  /** Called for some refusals for each reason, with more about them. */
  readonly refusedPeer: (peer: RefusedPeer) => void;
}

/** Refusals told of in full, for one reason in ten seconds: a flood of handshakes costs the service little. */
const MAX_TOLD = 20;

/** The TLS of one port: handshakes, and the connections whose certificate may be distrusted later. */
export class TlsTerminator {
  readonly #certificates: ServerCertificates;
  readonly #options: TerminatorOptions;
  /** Begins handshakes with the certificates in force. A handshake ends with those that it has begun with. */
  #server: Server;
  /** Connections in use whose clients have shown a certificate. */
  readonly #accepted = new Map<TLSSocket, Verified>();
  /** What clients showed whose handshakes are not complete. */
  readonly #shown = new WeakMap<TLSSocket, X509Certificate>();
  readonly #told = new LineLimit(MAX_TOLD);
  readonly #unfollow: () => void;

  constructor(certificates: ServerCertificates, options: TerminatorOptions) {
    this.#certificates = certificates;
    this.#options = options;
    this.#server = this.#create();
    this.#unfollow = certificates.follow({
      replaced: () => void (this.#server = this.#create()),
      examine: (now) => this.#examine(now),
    });
  }

  /** Begins the handshake on a new connection. */
  accept(raw: Socket): void {
    this.#server.emit('connection', raw);
  }

  /** Follows the certificates no longer. Connections stay as they are. */
  close(): void {
    this.#unfollow();
  }

  #create(): Server {
    const { protocol, handshakeMs, requiresCertificate } = this.#options;
    const { context, trust } = this.#certificates;
    const shown = this.#shown;
    const server = createServer({
      ...context,
      requestCert: trust !== undefined,
      rejectUnauthorized: requiresCertificate && trust !== undefined,
      handshakeTimeout: handshakeMs,
      // Node.js verifies the certificate after the handshake and then closes the socket, which has no certificate any
      // more when its error is reported. This is the only way to the socket before that. Without it less is reported.
      ALPNCallback(this: unknown, { protocols }) {
        const socket = this as TLSSocket | undefined;
        socket?.prependOnceListener('secure', () => {
          const certificate = socket.getPeerX509Certificate();
          if (certificate !== undefined) shown.set(socket, certificate);
        });
        return protocols.includes(protocol) ? protocol : undefined;
      },
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      this.#refuse(handshakeRefusal(error, socket, protocol), addressOf(socket), this.#shown.get(socket), false);
      socket.destroy();
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined);
      this.#secure(socket, trust);
    });
    return server;
  }

  /** @param trust - what the handshake was verified with */
  #secure(socket: TLSSocket, trust: ClientTrust | undefined): void {
    const shown = socket.getPeerX509Certificate();
    const current = this.#certificates.trust;
    if (shown === undefined || trust === undefined || current === undefined) {
      this.#options.secured(socket, undefined);
      return;
    }
    // The authorities may have been replaced during the handshake.
    const review = socket.authorized ? current.review(trust.verified(shown), Date.now()) : 'TLS_CERTIFICATE_REFUSED';
    if (typeof review === 'string') {
      this.#refuse(review, addressOf(socket), shown, false);
      socket.destroy();
      return;
    }
    this.#accepted.set(socket, review);
    socket.once('close', () => this.#accepted.delete(socket));
    this.#options.secured(socket, describePeer(review));
  }

  #examine(now: number): void {
    const { trust } = this.#certificates;
    if (trust === undefined) return;
    for (const [socket, accepted] of this.#accepted) {
      const review = trust.review(accepted, now);
      if (typeof review === 'string') {
        this.#refuse(review, addressOf(socket), accepted.certificate, true);
        socket.destroy();
      } else if (review !== accepted) this.#accepted.set(socket, review);
    }
  }

  #refuse(reason: string, address: string, certificate: X509Certificate | undefined, wasAccepted: boolean): void {
    this.#options.refused(reason);
    const more = this.#told.admit(reason);
    if (more === undefined) return;
    this.#options.refusedPeer({
      reason,
      address,
      certificate: certificate && describeShown(certificate),
      wasAccepted,
      unsaid: more.unsaid ?? 0,
    });
  }
}

/** A closed TLS socket no longer knows its address; the connection below it does. */
function addressOf(socket: TLSSocket): string {
  const { _parent: below } = socket as { readonly _parent?: Socket };
  return socket.remoteAddress ?? below?.remoteAddress ?? '';
}
