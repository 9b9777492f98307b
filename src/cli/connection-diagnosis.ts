/**
 * Finds out why a service is unreachable, by connecting again without a call: the library reports hardly any detail.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { readTlsFiles, type ClientTlsSettings } from '../security/client-credentials.ts';
import { hostAndPort } from './address.ts';

const PATIENCE_MS = 3000;
/** The preface of every HTTP/2 connection, and an empty SETTINGS frame. */
const GREETING = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
const [FRAME_HEADER_BYTES, SETTINGS_FRAME] = [9, 4];
/** First bytes of a TLS server's answer to a client without TLS. */
const [TLS_ALERT, TLS_VERSION] = [0x15, 3];
const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|SIGNATURE_FAILURE|CERT_UNTRUSTED|INVALID_CA|CERT_CHAIN/;

export interface Diagnosis {
  readonly reason: string;
  readonly message: string;
}

type Probe =
  | { readonly outcome: 'grpc' | 'http' | 'tls' | 'other' | 'silent' | 'closed' }
  | { readonly outcome: 'failed'; readonly error: NodeJS.ErrnoException & { cert?: PeerCertificate } };

/** @returns undefined when nothing is wrong now */
export async function diagnose(address: string, tls: ClientTlsSettings): Promise<Diagnosis | undefined> {
  const { host, port } = hostAndPort(address);
  const plain = await probe(connectTcp({ host, port }), 'connect');
  if (plain.outcome === 'failed') return unreachable(address, host, plain.error);
  if (tls.tlsCa !== undefined) {
    const secure = await probe(connectTls({ host, port, ...tlsOptions(host, tls) }), 'secureConnect');
    if (secure.outcome === 'grpc') return undefined;
    return withoutTls(address, plain) ?? tlsFault(address, host, secure, tls);
  }
  if (plain.outcome === 'grpc') return undefined;
  // The server need not be verified: only the greeting is sent.
  const secure = await probe(
    connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
    'secureConnect',
  );
  if (secure.outcome !== 'failed' || secure.error.code?.includes('ALERT') === true || plain.outcome === 'tls') {
    const message = `The service at ${address} uses TLS: name the authority of its certificate with --tls-ca.`;
    return { reason: 'TLS_REQUIRED', message };
  }
  return notAService(address, plain);
}

function tlsOptions(host: string, tls: ClientTlsSettings): ConnectionOptions {
  return {
    ...readTlsFiles(tls),
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
    ...(isIP(host) === 0 && { servername: host }),
  };
}

function unreachable(address: string, host: string, { code }: NodeJS.ErrnoException): Diagnosis {
  const start = 'start one with "npm start", or correct --address';
  const message =
    code === 'ENOTFOUND' || code === 'EAI_AGAIN'
      ? `The host name ${host} cannot be resolved (${code}): correct --address.`
      : code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH'
        ? `No machine answers at ${address} (${code}): the network or a firewall is in the way, or --address is wrong.`
        : `No service answers at ${address}${code === 'ECONNREFUSED' ? '' : ` (${code ?? 'unknown'})`}: ${start}.`;
  return { reason: 'SERVICE_UNREACHABLE', message };
}

/** Diagnoses a server whose answer to a greeting without TLS is not that of a TLS server. */
function withoutTls(address: string, plain: Probe): Diagnosis | undefined {
  if (plain.outcome === 'http' || plain.outcome === 'other') return notAService(address, plain);
  if (plain.outcome !== 'grpc') return undefined;
  const message = `The service at ${address} does not use TLS: leave out --tls-ca, or start it with RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY.`;
  return { reason: 'TLS_NOT_SPOKEN', message };
}

function tlsFault(address: string, host: string, secure: Probe, tls: ClientTlsSettings): Diagnosis {
  const code = secure.outcome === 'failed' ? (secure.error.code ?? secure.error.message) : '';
  if (secure.outcome === 'failed' && code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = secure.error.cert?.subjectaltname ?? 'no name at all';
    const message = `The certificate of ${address} is not for ${host}: it is for ${names}. Use a name of the certificate in --address.`;
    return { reason: 'CERTIFICATE_NAME_WRONG', message };
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const when = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet';
    const message = `The certificate of ${address} ${when}: renew it, or correct the clock of this machine.`;
    return { reason: 'CERTIFICATE_EXPIRED', message };
  }
  if (UNTRUSTED.test(code)) {
    const message = `The certificate of ${address} does not come from an authority in ${tls.tlsCa} (${code}): name the right one with --tls-ca. If it is the right one, this is not your service.`;
    return { reason: 'CERTIFICATE_UNTRUSTED', message };
  }
  // A server that verifies outside its TLS library closes a connection it rejects without an alert.
  if (secure.outcome === 'closed' || /ALERT|ECONNRESET|EPIPE/.test(code)) {
    if (tls.tlsCert === undefined) {
      const message = `The service at ${address} ended the connection: it requires a client certificate, --tls-cert and --tls-key.`;
      return { reason: 'CLIENT_CERTIFICATE_REQUIRED', message };
    }
    const message = `The service at ${address} does not accept the certificate in ${tls.tlsCert}: it has expired, or does not come from an authority of RIDGEWATCH_TLS_CLIENT_CA.`;
    return { reason: 'CLIENT_CERTIFICATE_REFUSED', message };
  }
  if (secure.outcome === 'failed') {
    return { reason: 'TLS_FAILED', message: `No TLS connection to ${address} comes about: ${code}.` };
  }
  return notAService(address, secure);
}

function notAService(address: string, { outcome }: Probe): Diagnosis {
  const what =
    outcome === 'http'
      ? 'is an HTTP server and does not speak gRPC: is it the port for health and metrics?'
      : outcome === 'silent'
        ? `accepts connections but sends nothing for ${PATIENCE_MS / 1000} s: it is overloaded, or not a Ridgewatch service.`
        : 'does not speak gRPC.';
  return { reason: 'NOT_A_SERVICE', message: `The server at ${address} ${what} Name the gRPC port with --address.` };
}

/** Greets a server and reads its answer. Always ends in time. */
function probe(socket: Socket, ready: 'connect' | 'secureConnect'): Promise<Probe> {
  return new Promise((resolve) => {
    let isConnected = false;
    const conclude = (result: Probe) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => {
      const error = Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });
      conclude(isConnected ? { outcome: 'silent' } : { outcome: 'failed', error });
    }, PATIENCE_MS);
    socket.once(ready, () => {
      isConnected = true;
      socket.write(GREETING);
    });
    socket.once('data', (data: Buffer) => conclude({ outcome: speakerOf(data) }));
    socket.on('error', (error) => {
      // A plain connection that is reset after it was made is not a failure to connect.
      const isReset = isConnected && ready === 'connect';
      conclude(isReset ? { outcome: 'closed' } : { outcome: 'failed', error });
    });
    socket.once('close', () => conclude({ outcome: 'closed' }));
  });
}

function speakerOf(firstBytes: Buffer): 'grpc' | 'http' | 'tls' | 'other' {
  if (firstBytes.subarray(0, 5).toString('latin1') === 'HTTP/') return 'http';
  if (firstBytes[0] === TLS_ALERT && firstBytes[1] === TLS_VERSION) return 'tls';
  return firstBytes.length >= FRAME_HEADER_BYTES && firstBytes[3] === SETTINGS_FRAME ? 'grpc' : 'other';
}
