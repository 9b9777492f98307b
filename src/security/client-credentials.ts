import { createSecureContext } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { readBounded } from './pem-file.ts';

export interface ClientTlsSettings {
  /** File with the accepted authorities of the server's certificate; without it the connection is plaintext. */
  readonly tlsCa: string | undefined;
  /** Files with the client's own certificate and key, for mutual TLS. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
}

/** Contents of the files (PEM). */
export interface ClientTlsFiles {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/;
const KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/**
 * A client's certificate and trusted authorities. Authorities named in the environment are never trusted.
 * @throws Failure TLS_INVALID: one sentence
 */
export function createClientCredentials(settings: ClientTlsSettings): ChannelCredentials {
  const { tlsCa, tlsCert, tlsKey } = settings;
  if (tlsCa === undefined) {
    if (tlsCert !== undefined || tlsKey !== undefined)
      throw invalid('A client certificate needs the authority of the server too: --tls-ca.');
    return ChannelCredentials.createInsecure();
  }
  const { ca, cert, key } = readTlsFiles(settings);
  return ChannelCredentials.createSsl(ca, key ?? null, cert ?? null, { rejectUnauthorized: true });
}

/** @throws Failure TLS_INVALID that names the file and the fault */
export function readTlsFiles({ tlsCa = '', tlsCert, tlsKey }: ClientTlsSettings): ClientTlsFiles {
  if (tlsCert === undefined || tlsKey === undefined) {
    if (tlsCert !== tlsKey) throw invalid('A client certificate and its key go together: --tls-cert, --tls-key.');
    return { ca: readAuthorities(tlsCa) };
  }
  const files = {
    ca: readAuthorities(tlsCa),
    cert: read('--tls-cert', tlsCert, CERTIFICATE, 'certificate'),
    key: read('--tls-key', tlsKey, KEY, 'private key'),
  };
  try {
    createSecureContext(files);
  } catch {
    const sentence = `${tlsKey} (--tls-key) does not hold the key, without a passphrase, of the certificate in ${tlsCert} (--tls-cert).`;
    throw invalid(sentence);
  }
  return files;
}

function readAuthorities(file: string): Buffer {
  const ca = read('--tls-ca', file, CERTIFICATE, 'certificate');
  try {
    createSecureContext({ ca });
  } catch {
    throw invalid(`${file} (--tls-ca) holds a certificate that is damaged.`);
  }
  return ca;
}

function read(option: string, file: string, wanted: RegExp, what: string): Buffer {
  let content: Buffer;
  try {
    content = readBounded(file);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw invalid(`The file ${file} (${option}) cannot be read (${code}).`);
  }
  if (wanted.test(content.toString('latin1'))) return content;
  throw invalid(`The file ${file} (${option}) holds no ${what} in PEM.`);
}

function invalid(sentence: string): Failure {
  return new Failure('invalid-argument', 'TLS_INVALID', sentence);
}
