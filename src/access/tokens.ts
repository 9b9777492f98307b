/** Bearer tokens: 32 random bytes, shown once. Only their digests are stored. */
import { createHash, randomBytes } from 'node:crypto';

const PREFIX = 'rwt_';
const SECRET_BYTES = 32;
const TOKEN = /^rwt_[A-Za-z0-9_-]{43}$/;

/** A new token: 256 random bits. The prefix lets scanners recognise a leaked one. */
export function makeToken(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

/** Whether a text has the form of a token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** SHA-256, hexadecimal. A slow hash would add nothing: a token cannot be guessed. */
export function tokenFingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
