/** TLS of an HTTP port in tests, with the certificates of `tests/security/certificates`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpTls } from '../../src/http/http-server.ts';
import { ServerCertificates } from '../../src/security/server-certificates.ts';

const file = (name: string) => join(import.meta.dirname, '../security/certificates', name);
/** A certificate or key of the folder, in PEM. */
export const pem = (name: string) => readFileSync(file(name));
export const CA = pem('ca.pem');
export const TLS: HttpTls = {
  certificates: new ServerCertificates({
    cert: file('server.pem'),
    key: file('server.key'),
    clientCa: file('ca.pem'),
    clientCrl: undefined,
  }),
  handshakeRefused: () => undefined,
};
