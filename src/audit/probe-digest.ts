import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { Keys } from '../security/keys.ts';

const DIGEST = 'sha256';

/**
 * Names what was searched with. The digest is keyed: a reader with the records, but not the keys, cannot tell whether a
 * template that they hold was searched. A reader with both can.
 */
export class ProbeDigest {
  readonly #keys: Keys;
  /** By the key of the audit that they are made of. */
  readonly #made = new WeakMap<KeyObject, KeyObject>();

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /**
   * @param samples - bytes of each sample as the caller sent it, in order
   * @param keyId - default: the current key
   * @returns the id of the key, a colon, and 43 characters
   * @throws Failure KEY_MISSING
   */
  of(samples: readonly Uint8Array[], keyId = this.#keys.ring.currentId): string {
    const mac = createHmac(DIGEST, this.#keyOf(keyId));
    // With its length before it, no sample can be taken for the end of another.
    for (const sample of samples) mac.update(`${sample.byteLength} `).update(sample);
    return `${keyId}:${mac.digest('base64url')}`;
  }

  #keyOf(keyId: string): KeyObject {
    const key = this.#keys.key(keyId, 'audit');
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = createSecretKey(createHmac(DIGEST, key).update('probe').digest());
    this.#made.set(key, made);
    return made;
  }
}
