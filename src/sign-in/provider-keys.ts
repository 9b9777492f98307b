import { createLocalJWKSet, type CryptoKey, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';
import { Failure } from '../failure.ts';

/** In milliseconds. */
export interface KeyTimes {
  /** Interval of the readings. A key that the provider withdraws is trusted this long. */
  readonly refreshMs: number;
  /** Interval after a failed reading, and the shortest one of readings that unknown keys ask for. */
  readonly cooldownMs: number;
  /** Time for which keys are trusted while the provider is away. */
  readonly keepMs: number;
}

/** Calls that wait for one reading. Each holds its token, and each may have made up the name of its key. */
const MAX_WAITING = 100;

export const KEY_TIMES: KeyTimes = { refreshMs: 300_000, cooldownMs: 30_000, keepMs: 3_600_000 };

interface Kept {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  /** When they were read. */
  readonly at: number;
}

export interface KeyParts {
  readonly read: () => Promise<JSONWebKeySet>;
  /** Called after each reading. @param error - undefined: there are keys */
  readonly told: (error: unknown) => void;
  readonly times?: KeyTimes | undefined;
  /** Milliseconds that never go back. */
  readonly now?: (() => number) | undefined;
}

/** The public keys of one provider in memory. Calls wait for a reading only where their key is not known. */
export class ProviderKeys {
  readonly #parts: KeyParts;
  readonly #times: KeyTimes;
  readonly #now: () => number;
  #kept: Kept | undefined;
  #reading: Promise<void> | undefined;
  #lastBegun = -Infinity;
  #hasFailed = false;
  #waiting = 0;

  constructor(parts: KeyParts) {
    this.#parts = parts;
    this.#times = parts.times ?? KEY_TIMES;
    this.#now = parts.now ?? (() => performance.now());
  }

  /**
   * The key that a token names. An unknown one has the keys read again, unless this was just done: tokens with
   * made-up names of keys cause one reading in a while, not one each.
   * @throws Failure SIGN_IN_KEY_UNKNOWN, SIGN_IN_KEYS_UNAVAILABLE
   */
  async find(header: JWSHeaderParameters): Promise<CryptoKey> {
    const known = await this.#search(header);
    if (known !== undefined) return known;
    const mayRead = this.#reading !== undefined || this.#now() - this.#lastBegun >= this.#times.cooldownMs;
    if (mayRead && this.#waiting >= MAX_WAITING) throw this.#unavailable();
    if (mayRead) {
      await this.#wait();
      const added = await this.#search(header);
      if (added !== undefined) return added;
    }
    if (this.#hasFailed) throw this.#unavailable();
    throw new Failure('unauthenticated', 'SIGN_IN_KEY_UNKNOWN', 'The provider has no key of this name.');
  }

  async #wait(): Promise<void> {
    this.#waiting++;
    try {
      await this.refresh();
    } finally {
      this.#waiting--;
    }
  }

  #unavailable(): Failure {
    const sentence = 'The key of the token is not known, and the keys of its provider cannot be read now.';
    return new Failure('unavailable', 'SIGN_IN_KEYS_UNAVAILABLE', sentence, { retryAfterMs: this.#times.cooldownMs });
  }

  /** Reads the keys, if it is time. To be called regularly. */
  async keepUp(): Promise<void> {
    const { cooldownMs, refreshMs } = this.#times;
    if (this.#now() - this.#lastBegun >= (this.#hasFailed ? cooldownMs : refreshMs)) await this.refresh();
  }

  /** Reads the keys now, or waits for a reading under way. A failed reading leaves the keys. */
  refresh(): Promise<void> {
    return (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)));
  }

  async #read(): Promise<void> {
    this.#lastBegun = this.#now();
    let fault: unknown;
    try {
      this.#kept = { find: createLocalJWKSet(await this.#parts.read()), at: this.#now() };
    } catch (error) {
      fault = error ?? new Error('unknown');
    }
    this.#hasFailed = fault !== undefined;
    this.#parts.told(fault);
  }

  /** @returns undefined: there is no such key, or the keys are too old */
  async #search(header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
    if (this.#kept === undefined || this.#now() - this.#kept.at >= this.#times.keepMs) return undefined;
    try {
      return await this.#kept.find(header);
    } catch {
      // There is none, or several that the token does not tell apart, or the provider's key itself is malformed.
      return undefined;
    }
  }
}
