/** Creates the data directory, and reports when it cannot be written to. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../failure.ts';

/**
 * Creates the data directory if it is missing, for its owner only. Under root, the database's user gets access later.
 */
export async function ensureDataDirectory(root: string): Promise<void> {
  try {
    if (!existsSync(root)) {
      await makeParents(dirname(root));
      await mkdir(root, { mode: 0o700 }).catch((error: unknown) => {
        if ((error as { code?: string }).code !== 'EEXIST') throw error;
      });
    }
    if (!statSync(root).isDirectory()) throw Object.assign(new Error('it is no directory'), { code: 'ENOTDIR' });
    accessSync(root, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unwritable(root, cause);
  }
}

/** Under root the database's user must traverse these directories, which contain no data themselves. */
async function makeParents(parent: string): Promise<void> {
  const first = await mkdir(parent, { recursive: true, mode: 0o700 });
  if (first === undefined || process.getuid?.() !== 0) return;
  for (let at = parent; at.length >= first.length; at = dirname(at)) await chmod(at, 0o711);
}

/**
 * Reports a file that cannot be created: permissions do not reveal everything, for example that /proc accepts no files.
 */
export async function reportUnwritable<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isRefused = error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'open';
    throw isRefused ? unwritable(root, error) : error;
  }
}

export function unwritable(root: string, cause: unknown): Failure {
  const { code } = cause as { code?: string };
  const sentence = `The data directory ${root} cannot be written to (${code ?? 'no reason given'}): set RIDGEWATCH_DATA_DIR to one that can.`;
  return new Failure('failed-precondition', 'DATA_DIRECTORY_UNWRITABLE', sentence, { cause });
}
