import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { Failure } from '../failure.ts';

export interface ServerTlsSettings {
  readonly grpcHost: string;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
  readonly allowPlaintext: boolean;
}

/** The server's certificate, and its requirements for clients. */
export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Authorities of the clients' certificates. */
  readonly ca?: Buffer;
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly minVersion: 'TLSv1.2';
  /** Options of OpenSSL. */
  readonly secureOptions: number;
}

/**
 * The gRPC server's certificate and the accepted client authorities. Nothing comes from the environment; gRPC's own
 * credentials would take cipher suites and authorities from it.
 * @returns undefined if TLS is off
 * @throws Failure PLAINTEXT_REFUSED, TLS_INVALID: one sentence that names the setting
 */
export function createServerCredentials(settings: ServerTlsSettings): ServerTls | undefined {
  const { tlsCert, tlsKey, tlsClientCa, grpcHost } = settings;
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tlsClientCa !== undefined)
      throw invalid('RIDGEWATCH_TLS_CLIENT_CA needs RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY.');
    if (isLoopback(grpcHost) || settings.allowPlaintext) return undefined;
    const sentence = `Without TLS the service listens on the loopback address only, not on ${grpcHost}: set RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY, or RIDGEWATCH_ALLOW_PLAINTEXT=true on a network that encrypts by itself.`;
    throw new Failure('failed-precondition', 'PLAINTEXT_REFUSED', sentence);
  }
  if (tlsCert === undefined || tlsKey === undefined)
    throw invalid('RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY go together.');
  const cert = readPem('RIDGEWATCH_TLS_CERT', tlsCert);
  const key = readPem('RIDGEWATCH_TLS_KEY', tlsKey);
  const ca = tlsClientCa === undefined ? undefined : readPem('RIDGEWATCH_TLS_CLIENT_CA', tlsClientCa);
  const asksClients = ca !== undefined;
  const tls = {
    cert,
    key,
    ...(ca && { ca }),
    requestCert: asksClients,
    rejectUnauthorized: asksClients,
    minVersion: 'TLSv1.2',
    // With TLS 1.2 a client could request any number of handshakes on one connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  } as const;
  try {
    createSecureContext(tls);
  } catch {
    throw invalid(
      'RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY do not hold a certificate and the key that belongs to it.',
    );
  }
  return tls;
}

function readPem(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw invalid(`${setting} names the file ${file}, which cannot be read.`);
  }
}

function invalid(sentence: string): Failure {
  return new Failure('failed-precondition', 'TLS_INVALID', sentence);
}

/** Whether only programs on this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Searches over HTTP have neither TLS nor client certificates.
 * @throws Failure PLAINTEXT_REFUSED if they would bypass TLS or client certificates
 */
export function requirePrivateHttp(settings: {
  readonly httpIdentify: boolean;
  readonly httpHost: string;
  readonly tlsClientCa: string | undefined;
}): void {
  if (!settings.httpIdentify) return;
  const why = !isLoopback(settings.httpHost)
    ? `RIDGEWATCH_HTTP_HOST is ${settings.httpHost}, and searches over HTTP are answered on the loopback address only`
    : settings.tlsClientCa === undefined
      ? undefined
      : 'with RIDGEWATCH_TLS_CLIENT_CA only callers with a certificate are served, and HTTP has no certificates';
  if (why === undefined) return;
  throw new Failure('failed-precondition', 'PLAINTEXT_REFUSED', `RIDGEWATCH_HTTP_IDENTIFY cannot be used: ${why}.`);
}
