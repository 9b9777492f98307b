import type { X509Certificate } from 'node:crypto';
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { asFailure, type Failure } from '../failure.ts';
import { ClientTrust } from './client-trust.ts';
import { certificatesIn, invalidTls, readSettingFile } from './pem-file.ts';
import { revocationListsIn } from './revocation-list.ts';

/** Paths of the files, all in PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** Authorities of clients' certificates. */
  readonly clientCa: string | undefined;
  /** Their lists of revoked certificates. */
  readonly clientCrl: string | undefined;
}

/** The time that something is valid. */
export interface Lifetime {
  readonly what: 'server_certificate' | 'client_ca' | 'client_crl';
  readonly from: Date;
  readonly until: Date;
}

/** What reading the files again came to. */
export interface Reloading {
  /** Whether something else is in force now. */
  readonly isReplaced: boolean;
  /** Why files stay as they were read before. */
  readonly failures: readonly Failure[];
}

/** What follows the certificates in force. */
export interface CertificateFollower {
  /** Other certificates are in force, for new connections. */
  replaced(): void;
  /** Connections are to be looked at again. @param now - milliseconds since 1970 */
  examine(now: number): void;
}

interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** The certificate of the service first. */
  readonly chain: readonly X509Certificate[];
}

interface Clients {
  readonly ca: Buffer;
  readonly crl: Buffer | undefined;
  readonly trust: ClientTrust;
}

/**
 * The certificate of the service and the authorities of its clients, as they were last read from their files. The two
 * are replaced separately: a broken certificate must not keep a revoked client in.
 */
export class ServerCertificates {
  readonly files: CertificateFiles;
  #identity: Identity;
  #clients: Clients | undefined;
  readonly #followers = new Set<CertificateFollower>();
  #reloading: Promise<Reloading> | undefined;

  /** @throws Failure TLS_INVALID: one sentence that names the setting */
  constructor(files: CertificateFiles) {
    this.files = files;
    this.#identity = readIdentity(files);
    this.#clients = readClients(files);
  }

