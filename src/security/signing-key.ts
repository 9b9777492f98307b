/** Private keys that sign (Ed25519, RFC 8032), each in a file of its own. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Failure } from '../failure.ts';
import { createSecret, readSecret } from './secret-file.ts';

export class SigningKey {
  readonly #key: KeyObject;
  /** SHA-256 of the public part (SubjectPublicKeyInfo), hexadecimal. */
  readonly fingerprint: string;

  private constructor(key: KeyObject) {
    this.#key = key;
    this.fingerprint = fingerprintOf(createPublicKey(key));
  }

  /**
   * Creates the file with a new key unless it exists. If two processes start together, only one creates it: what was
   * signed with a replaced key could not be checked.
   * @param what - the key in error messages: a noun with its article, then the file
   * @throws Failure KEYS_UNREADABLE
   */
  static async create(file: string, what: string): Promise<void> {
    if (existsSync(file)) return;
    const { privateKey } = generateKeyPairSync('ed25519');
    await createSecret(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), what);
  }

  /** @param what - as in `create` @throws Failure KEYS_UNREADABLE, KEYS_INVALID */
  static read(file: string, what: string): SigningKey {
    const pem = readSecret(file, what);
    try {
      const key = createPrivateKey(pem);
      if (key.asymmetricKeyType === 'ed25519') return new SigningKey(key);
    } catch {
      // The error follows below.
    }
    throw new Failure('failed-precondition', 'KEYS_INVALID', `${file} holds no private key for Ed25519 (PEM).`);
  }

  /** PEM, for checking signatures. */
  get publicKey(): string {
    return createPublicKey(this.#key).export({ type: 'spki', format: 'pem' }).toString();
  }

  /** @returns 64 bytes */
  sign(content: Uint8Array): Buffer {
    return sign(null, content, this.#key);
  }
}

/** @param pem - a public key @throws Failure KEYS_INVALID */
export function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch {
    throw new Failure('invalid-argument', 'KEYS_INVALID', 'The public key is none (PEM).');
  }
}

/** SHA-256 of a public key (SubjectPublicKeyInfo), hexadecimal. */
export function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}
