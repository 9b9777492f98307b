import type { TLSSocket } from 'node:tls';

/** Handshake errors of OpenSSL and Node.js, with their reasons in this service. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/HANDSHAKE_TIMEOUT/, 'HANDSHAKE_TIMEOUT'],
  [/DID_NOT_RETURN_A_CERTIFICATE/, 'TLS_NO_CERTIFICATE'],
  [/HTTP_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_TOO_SMALL|UNEXPECTED_MESSAGE/, 'TLS_EXPECTED'],
  [/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|NO_SHARED_CIPHER|NO_SUITABLE|NO_COMMON/, 'TLS_VERSION_UNSUPPORTED'],
  [/ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE)/, 'TLS_SERVER_DISTRUSTED'],
  [/CERTIFICATE_VERIFY_FAILED/, 'TLS_CERTIFICATE_REFUSED'],
  [/ECONNRESET|EPIPE/, 'HANDSHAKE_ABORTED'],
];

/**
 * The reason why a TLS handshake failed: a constant without any text from the client.
 * @param protocol - the only one that is spoken above TLS
 */
export function handshakeRefusal(error: NodeJS.ErrnoException, socket: TLSSocket, protocol: 'h2' | 'http/1.1'): string {
  // Node.js verifies the certificate after the handshake, and then reports a connection reset.
  if (socket.authorizationError) return 'TLS_CERTIFICATE_REFUSED';
  const code = error.code ?? '';
  if (code.includes('NO_APPLICATION_PROTOCOL')) return protocol === 'h2' ? 'HTTP2_EXPECTED' : 'HTTP_MALFORMED';
  return REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'TLS_HANDSHAKE_FAILED';
}
