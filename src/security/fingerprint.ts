import type { X509Certificate } from 'node:crypto';

/** SHA-256 of a certificate (DER), as 64 hexadecimal digits. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}
