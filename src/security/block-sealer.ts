import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { KeyPurpose } from './key-ring.ts';
import type { Keys } from './keys.ts';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts blocks with AES-256-GCM, always the same to the same: the nonce is the beginning of an HMAC of the block and
 * its context, under a key of its own, so that no two different blocks share one (as AES-GCM-SIV does, RFC 8452). What
 * it gives away is whether two blocks are the same.
 */
export class KeyedBlockSealer {
  readonly keyId: string;
  readonly #key: Buffer;
  readonly #nonceKey: Buffer;
  readonly #stampKey: Buffer;

  /** @throws Failure KEY_MISSING */
  constructor(keys: Keys, keyId: string, purpose: KeyPurpose) {
    this.keyId = keyId;
    this.#key = keys.key(keyId, purpose);
    this.#nonceKey = createHmac('sha256', this.#key).update('nonce').digest();
    this.#stampKey = createHmac('sha256', this.#key).update('stamp').digest();
  }

  /** @returns nonce, ciphertext, tag */
  seal(plain: Uint8Array, context: string): Buffer {
    const mac = createHmac('sha256', this.#nonceKey)
      .update(`${Buffer.byteLength(context)} ${context}`)
      .update(plain);
    const nonce = mac.digest().subarray(0, NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context));
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws Error when it is not what was sealed under this context */
  unseal(sealed: Uint8Array, context: string): Buffer {
    const decipher = createDecipheriv(CIPHER, this.#key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(context))
      .setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
    decipher.final();
    return plain;
  }

  stamp(text: string): string {
    return createHmac('sha256', this.#stampKey).update(text).digest('base64');
  }
}
