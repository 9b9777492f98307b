/** Encryption keys for data at rest: each has an id, and one is current. */
import { createHash, createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { Failure } from '../failure.ts';

const KEY_BYTES = 32;
const ID = /^[A-Za-z0-9._-]{1,64}$/;

const fileSchema = z.strictObject({
  current: z.string().regex(ID),
  keys: z.record(z.string().regex(ID), z.base64()),
});

/** Use of a key. Each use has its own key, derived from the one in the file. */
export type KeyPurpose =
  'template' | 'index' | 'backup' | 'audit' | 'row' | 'change' | 'client' | 'proposal' | 'case' | 'probe' | 'history';

/** Immutable: a rotation makes a new ring. */
export class KeyRing {
  readonly currentId: string;
  readonly #secrets: ReadonlyMap<string, Buffer>;
  readonly #derived = new Map<string, KeyObject>();

  private constructor(currentId: string, secrets: ReadonlyMap<string, Buffer>) {
    this.currentId = currentId;
    this.#secrets = secrets;
  }

  /** A ring with one new random key. */
  static create(now: Date): KeyRing {
    return new KeyRing('', new Map()).withNewKey(now);
  }

  /**
   * @param text - JSON: `{"current": id, "keys": {id: 32 bytes in base64, …}}`
   * @param place - its name in error messages
   * @throws Failure KEYS_INVALID; the sentence quotes none of the text
   */
  static parse(text: string, place: string): KeyRing {
    const invalid = (why: string) =>
      new Failure('failed-precondition', 'KEYS_INVALID', `The keys in ${place} cannot be used: ${why}.`);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      throw invalid('they are not JSON');
    }
    const parsed = fileSchema.safeParse(json);
    if (!parsed.success) throw invalid('they are not {"current": id, "keys": {id: 32 bytes in base64}}');
    const { current, keys } = parsed.data;
    const secrets = new Map(Object.entries(keys).map(([id, secret]) => [id, Buffer.from(secret, 'base64')]));
    const short = [...secrets].find(([, secret]) => secret.length !== KEY_BYTES);
    if (short !== undefined) throw invalid(`key ${short[0]} does not have ${KEY_BYTES} bytes`);
    if (!secrets.has(current)) throw invalid(`the current key ${current} is not among them`);
    return new KeyRing(current, secrets);
  }

  /** The format that `parse` reads. */
  serialise(): string {
    const keys = Object.fromEntries(Array.from(this.#secrets, ([id, secret]) => [id, secret.toString('base64')]));
    return `${JSON.stringify({ current: this.currentId, keys }, undefined, 2)}\n`;
  }

  get ids(): string[] {
    return [...this.#secrets.keys()];
  }

  /** This ring with a new key, which becomes the current one. */
  withNewKey(now: Date): KeyRing {
    const id = newKeyId(now);
    return this.withKey(id).withCurrent(id);
  }

  /**
   * This ring with a new key under an unused id. The current key stays: nothing is encrypted with the new one yet.
   */
  withKey(id: string): KeyRing {
    if (this.#secrets.has(id)) throw new RangeError('a key is never replaced');
    return new KeyRing(this.currentId, new Map([...this.#secrets, [id, randomBytes(KEY_BYTES)]]));
  }

  /** This ring with another of its keys as the current one. @throws Failure KEY_MISSING */
  withCurrent(id: string): KeyRing {
    if (!this.#secrets.has(id)) throw keyMissing(id);
    return new KeyRing(id, this.#secrets);
  }

  /**
   * This ring without one of its keys.
   * @throws Failure KEY_IN_USE if the key is the current one; KEY_MISSING
   */
  without(id: string): KeyRing {
    if (id === this.currentId)
      throw new Failure('failed-precondition', 'KEY_IN_USE', `Key ${id} is the current one: rotate first.`);
    if (!this.#secrets.has(id)) throw keyMissing(id);
    return new KeyRing(this.currentId, new Map([...this.#secrets].filter(([other]) => other !== id)));
  }

  /**
   * The 32-byte key for one purpose (HKDF, RFC 5869). A KeyObject: Node.js does not convert it again for each use.
   * @returns undefined if the ring does not have the key
   */
  derive(id: string, purpose: KeyPurpose): KeyObject | undefined {
    const name = `${purpose}/${id}`;
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const secret = this.#secrets.get(id);
    if (secret === undefined) return undefined;
    const derived = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `ridgewatch ${purpose} 1`, KEY_BYTES)));
    this.#derived.set(name, derived);
    return derived;
  }

  /** Shows whether two programs have the same key under an id, without revealing the key. */
  proof(id: string): Buffer | undefined {
    const secret = this.#secrets.get(id);
    if (secret === undefined) return undefined;
    return createHash('sha256').update('ridgewatch key proof 1').update(secret).digest();
  }
}

/** An id for a new key. */
export function newKeyId(now: Date): string {
  return `${now.toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')}`;
}

export function keyMissing(id: string): Failure {
  const sentence = `Key ${id} is needed to read what is stored and is not among the keys: add it to the key file (RIDGEWATCH_KEY_FILE).`;
  return new Failure('failed-precondition', 'KEY_MISSING', sentence);
}

export function keyNotFound(id: string): Failure {
  return new Failure(
    'not-found',
    'KEY_NOT_FOUND',
    `There is no key ${id}: ridgewatch keys list shows those there are.`,
  );
}
