import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Failure } from '../failure.ts';

const MAC_BYTES = 12;
const ID_BYTES = 16;
const TOKEN_CHARACTERS = Math.ceil(((MAC_BYTES + ID_BYTES) * 4) / 3);

/**
 * Page tokens: the last subject id of a page, signed together with the filters, so that a token can neither be made up
 * nor carried over to another listing. The key lives as long as the process; after a restart a listing starts anew.
 */
export class PageTokens {
  readonly #key = randomBytes(32);

  make(subjectId: string, filters: string): string {
    const id = Buffer.from(subjectId.replaceAll('-', ''), 'hex');
    return Buffer.concat([this.#mac(id, filters), id]).toString('base64url');
  }

  /**
   * @returns the subject id after which the page starts
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
      const sentence = 'The page token is not one that this service made for this listing.';
      throw new Failure('invalid-argument', 'PAGE_TOKEN_INVALID', sentence, { field: 'page_token' });
    }
    return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  #mac(id: Buffer, filters: string): Buffer {
    return createHmac('sha256', this.#key).update(id).update(filters).digest().subarray(0, MAC_BYTES);
  }
}