  /** For OpenSSL. Nothing in it comes from the environment. */
  get context(): SecureContextOptions {
    return contextOf(this.#identity, this.#clients);
  }

  /** Undefined: clients are not asked for certificates. */
  get trust(): ClientTrust | undefined {
    return this.#clients?.trust;
  }

  get lifetimes(): readonly Lifetime[] {
    const { chain } = this.#identity;
    const { authorities = [], lists = [] } = this.trust ?? {};
    return [
      ...chain
        .slice(0, 1)
        .map(({ validFromDate: from, validToDate: until }) => ({ what: 'server_certificate', from, until }) as const),
      ...authorities.map(
        ({ validFromDate: from, validToDate: until }) => ({ what: 'client_ca', from, until }) as const,
      ),
      ...lists.flatMap(({ thisUpdate: from, nextUpdate: until }) =>
        until === undefined ? [] : [{ what: 'client_crl', from, until } as const],
      ),
    ];
  }

  /** @returns ends the following */
  follow(follower: CertificateFollower): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Ends connections whose certificate is no longer accepted. @param now - milliseconds since 1970 */
  examine(now: number): void {
    for (const follower of this.#followers) follower.examine(now);
  }

  /** Reads the files again. What cannot be used stays as it is. One reading at a time. */
  async reload(): Promise<Reloading> {
    while (this.#reloading !== undefined) await this.#reloading;
    this.#reloading = this.#read();
    try {
      return await this.#reloading;
    } finally {
      this.#reloading = undefined;
    }
  }

  /** @throws Failure TLS_INVALID, if a revocation list is not signed by the authority that it names */
  async requireSignedLists(): Promise<void> {
    if (this.#clients !== undefined) await requireSigned(this.files, this.#clients.trust);
  }

  async #read(): Promise<Reloading> {
    const failures: Failure[] = [];
    const take = async (read: () => boolean | Promise<boolean>) => {
      try {
        return await read();
      } catch (error) {
        failures.push(asFailure(error));
        return false;
      }
    };
    const hasIdentity = await take(() => this.#takeIdentity());
    const hasClients = await take(() => this.#takeClients());
    const isReplaced = hasIdentity || hasClients;
    if (isReplaced) for (const follower of this.#followers) follower.replaced();
    if (hasClients) this.examine(Date.now());
    return { isReplaced, failures };
  }

  #takeIdentity(): boolean {
    const identity = readIdentity(this.files);
    const { cert, key } = this.#identity;
    if (identity.cert.equals(cert) && identity.key.equals(key)) return false;
    const now = Date.now();
    const isValid = ({ validFromDate, validToDate }: X509Certificate) =>
      validFromDate.getTime() <= now && now <= validToDate.getTime();
    // At a start there is no better one.
    if (!identity.chain.slice(0, 1).every(isValid))
      throw invalidTls(`The certificate in ${this.files.cert} (RIDGEWATCH_TLS_CERT) is not valid now.`);
    this.#identity = identity;
    return true;
  }

  async #takeClients(): Promise<boolean> {
    const clients = readClients(this.files);
    if (clients === undefined || isSame(clients, this.#clients)) return false;
    await requireSigned(this.files, clients.trust);
    this.#clients = clients;
    return true;
  }
}

function readIdentity(files: CertificateFiles): Identity {
  const cert = readSettingFile('RIDGEWATCH_TLS_CERT', files.cert);
  const key = readSettingFile('RIDGEWATCH_TLS_KEY', files.key);
  const identity = { cert, key, chain: certificatesIn('RIDGEWATCH_TLS_CERT', files.cert, cert) };
  try {
    createSecureContext(contextOf(identity, undefined));
  } catch {
    throw invalidTls(
      'RIDGEWATCH_TLS_CERT and RIDGEWATCH_TLS_KEY do not hold a certificate and the key that belongs to it.',
    );
  }
  return identity;
}

function readClients({ clientCa, clientCrl }: CertificateFiles): Clients | undefined {
  if (clientCa === undefined) return undefined;
  const ca = readSettingFile('RIDGEWATCH_TLS_CLIENT_CA', clientCa);
  const crl = clientCrl === undefined ? undefined : readSettingFile('RIDGEWATCH_TLS_CLIENT_CRL', clientCrl);
  const authorities = certificatesIn('RIDGEWATCH_TLS_CLIENT_CA', clientCa, ca);
  const lists =
    crl === undefined || clientCrl === undefined ? [] : revocationListsIn('RIDGEWATCH_TLS_CLIENT_CRL', clientCrl, crl);
  const clients = { ca, crl, trust: new ClientTrust(authorities, lists) };
  try {
    createSecureContext(clientOptions(clients));
  } catch {
    throw invalidTls(
      'RIDGEWATCH_TLS_CLIENT_CA and RIDGEWATCH_TLS_CLIENT_CRL hold something that OpenSSL does not take.',
    );
  }
  return clients;
}

/** A list that its authority has not signed makes OpenSSL refuse every client of the authority. */
async function requireSigned({ clientCrl = '' }: CertificateFiles, trust: ClientTrust): Promise<void> {
  for (const list of trust.lists) {
    const named = trust.authorities.filter((authority) => list.isNamedBy(authority));
    const isSigned = (await Promise.all(named.map((authority) => list.isSignedBy(authority)))).includes(true);
    // The authority of a list may be known only to clients, which send its certificate.
    if (named.length > 0 && !isSigned)
      throw invalidTls(`A revocation list in ${clientCrl} (RIDGEWATCH_TLS_CLIENT_CRL) is not signed by its authority.`);
  }
}

function isSame(one: Clients, other: Clients | undefined): boolean {
  if (other === undefined || !one.ca.equals(other.ca)) return false;
  return one.crl === undefined ? other.crl === undefined : other.crl !== undefined && one.crl.equals(other.crl);
}

/** OpenSSL gets what was read here, not the files: it passes over what it cannot read in them. */
function contextOf({ chain, key }: Identity, clients: Clients | undefined): SecureContextOptions {
  return {
    cert: chain.map(String).join(''),
    key,
    ...(clients && clientOptions(clients)),
    minVersion: 'TLSv1.2',
    // With TLS 1.2 a client could request any number of handshakes on one connection. A resumed session would not be
    // verified again: whose certificate was revoked could come back with a ticket.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  };
}

function clientOptions({ trust }: Clients): SecureContextOptions {
  return {
    ca: trust.authorities.map(String),
    ...(trust.lists.length > 0 && { crl: trust.lists.map(({ pem }) => pem) }),
  };
}
