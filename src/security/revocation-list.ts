// The library needs it before it is loaded.
import 'reflect-metadata';
import type { X509Certificate as Certificate } from 'node:crypto';
import { PublicKey, X509Certificate, X509Crl } from '@peculiar/x509';
import { invalidTls, pemBlocks } from './pem-file.ts';

/** Elements of ASN.1 in a file of the greatest size: the library's limits are for what strangers send. */
const LIMITS = { maxNodes: 1_000_000, maxContentLength: 1 << 21 };

/** A list of revoked certificates, as an authority has signed it (CRL). */
export class RevocationList {
  /** In PEM, alone. */
  readonly pem: string;
  /** Name of the authority: its DER in hexadecimal. */
  readonly #issuer: string;
  readonly thisUpdate: Date;
  /** After it OpenSSL accepts no certificate of the authority; undefined: the list does not say. */
  readonly nextUpdate: Date | undefined;
  readonly #crl: X509Crl;
  readonly #serials: ReadonlySet<string>;

  /** @throws if it is not a list */
  constructor(pem: string) {
    this.pem = pem;
    const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
    this.#crl = new X509Crl(der, { berOptions: LIMITS });
    this.#issuer = hexOf(this.#crl.issuerName.toArrayBuffer());
    this.thisUpdate = this.#crl.thisUpdate;
    this.nextUpdate = this.#crl.nextUpdate;
    this.#serials = new Set(this.#crl.entries.map(({ serialNumber }) => digitsOf(serialNumber)));
  }

  /** @param serial - of a certificate of this authority, hexadecimal */
  revokes(serial: string): boolean {
    return this.#serials.has(digitsOf(serial));
  }

  /** Whether it is a list of this authority, by its name. */
  isNamedBy(authority: Certificate): boolean {
    return this.#issuer === subjectOf(authority);
  }

  /** Whether an authority has signed it. */
  async isSignedBy(authority: Certificate): Promise<boolean> {
    const key = authority.publicKey.export({ type: 'spki', format: 'der' });
    return this.#crl.verify({ publicKey: new PublicKey(key) }).catch(() => false);
  }
}

/** @throws Failure TLS_INVALID */
export function revocationListsIn(setting: string, file: string, pem: Buffer): readonly RevocationList[] {
  try {
    const blocks = pemBlocks(pem.toString('latin1'), 'X509 CRL');
    if (blocks !== undefined) return blocks.map((block) => new RevocationList(block));
  } catch {
    // The library's error would quote the content.
  }
  throw invalidTls(`The file ${file} (${setting}) holds no complete revocation list in PEM, or one that is damaged.`);
}

/** Name of an authority: its DER in hexadecimal. */
function subjectOf(certificate: Certificate): string {
  return hexOf(new X509Certificate(certificate.raw).subjectName.toArrayBuffer());
}

function hexOf(bytes: ArrayBuffer): string {
  return Buffer.from(bytes).toString('hex');
}

/** Node.js writes serial numbers in capitals and without leading zeros, the library otherwise. */
function digitsOf(serial: string): string {
  return serial.toLowerCase().replace(/^0+(?=.)/, '');
}
