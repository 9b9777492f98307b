import { isDeepStrictEqual } from 'node:util';
import { FileChanges } from '../files/file-changes.ts';
import type { Logger } from '../observability/logging.ts';
import { IdentityProviders } from '../sign-in/identity-providers.ts';

/** Two looks at the files must fit into a second. In milliseconds. */
const INTERVAL_MS = 250;

export interface SignInWatchParts {
  readonly log: Logger;
  readonly countKeys: (outcome: 'read' | 'failed') => void;
}

/** Keeps the identity providers up with their file, and their keys with what they publish. */
export class SignInWatch {
  readonly providers: IdentityProviders;
  readonly #parts: SignInWatchParts;
  #changes: FileChanges;
  #timer: NodeJS.Timeout | undefined;
  #replaced: () => void = () => undefined;
  /** Providers whose keys could not be read the last time. */
  readonly #failing = new Set<string>();

  /** @param file - undefined: there are no providers @throws Failure OIDC_INVALID */
  constructor(file: string | undefined, parts: SignInWatchParts) {
    this.#parts = parts;
    const keysRead = (issuer: string, error: unknown) => this.#tellKeys(issuer, error);
    this.providers = new IdentityProviders(file, { keysRead });
    this.#changes = new FileChanges(this.providers.files);
  }

  /**
   * Begins to read the keys; a provider that is away does not hold up the start.
   * @param replaced - called when other providers are in force
   */
  start(replaced: () => void): void {
    this.#replaced = replaced;
    if (this.providers.files.length === 0) return;
    this.#parts.log.info({ issuers: this.providers.issuers }, 'identity providers are in force');
    void this.providers.keepUp();
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the file and all keys again, whether they have changed or not. Logs what comes of it. */
  async reload(): Promise<void> {
    const { log } = this.#parts;
    if (this.providers.files.length === 0) return;
    try {
      this.#read();
    } catch (error) {
      log.error({ err: error }, 'the file of identity providers cannot be used; those before stay in force');
      return;
    }
    this.#replaced();
    log.info({ issuers: this.providers.issuers }, 'identity providers are in force');
    await this.providers.refreshKeys();
  }

  /** @throws Failure OIDC_INVALID */
  #read(): void {
    const before = this.providers.files;
    this.providers.reload();
    if (isDeepStrictEqual(before, this.providers.files)) return;
    this.#changes = new FileChanges(this.providers.files);
    // Files that were not watched yet may have changed meanwhile.
    this.providers.reload();
  }

  #look(): void {
    if (this.#changes.poll()) void this.reload();
    else void this.providers.keepUp();
  }

  /** One line when reading the keys of a provider begins to fail, and one when it succeeds again. */
  #tellKeys(issuer: string, error: unknown): void {
    const { log, countKeys } = this.#parts;
    countKeys(error === undefined ? 'read' : 'failed');
    if (error === undefined) {
      if (this.#failing.delete(issuer)) log.info({ issuer }, 'the keys of an identity provider can be read again');
      return;
    }
    if (this.#failing.has(issuer)) return;
    this.#failing.add(issuer);
    log.error({ issuer, err: error }, 'the keys of an identity provider cannot be read; those known stay for an hour');
  }
}
