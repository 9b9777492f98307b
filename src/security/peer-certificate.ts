import type { X509Certificate } from 'node:crypto';
import { alternativeNames } from './alternative-names.ts';
import type { Verified } from './client-trust.ts';
import { fingerprintOf } from './fingerprint.ts';

/** A client's certificate, verified. */
export interface CertificateFacts {
  /** SHA-256 of the certificate (DER), hexadecimal. */
  readonly fingerprint: string;
  /**
   * The same of its issuer, that one's issuer, and so on, up to the authority that the service was told to trust. Empty
   * if one of them is not in the file of authorities.
   */
  readonly issuers: readonly string[];
  /** Subject alternative names, `URI:…` and `DNS:…`, in the order of the certificate. */
  readonly names: readonly string[];
  /** Undefined if there is none, or several. */
  readonly commonName: string | undefined;
  readonly organisation: string | undefined;
  readonly notAfter: Date;
}

/** A certificate that was shown and not accepted: anybody can make one with any content. */
export interface ShownCertificate {
  readonly fingerprint: string;
  /** At most eight, of at most 256 characters. */
  readonly names: readonly string[];
  /** At most 256 characters. */
  readonly commonName: string | undefined;
  readonly notAfter: Date;
}

const MAX_SHOWN_NAMES = 8;
const MAX_SHOWN_LENGTH = 256;

/** What can be said of a certificate that TLS has verified. */
export function describePeer({ certificate, chain = [] }: Verified): CertificateFacts {
  return {
    fingerprint: fingerprintOf(certificate),
    issuers: chain.slice(1).map(fingerprintOf),
    names: alternativeNames(certificate.subjectAltName),
    commonName: nameOf(certificate, 'CN'),
    organisation: nameOf(certificate, 'O'),
    notAfter: certificate.validToDate,
  };
}

/** What can be said of a certificate that was not accepted, within bounds. */
export function describeShown(certificate: X509Certificate): ShownCertificate {
  const isShort = (text: string) => text.length <= MAX_SHOWN_LENGTH;
  const commonName = nameOf(certificate, 'CN');
  return {
    fingerprint: fingerprintOf(certificate),
    names: alternativeNames(certificate.subjectAltName).filter(isShort).slice(0, MAX_SHOWN_NAMES),
    commonName: commonName !== undefined && isShort(commonName) ? commonName : undefined,
    notAfter: certificate.validToDate,
  };
}

function nameOf(certificate: X509Certificate, part: 'CN' | 'O'): string | undefined {
  const { subject } = certificate.toLegacyObject() as { subject?: Record<string, string | string[] | undefined> };
  const value = subject?.[part];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
