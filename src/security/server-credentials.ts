import { Failure } from '../failure.ts';
import { invalidTls } from './pem-file.ts';
import { ServerCertificates } from './server-certificates.ts';

export interface ServerTlsSettings {
  readonly grpcHost: string;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
  readonly tlsClientCrl?: string | undefined;
  readonly allowPlaintext: boolean;
}

/**
 * The server's certificate and the accepted client authorities. Nothing comes from the environment; gRPC's own
 * credentials would take cipher suites and authorities from it.
 * @returns undefined if TLS is off
 * @throws Failure PLAINTEXT_REFUSED, TLS_INVALID: one sentence that names the setting
 */
export function createServerCredentials(settings: ServerTlsSettings): ServerCertificates | undefined {
  const { tlsCert, tlsKey, tlsClientCa, tlsClientCrl, grpcHost } = settings;
  if (tlsClientCrl !== undefined && tlsClientCa === undefined)
    throw invalidTls('RIDGEWATCH_TLS_CLIENT_CRL needs RIDGEWATCH_TLS_CLIENT_CA.');
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tlsClientCa !== undefined)
      throw invalidTls('RIDGEWATCH_TLS_CLIENT_CA needs RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY.');
    if (isLoopback(grpcHost) || settings.allowPlaintext) return undefined;
    throw plaintext(
      `Without TLS the service listens on the loopback address only, not on ${grpcHost}: set RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY, or RIDGEWATCH_ALLOW_PLAINTEXT=true on a network that encrypts by itself.`,
    );
  }
  if (tlsCert === undefined || tlsKey === undefined)
    throw invalidTls('RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY go together.');
  return new ServerCertificates({ cert: tlsCert, key: tlsKey, clientCa: tlsClientCa, clientCrl: tlsClientCrl });
}

/** Whether only programs on this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

export interface HttpTlsSettings {
  readonly httpHost: string;
  readonly httpIdentify: boolean;
  readonly httpTls: 'auto' | 'off';
  readonly allowPlaintext: boolean;
}

/**
 * The certificates of the HTTP port: those of the gRPC port, unless TLS is off there.
 * @returns undefined: HTTP without TLS
 * @throws Failure PLAINTEXT_REFUSED, where HTTP without TLS would reach the network
 */
export function httpCredentials(
  settings: HttpTlsSettings,
  certificates: ServerCertificates | undefined,
): ServerCertificates | undefined {
  const { httpHost, httpIdentify, httpTls, allowPlaintext } = settings;
  if (certificates !== undefined && httpTls === 'auto') return certificates;
  if (isLoopback(httpHost)) return undefined;
  // Templates never cross a network unencrypted by this service, whatever the network does.
  if (httpIdentify)
    throw plaintext(
      `RIDGEWATCH_HTTP_IDENTIFY cannot be used without TLS on RIDGEWATCH_HTTP_HOST ${httpHost}: set RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY, or listen on the loopback address.`,
    );
  if (allowPlaintext) return undefined;
  throw plaintext(
    `Without TLS the HTTP port listens on the loopback address only, not on RIDGEWATCH_HTTP_HOST ${httpHost}: set RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY, or RIDGEWATCH_ALLOW_PLAINTEXT=true on a network that encrypts by itself.`,
  );
}

function plaintext(sentence: string): Failure {
  return new Failure('failed-precondition', 'PLAINTEXT_REFUSED', sentence);
}
