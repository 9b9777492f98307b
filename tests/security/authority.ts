/** Authorities of any kind, with certificates and revocation lists. */
import 'reflect-metadata';
import { X509Certificate, type webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
  type Extension,
  type JsonGeneralNames,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
export const DAY_MS = 86_400_000;

/** A certificate and its key, in PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly certificate: X509Certificate;
}

export interface IssueOptions {
  readonly names?: JsonGeneralNames;
  readonly usage?: ExtendedKeyUsage;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly serial?: string;
  readonly isAuthority?: boolean;
}

const keyPair = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return pem('PRIVATE KEY', Buffer.from(await crypto.subtle.exportKey('pkcs8', key)));
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;
}

export class Authority {
  readonly cert: string;
  readonly certificate: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #name: string;
  #serial = 1;

  private constructor(cert: string, keys: webcrypto.CryptoKeyPair, name: string) {
    this.cert = cert;
    this.certificate = new X509Certificate(cert);
    this.#keys = keys;
    this.#name = name;
  }

  static async create(name: string): Promise<Authority> {
    return Authority.#selfSigned(`CN=${name}`, await keyPair());
  }

  /** Another certificate of the same name and key. */
  renew(): Promise<Authority> {
    return Authority.#selfSigned(this.#name, this.#keys);
  }

  static async #selfSigned(name: string, keys: webcrypto.CryptoKeyPair): Promise<Authority> {
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 90 * DAY_MS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: authorityExtensions(),
    });
    return new Authority(certificate.toString('pem'), keys, name);
  }

  /** An authority below this one. */
  async createBelow(name: string): Promise<Authority> {
    const keys = await keyPair();
    const { cert } = await this.#sign(name, keys, { isAuthority: true });
    return new Authority(cert, keys, `CN=${name}`);
  }

  /** Another certificate, by this authority, of one that is below another. */
  async certifyAgain(below: Authority): Promise<X509Certificate> {
    const { certificate } = await this.#sign(below.#name.replace('CN=', ''), below.#keys, { isAuthority: true });
    return certificate;
  }

  /** @returns `asAuthority`: signs with the certificate as if it were one of an authority */
  async issue(name: string, options: IssueOptions = {}): Promise<Issued & { asAuthority(): Authority }> {
    const keys = await keyPair();
    const { cert, certificate } = await this.#sign(name, keys, options);
    const key = await pemOf(keys.privateKey);
    return { cert, certificate, key, asAuthority: () => new Authority(cert, keys, `CN=${name}`) };
  }

  /** @param revoked - certificates of this authority */
  async revoke(
    revoked: readonly { readonly certificate: X509Certificate }[],
    nextUpdate = new Date(Date.now() + DAY_MS),
    thisUpdate = new Date(Math.min(Date.now(), nextUpdate.getTime()) - DAY_MS),
  ): Promise<string> {
    const list = await X509CrlGenerator.create({
      issuer: this.#name,
      thisUpdate,
      nextUpdate,
      signingAlgorithm: ALGORITHM,
      signingKey: this.#keys.privateKey,
      entries: revoked.map(({ certificate }) => ({ serialNumber: certificate.serialNumber })),
    });
    // The library's own label is not the one of RFC 7468.
    return pem('X509 CRL', Buffer.from(list.rawData));
  }

  async #sign(
    name: string,
    keys: webcrypto.CryptoKeyPair,
    { names, usage, notBefore, notAfter, serial, isAuthority }: IssueOptions,
  ): Promise<Omit<Issued, 'key'>> {
    const extensions: Extension[] = [
      ...(isAuthority === true ? authorityExtensions() : []),
      ...(usage === undefined ? [] : [new ExtendedKeyUsageExtension([usage])]),
      ...(names === undefined ? [] : [new SubjectAlternativeNameExtension(names)]),
    ];
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serial ?? (0x1000 + this.#serial++).toString(16),
      subject: name === '' ? '' : `CN=${name}`,
      issuer: this.#name,
      notBefore: notBefore ?? new Date(Date.now() - DAY_MS),
      notAfter: notAfter ?? new Date(Date.now() + DAY_MS),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    });
    const cert = `${certificate.toString('pem')}\n`;
    return { cert, certificate: new X509Certificate(cert) };
  }
}

function authorityExtensions(): Extension[] {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
}

export { ExtendedKeyUsage };
