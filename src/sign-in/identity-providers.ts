import { isDeepStrictEqual } from 'node:util';
import type { SignIn, SignIns } from '../access/sign-in.ts';
import { Failure } from '../failure.ts';
import { readKeys } from './key-source.ts';
import { readProviderFile, type Provider } from './provider-file.ts';
import { ProviderKeys } from './provider-keys.ts';
import { checkToken, statedIssuer } from './token-check.ts';

interface Known {
  readonly provider: Provider;
  readonly keys: ProviderKeys;
}

export interface ProviderParts {
  /** Called after each reading of a provider's keys. @param error - undefined: there are keys */
  readonly keysRead: (issuer: string, error: unknown) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** The providers of the file, with their keys. A provider that is away does not keep the others from signing in. */
export class IdentityProviders implements SignIns {
  readonly #file: string | undefined;
  readonly #parts: ProviderParts;
  #known: ReadonlyMap<string, Known> = new Map();
  #files: readonly string[];
  /** The provider by which each sign-in was verified. */
  readonly #verifiedBy = new WeakMap<SignIn, Provider>();

  /**
   * @param file - undefined: there are no providers
   * @throws Failure OIDC_INVALID
   */
  constructor(file: string | undefined, parts: ProviderParts) {
    this.#file = file;
    this.#parts = parts;
    this.#files = file === undefined ? [] : [file];
    this.reload();
  }

  /** URLs of the providers. */
  get issuers(): readonly string[] {
    return [...this.#known.keys()];
  }

  /** The files that the providers were read from. */
  get files(): readonly string[] {
    return this.#files;
  }

  /**
   * Reads the file again. A provider that is unchanged keeps its keys until they are read again.
   * @throws Failure OIDC_INVALID; the providers then stay as they are
   */
  reload(): void {
    if (this.#file === undefined) return;
    const { providers, files } = readProviderFile(this.#file);
    this.#known = new Map(
      providers.map((provider) => {
        const before = this.#known.get(provider.issuer);
        const isSame = before !== undefined && isDeepStrictEqual(before.provider, provider);
        return [provider.issuer, isSame ? before : { provider, keys: this.#keysOf(provider) }];
      }),
    );
    this.#files = files;
  }

  /** Reads the keys for which it is time. To be called regularly. */
  async keepUp(): Promise<void> {
    await Promise.all([...this.#known.values()].map(({ keys }) => keys.keepUp()));
  }

  /** Reads all keys now. */
  async refreshKeys(): Promise<void> {
    await Promise.all([...this.#known.values()].map(({ keys }) => keys.refresh()));
  }

  async verify(token: string): Promise<SignIn> {
    const known = this.#known.get(statedIssuer(token));
    if (known === undefined) {
      const sentence = 'The token is of a provider that the service does not know.';
      throw new Failure('unauthenticated', 'SIGN_IN_ISSUER_UNKNOWN', sentence, { field: 'authorization' });
    }
    const { provider, keys } = known;
    const now = this.#parts.now ?? Date.now;
    const signIn = await checkToken(token, provider, (header) => keys.find(header), now());
    this.#verifiedBy.set(signIn, provider);
    return signIn;
  }

  trusts(signIn: SignIn): boolean {
    const present = this.#known.get(signIn.issuer)?.provider;
    return present !== undefined && isDeepStrictEqual(present, this.#verifiedBy.get(signIn));
  }

  agencyOf(issuer: string): string | undefined {
    return this.#known.get(issuer)?.provider.agency;
  }

  #keysOf(provider: Provider): ProviderKeys {
    return new ProviderKeys({
      read: () => readKeys(provider),
      told: (error) => this.#parts.keysRead(provider.issuer, error),
    });
  }
}
