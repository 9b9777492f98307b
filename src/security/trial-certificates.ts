/** Certificates for trying TLS: an authority whose key is kept nowhere safe, and what it certifies. */
// The library needs it before it is loaded.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
  type Extension,
} from '@peculiar/x509';

/** A certificate and its private key, in PEM. */
export interface CertificateAndKey {
  readonly cert: string;
  readonly key: string;
}

export interface TrialCertificates {
  readonly authority: CertificateAndKey;
  readonly server: CertificateAndKey;
  /** By name of the client. */
  readonly clients: ReadonlyMap<string, CertificateAndKey>;
  readonly notAfter: Date;
}

export interface TrialOptions {
  /** Names and addresses of the service, besides those of the loopback address. */
  readonly hosts: readonly string[];
  /** Names of clients, as common names. */
  readonly clients: readonly string[];
  readonly days: number;
  readonly now: Date;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const DAY_MS = 86_400_000;
/** Clocks of two machines differ. */
const EARLIER_MS = 300_000;

/** Makes an authority, a certificate for the service and one for each client. All end after the same time. */
export async function makeTrialCertificates({ hosts, clients, days, now }: TrialOptions): Promise<TrialCertificates> {
  const validity = {
    notBefore: new Date(now.getTime() - EARLIER_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
  };
  const authorityKeys = await makeKeys();
  const issuer = 'CN=Ridgewatch trial authority';
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: issuer,
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const certify = async (name: string, usage: ExtendedKeyUsage, more: Extension[]): Promise<CertificateAndKey> => {
    const keys = await makeKeys();
    const certificate = await X509CertificateGenerator.create({
      ...validity,
      subject: [{ CN: [name] }],
      issuer,
      publicKey: keys.publicKey,
      signingKey: authorityKeys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([usage]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        await AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
        ...more,
      ],
    });
    return { cert: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) };
  };
  const names = [...new Set([...LOOPBACK, ...hosts])].map((host) => ({
    type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const),
    value: host,
  }));
  const made = new Map<string, CertificateAndKey>();
  for (const client of clients) made.set(client, await certify(client, ExtendedKeyUsage.clientAuth, []));
  return {
    authority: { cert: `${authority.toString('pem')}\n`, key: await pemOf(authorityKeys.privateKey) },
    server: await certify('Ridgewatch trial service', ExtendedKeyUsage.serverAuth, [
      new SubjectAlternativeNameExtension(names),
    ]),
    clients: made,
    notAfter: validity.notAfter,
  };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const text = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${text.replaceAll(/.{1,64}/g, '$&\n')}-----END PRIVATE KEY-----\n`;
}
