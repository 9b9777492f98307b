import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { whyOf, createFile, replaceFile } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';

/**
 * Writes a key to a file: completely or not at all, readable by its owner only.
 * @param what - subject of an error message: a noun with its article, then the file
 * @throws Failure KEYS_UNREADABLE
 */
export async function writeSecret(file: string, content: string | Uint8Array, what: string): Promise<void> {
  try {
    await makeFolder(file);
    await replaceFile(file, content, 0o600);
  } catch (cause) {
    throw unwritable(what, cause);
  }
}

/**
 * Writes a key to a new file.
 * @returns false if another process created the file meanwhile; its content stays
 * @throws Failure KEYS_UNREADABLE
 */
export async function createSecret(file: string, content: string | Uint8Array, what: string): Promise<boolean> {
  try {
    await makeFolder(file);
    await createFile(file, (draft) => draft.writeFile(content));
    return true;
  } catch (error) {
    if (error instanceof Failure && error.reason === 'OUTPUT_EXISTS') return false;
    throw unwritable(what, error instanceof Failure ? error.detail.cause : error);
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

async function makeFolder(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
}

function unwritable(what: string, cause: unknown): Failure {
  const sentence = `${what} cannot be written.${whyOf(cause)}`;
  return new Failure('failed-precondition', 'KEYS_UNREADABLE', sentence, { cause });
}
