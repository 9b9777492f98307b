/** An identity provider in this process: an HTTPS server with a discovery document and keys, and tokens signed by them. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { temporaryDirectory } from '../cluster.ts';
import { Authority } from '../security/authority.ts';

export const AUDIENCE = 'ridgewatch';

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

let made = 0;

export async function signingKey(alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${made++}`;
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export class LocalProvider {
  readonly issuer: string;
  /** File with the authority of its certificate. */
  readonly caFile: string;
  key: SigningKey;
  /** Keys that it publishes. */
  published: JWK[];
  /** Requests by path. */
  readonly requests: string[] = [];
  /** Answers in place of the documents, by path. */
  readonly instead = new Map<string, Answer>();
  readonly folder: string;
  readonly #server: Server;
  readonly #port: number;

  private constructor(server: Server, port: number, folder: string, caFile: string, key: SigningKey) {
    this.#server = server;
    this.#port = port;
    this.issuer = `https://localhost:${port}`;
    this.folder = folder;
    this.caFile = caFile;
    this.key = key;
    this.published = [key.publicJwk];
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response));
  }

  static async start(): Promise<LocalProvider> {
    const authority = await Authority.create('identity providers');
    const { cert, key } = await authority.issue('localhost', { names: [{ type: 'dns', value: 'localhost' }] });
    const server = createServer({ cert, key });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const folder = temporaryDirectory();
    const caFile = join(folder, 'ca.pem');
    writeFileSync(caFile, authority.cert);
    return new LocalProvider(server, (server.address() as AddressInfo).port, folder, caFile, await signingKey());
  }

  /** Publishes another key, and no other. */
  async rotate(): Promise<void> {
    this.key = await signingKey();
    this.published = [this.key.publicJwk];
  }

  async goAway(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async comeBack(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** What the file of providers has of it. */
  entry(changes: Readonly<Record<string, unknown>> = {}): object {
    return { issuer: this.issuer, audience: AUDIENCE, agency: 'agency', ca_file: this.caFile, ...changes };
  }

  /** A file of providers in which it is the only one. */
  file(changes: Readonly<Record<string, unknown>> = {}, name = 'providers.json'): string {
    const file = join(this.folder, name);
    writeFileSync(file, JSON.stringify({ providers: [this.entry(changes)] }));
    return file;
  }

  /** A good token of `person-1` for five minutes. @param claims - undefined: left out */
  sign(claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}, key = this.key) {
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      ...{ iss: this.issuer, aud: AUDIENCE, sub: 'person-1', iat: now, exp: now + 300, jti: `token-${made++}` },
      ...claims,
    };
    return new SignJWT(JSON.parse(JSON.stringify(payload)) as typeof payload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
      .sign(key.privateKey);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.requests.push(path);
    const other = this.instead.get(path);
    if (other !== undefined) return other(request, response);
    const documents: Readonly<Record<string, object>> = {
      '/.well-known/openid-configuration': { issuer: this.issuer, jwks_uri: `${this.issuer}/keys` },
      '/keys': { keys: this.published },
    };
    const document = documents[path];
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(document ?? {}));
  }
}

/** Answers with this JSON. */
export function answering(document: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, headers);
    response.end(typeof document === 'string' ? document : JSON.stringify(document));
  };
}
