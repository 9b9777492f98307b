import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { SigningKey } from '../security/signing-key.ts';

const FILE = 'audit-key.pem';

/**
 * The key that signs the audit of a data directory, created at first use.
 * @param file - default: `audit-key.pem` in the data directory
 * @throws Failure KEYS_UNREADABLE, KEYS_INVALID
 */
export async function openAuditKey(file: string | undefined, dataDir: string): Promise<SigningKey> {
  const place = placeOfAuditKey(file, dataDir);
  if (file === undefined) await SigningKey.create(place, descriptionOf(place));
  return SigningKey.read(place, descriptionOf(place));
}

/**
 * The existing key, for readers: a key created now would have signed nothing.
 * @param file - as in `openAuditKey`
 * @throws Failure KEYS_UNREADABLE, KEYS_INVALID
 */
export function readAuditKey(file: string | undefined, dataDir: string): SigningKey {
  const place = placeOfAuditKey(file, dataDir);
  if (existsSync(place)) return SigningKey.read(place, descriptionOf(place));
  const sentence = `${descriptionOf(place)} is not there: a service makes one at its start. With the public key of before (--public-key) earlier records are verified.`;
  throw new Failure('failed-precondition', 'KEYS_UNREADABLE', sentence);
}

function placeOfAuditKey(file: string | undefined, dataDir: string): string {
  return file ?? join(dataDir, FILE);
}

function descriptionOf(place: string): string {
  return `The key ${place} that the audit is signed with`;
}
