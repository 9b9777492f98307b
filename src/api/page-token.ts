import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Failure } from '../failure.ts';

const MAC_BYTES = 12;
const ID_BYTES = 16;
const TOKEN_CHARACTERS = Math.ceil(((MAC_BYTES + ID_BYTES) * 4) / 3);

/**
 * Page tokens contain the last subject id of a page, with a MAC over the id and the filters. A token can therefore
 * neither be forged nor used with other filters. The key lives as long as the process: after a restart, a listing has
 * to start over.
 */
export class PageTokens {
  readonly #key = randomBytes(32);

  make(subjectId: string, filters: string): string {
    const id = Buffer.from(subjectId.replaceAll('-', ''), 'hex');
    return Buffer.concat([this.#mac(id, filters), id]).toString('base64url');
  }

  /**
   * @returns the id of the last subject of the previous page
   * @throws Failure PAGE_TOKEN_INVALID
   */
  read(token: string, filters: string): string {
    const bytes = Buffer.from(token.slice(0, TOKEN_CHARACTERS), 'base64url');
    const id = bytes.subarray(MAC_BYTES);
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

  #mac(id: Buffer, filters: string): Buffer {
    return createHmac('sha256', this.#key).update(id).update(filters).digest().subarray(0, MAC_BYTES);
  }
}
