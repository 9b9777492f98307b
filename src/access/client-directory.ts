import { isDeepStrictEqual } from 'node:util';
import type { Client } from './principal.ts';

/** A credential as it was registered. */
export interface RegisteredCredential {
  readonly credentialId: string;
  /** `oidc`: a person, known by its issuer and subject at an identity provider. */
  readonly kind: 'certificate' | 'certificate-name' | 'token' | 'oidc';
  /**
   * SHA-256 of the certificate (DER), of the token, or of issuer and subject (`subjectFingerprint`), hexadecimal;
   * undefined: `certificate-name`.
   */
  readonly fingerprint: string | undefined;
  /** `URI:…` or `DNS:…`, only `certificate-name`; the subject, only `oidc`. */
  readonly name: string | undefined;
  /** SHA-256 of the issuer's certificate, hexadecimal, only `certificate-name`; the issuer's URL, only `oidc`. */
  readonly issuer: string | undefined;
  readonly createTime: Date;
  readonly createdBy: string;
  readonly expireTime: Date | undefined;
  readonly revokeTime: Date | undefined;
  /** Only with revokeTime. */
  readonly revokedBy: string | undefined;
}

/** A client as it was registered. */
export interface RegisteredClient {
  readonly client: Client;
  readonly credentials: readonly RegisteredCredential[];
  readonly createTime: Date;
  readonly createdBy: string;
  /** Undefined: enabled. */
  readonly disableTime: Date | undefined;
  readonly disableReason: string | undefined;
  /** Counts the states of the client and its credentials; never falls. */
  readonly version: number;
}

/** Ids that clients can be registered with. Others are in the database only if they were written there by another hand. */
export const CLIENT_ID = /^[A-Za-z0-9._:-]{1,64}$/;

/** A client that is not what was registered: it is not let in. */
export interface DamagedClient {
  readonly clientId: string;
  /** A reason of docs/errors.md. */
  readonly reason: string;
}

/** An earlier state of a client is stored than one that this process has seen. */
const CLIENT_PUT_BACK = 'CLIENT_PUT_BACK';
/** A client that this process has seen is no longer stored. Clients are disabled, and never deleted. */
const CLIENT_MISSING = 'CLIENT_MISSING';

/** Where clients are registered. */
export interface ClientSource {
  /** Grows with every change. */
  clientVersion(): Promise<number>;
  readClients(): Promise<{
    readonly version: number;
    readonly clients: readonly RegisteredClient[];
    readonly damaged: readonly DamagedClient[];
  }>;
}

export interface Found {
  readonly registered: RegisteredClient;
  readonly credential: RegisteredCredential;
}

/** The registered clients in memory, by their credentials. While the source is away, the last known ones apply. */
export class ClientDirectory {
  readonly #source: ClientSource;
  readonly #listeners = new Set<() => void>();
  #version = -1;
  #byFingerprint = new Map<string, Found>();
  #byName = new Map<string, Found>();
  #clients: readonly RegisteredClient[] = [];
  #byId: ReadonlyMap<string, RegisteredClient> = new Map();
  #damaged: readonly DamagedClient[] = [];
  /** The highest version of each client that was ever read. */
  readonly #versions = new Map<string, number>();
  #reading: Promise<void> | undefined;

  constructor(source: ClientSource) {
    this.#source = source;
  }

  /** In order of client id. */
  get clients(): readonly RegisteredClient[] {
    return this.#clients;
  }

  /** Clients that are not what was registered, or an earlier state of it, in order of client id. */
  get damaged(): readonly DamagedClient[] {
    return this.#damaged;
  }

  /** @returns undefined: no client has this id */
  byId(clientId: string): RegisteredClient | undefined {
    return this.#byId.get(clientId);
  }

  /** Reads the clients again if they have changed. Calls during a reading wait for one that begins after it. */
  async refresh(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    return (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)));
  }

  /** @returns undefined: no credential has this digest */
  byFingerprint(kind: 'certificate' | 'token' | 'oidc', fingerprint: string): Found | undefined {
    return this.#byFingerprint.get(`${kind} ${fingerprint}`);
  }

  /** @param issuers - SHA-256 of the certificates that issued the caller's, hexadecimal */
  byName(names: readonly string[], issuers: readonly string[]): Found | undefined {
    for (const name of names)
      for (const issuer of issuers) {
        const found = this.#byName.get(`${issuer} ${name}`);
        if (found !== undefined) return found;
      }
    return undefined;
  }

  /** @param listener - called after every change @returns ends the calls */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Decisions are kept for a client object: it stays the same while nothing about the client changes. */
  #withKnownObject(registered: RegisteredClient): RegisteredClient {
    const known = this.byId(registered.client.clientId);
    return known !== undefined && isDeepStrictEqual(known.client, registered.client)
      ? { ...registered, client: known.client }
      : registered;
  }

  /** Clients of which this process has seen a later state. */
  #earlierThanSeen(clients: readonly RegisteredClient[], damaged: readonly DamagedClient[]): DamagedClient[] {
    const found: DamagedClient[] = [];
    const stored = new Set(damaged.map(({ clientId }) => clientId));
    for (const { client, version } of clients) {
      const { clientId } = client;
      stored.add(clientId);
      if (version < (this.#versions.get(clientId) ?? 0)) found.push({ clientId, reason: CLIENT_PUT_BACK });
      else this.#versions.set(clientId, version);
    }
    for (const clientId of this.#versions.keys())
      if (!stored.has(clientId)) found.push({ clientId, reason: CLIENT_MISSING });
    return found;
  }

  async #read(): Promise<void> {
    if ((await this.#source.clientVersion()) === this.#version) return;
    const { version, clients, damaged } = await this.#source.readClients();
    const earlier = this.#earlierThanSeen(clients, damaged);
    const isEarlier = new Set(earlier.map(({ clientId }) => clientId));
    const byFingerprint = new Map<string, Found>();
    const byName = new Map<string, Found>();
    const present = clients
      .filter(({ client }) => !isEarlier.has(client.clientId))
      .map((registered) => this.#withKnownObject(registered));
    for (const registered of present) {
      for (const credential of registered.credentials) {
        const { kind, fingerprint, name, issuer } = credential;
        if (kind === 'certificate-name') byName.set(`${issuer} ${name}`, { registered, credential });
        else byFingerprint.set(`${kind} ${fingerprint}`, { registered, credential });
      }
    }
    this.#clients = present;
    this.#damaged = [...damaged, ...earlier].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
    this.#byId = new Map(present.map((registered) => [registered.client.clientId, registered]));
    this.#byFingerprint = byFingerprint;
    this.#byName = byName;
    this.#version = version;
    for (const listener of this.#listeners) listener();
  }
}
