import { createHash } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** What a verified certificate says about its holder. */
export interface CertificateFacts {
  /** SHA-256 of the certificate (DER), hexadecimal. */
  readonly fingerprint: string;
  /** SHA-256 of each certificate above it (DER), hexadecimal. */
  readonly issuers: readonly string[];
  /** Subject alternative names, `URI:…` and `DNS:…`. */
  readonly names: readonly string[];
}

/** @returns undefined: the peer has shown no certificate, or none that the service's authorities have issued */
export function certificateFacts(socket: TLSSocket): CertificateFacts | undefined {
  if (!socket.authorized) return undefined;
  const own = socket.getPeerCertificate(true) as DetailedPeerCertificate | undefined;
  if (own?.raw === undefined) return undefined;
  const issuers: string[] = [];
  for (let one = own; one.issuerCertificate !== undefined && one.issuerCertificate !== one; one = one.issuerCertificate)
    issuers.push(digest(one.issuerCertificate.raw));
  return { fingerprint: digest(own.raw), issuers, names: [] };
}

function digest(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex');
}
