import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from '../durable-file.ts';
import { Failure } from '../failure.ts';

/**
 * Writes a key to a file: whole or not at all, readable by its owner only.
 * @param what - it is, for a message: a noun with its article, then the file
 * @throws Failure KEYS_UNREADABLE
 */
export async function writeSecret(file: string, content: string | Uint8Array, what: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await replaceFile(file, content, 0o600);
  } catch (cause) {
    throw new Failure('failed-precondition', 'KEYS_UNREADABLE', `${what} cannot be written.`, { cause });
  }
}

/** @throws Failure KEYS_UNREADABLE */
export function readSecret(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('failed-precondition', 'KEYS_UNREADABLE', `${what} cannot be read.`, { cause });
  }
}
