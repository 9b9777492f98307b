import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { decrypt, encrypt, NONCE_BYTES } from './aead.ts';
import type { KeyPurpose } from './key-ring.ts';
import type { Keys } from './keys.ts';

/**
 * Encrypts blocks deterministically with AES-256-GCM. The nonce is the beginning of an HMAC of the block and its context
 * under a separate key: different blocks do not share a nonce (compare AES-GCM-SIV, RFC 8452). It reveals only whether
 * two blocks are equal.
 */
export class KeyedBlockSealer {
  readonly keyId: string;
  readonly #key: KeyObject;
  readonly #nonceKey: KeyObject;
  readonly #stampKey: KeyObject;

  /** @throws Failure KEY_MISSING */
  constructor(keys: Keys, keyId: string, purpose: KeyPurpose) {
    this.keyId = keyId;
    this.#key = keys.key(keyId, purpose);
    this.#nonceKey = createSecretKey(createHmac('sha256', this.#key).update('nonce').digest());
    this.#stampKey = createSecretKey(createHmac('sha256', this.#key).update('stamp').digest());
  }

  /** @returns nonce, ciphertext, tag */
  seal(plain: Uint8Array, context: string): Buffer {
    const mac = createHmac('sha256', this.#nonceKey)
      .update(`${Buffer.byteLength(context)} ${context}`)
      .update(plain);
    return encrypt(this.#key, mac.digest().subarray(0, NONCE_BYTES), plain, context);
  }

  /** @throws Error unless the block was sealed under this context */
  unseal(sealed: Uint8Array, context: string): Buffer {
    return decrypt(this.#key, sealed, context);
  }

  stamp(text: string): string {
    return createHmac('sha256', this.#stampKey).update(text).digest('base64');
  }
}

/** Makes the sealer of each key, for one purpose. */
export function sealersOf(keys: Keys, purpose: KeyPurpose): (keyId: string) => KeyedBlockSealer {
  return (keyId) => new KeyedBlockSealer(keys, keyId, purpose);
}
