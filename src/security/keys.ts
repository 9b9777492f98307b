/** Reads the keys from their file, and seals stored data with them. */
import { randomBytes, type KeyObject } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { decrypt, encrypt, NONCE_BYTES } from './aead.ts';
import { keyMissing, KeyRing, type KeyPurpose } from './key-ring.ts';
import { createSecret, readSecret, writeSecret } from './secret-file.ts';

const FILE = 'keys.json';

export interface KeySettings {
  /** Default: `keys.json` in the data directory. */
  readonly keyFile: string | undefined;
  readonly dataDir: string;
}

/** Encrypted data with the id of their key. */
export interface Sealed {
  readonly keyId: string;
  /** Nonce, ciphertext, tag. */
  readonly bytes: Uint8Array;
}

/**
 * The keys of this process. A changed file is read again: the process follows a rotation by another one without a
 * restart.
 */
export class Keys {
  readonly file: string;
  /** Directory of what this process keeps beside the keys. */
  readonly dataDir: string;
  readonly #isOwn: boolean;
  #ring: KeyRing | undefined;
  #readAt = '';

  constructor({ keyFile, dataDir }: KeySettings) {
    this.file = keyFile ?? join(dataDir, FILE);
    this.dataDir = dataDir;
    this.#isOwn = keyFile === undefined;
  }

  /**
   * Reads the keys. Creates the first one if there is none and nothing was encrypted yet.
   * @param isInUse - whether data were encrypted before, which a new key would not decrypt
   * @returns whether a key was created
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID
   */
  async open(isInUse: boolean): Promise<boolean> {
    if (this.readIfThere()) return false;
    if (isInUse || !this.#isOwn) {
      const use = isInUse ? 'What is stored was encrypted with keys that are' : 'The keys are to be';
      const sentence = `${use} in ${this.file}, which is not there: bring it back, or name it in RIDGEWATCH_KEY_FILE.`;
      throw new Failure('failed-precondition', 'KEYS_UNREADABLE', sentence);
    }
    return this.create();
  }

  /**
   * Creates the file with a first key. Never replaces a file.
   * @returns false if a file exists, which was read
   * @throws Failure KEYS_UNREADABLE
   */
  async create(): Promise<boolean> {
    const made = await createSecret(this.file, KeyRing.create(new Date()).serialise(), this.#description);
    this.readIfThere();
    return made;
  }

  /** Reads the keys, which must exist. @throws Failure KEYS_UNREADABLE, KEYS_INVALID */
  read(): void {
    if (this.readIfThere()) return;
    const sentence = `${this.#description} is not there: name the right one (--key-file, RIDGEWATCH_KEY_FILE).`;
    throw new Failure('failed-precondition', 'KEYS_UNREADABLE', sentence);
  }

  /** Whether the keys were read. */
  get isOpen(): boolean {
    return this.#ring !== undefined;
  }

  /** @throws Error before `open` */
  get ring(): KeyRing {
    if (this.#ring === undefined) throw new Error('the keys have not been opened');
    return this.#ring;
  }

  /**
   * Reads the file again if it has changed. On failure the known keys stay.
   * @returns the failure
   */
  refresh(): Failure | undefined {
    if (stampOf(this.file) === this.#readAt) return undefined;
    try {
      this.readIfThere();
      return undefined;
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }

  /**
   * Writes another ring to the file: completely or not at all, readable by its owner only.
   * @throws Failure KEYS_UNREADABLE; the file is unchanged
   */
  async replace(ring: KeyRing): Promise<void> {
    await writeSecret(this.file, ring.serialise(), this.#description);
    this.readIfThere();
  }

  /**
   * Changes the current content of the file, not the keys read before. The caller ensures that only one process does this
   * at a time.
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID; the file is unchanged
   */
  async change(changed: (ring: KeyRing) => KeyRing): Promise<void> {
    this.read();
    await this.replace(changed(this.ring));
  }

  /**
   * Encrypts with the current key, under a random nonce.
   * @param context - identifies the content; unsealing needs the same one
   */
  seal(plain: Uint8Array, purpose: KeyPurpose, context: string): Sealed {
    const { currentId } = this.ring;
    const bytes = encrypt(this.key(currentId, purpose), randomBytes(NONCE_BYTES), plain, context);
    return { keyId: currentId, bytes };
  }

  /** @throws Failure KEY_MISSING; SEALED_DATA_DAMAGED unless the data were sealed under this context */
  unseal({ keyId, bytes }: Sealed, purpose: KeyPurpose, context: string): Buffer {
    const key = this.key(keyId, purpose);
    try {
      return decrypt(key, bytes, context);
    } catch (cause) {
      const sentence = 'Stored data is not what was encrypted: it was damaged or exchanged.';
      throw new Failure('internal', 'SEALED_DATA_DAMAGED', sentence, { cause });
    }
  }

  /** @throws Failure KEY_MISSING */
  key(id: string, purpose: KeyPurpose): KeyObject {
    const known = this.ring.derive(id, purpose);
    if (known !== undefined) return known;
    // Another process may have rotated the keys.
    this.refresh();
    const fresh = this.ring.derive(id, purpose);
    if (fresh === undefined) throw keyMissing(id);
    return fresh;
  }

  get #description(): string {
    return `The key file ${this.file}`;
  }

  /** @returns whether the file exists @throws Failure KEYS_UNREADABLE, KEYS_INVALID */
  readIfThere(): boolean {
    const stamp = stampOf(this.file);
    if (stamp === undefined) return false;
    this.#ring = KeyRing.parse(readSecret(this.file, this.#description), this.file);
    this.#readAt = stamp;
    return true;
  }
}

function stampOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.ino} ${found.size} ${found.mtimeMs}`;
}
