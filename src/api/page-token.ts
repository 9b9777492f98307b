import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Failure } from '../failure.ts';

const MAC_BYTES = 12;
const ID_BYTES = 16;
const TOKEN_CHARACTERS = Math.ceil(((MAC_BYTES + ID_BYTES) * 4) / 3);

/**
 * Page tokens contain the last subject id of a page, with a MAC over the id and the filters. A token can therefore
 * neither be forged nor used with other filters. The id is encrypted: a page may end at a subject that the caller may
 * not know of. The keys live as long as the process: after a restart, a listing has to start over.
 */
export class PageTokens {
  readonly #key = randomBytes(32);
  readonly #idKey = randomBytes(32);

  make(subjectId: string, filters: string): string {
    const id = Buffer.from(subjectId.replaceAll('-', ''), 'hex');
    const mac = this.#mac(id, filters);
    return Buffer.concat([mac, this.#masked(id, mac)]).toString('base64url');
  }

  /**
   * @returns the id of the last subject of the previous page
   * @throws Failure PAGE_TOKEN_INVALID
   */
  read(token: string, filters: string): string {
    const bytes = Buffer.from(token.slice(0, TOKEN_CHARACTERS), 'base64url');
    const id = this.#masked(bytes.subarray(MAC_BYTES), bytes.subarray(0, MAC_BYTES));
    const valid =
      token.length === TOKEN_CHARACTERS &&
      bytes.length === MAC_BYTES + ID_BYTES &&
      timingSafeEqual(bytes.subarray(0, MAC_BYTES), this.#mac(id, filters));
    if (!valid) {
      const sentence = 'The page token was not issued for this listing since the service started.';
      throw new Failure('invalid-argument', 'PAGE_TOKEN_INVALID', sentence, { field: 'page_token' });
    }
    return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  /** Encrypts and decrypts: the MAC is different for each id, so it serves as the nonce. */
  #masked(id: Buffer, mac: Buffer): Buffer {
    const pad = createHmac('sha256', this.#idKey).update(mac).digest();
    return Buffer.from(id.map((byte, i) => byte ^ (pad[i] ?? 0)));
  }

  #mac(id: Buffer, filters: string): Buffer {
    return createHmac('sha256', this.#key).update(id).update(filters).digest().subarray(0, MAC_BYTES);
  }
}
