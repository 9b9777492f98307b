import { existsSync } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from './failure.ts';

/**
 * Gives a file new content: whole and on disk when this resolves, the old content when it rejects or the process dies.
 * @param mode - permissions
 */
export function replaceFile(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  return writeWhole(file, mode, (draft) => draft.writeFile(content), rename);
}

/**
 * Makes a new file that only its owner may read: whole and on disk when this resolves; when it rejects or the process
 * dies, there is none.
 * @param fill - writes its content
 * @throws Failure OUTPUT_EXISTS, OUTPUT_UNWRITABLE; whatever Failure `fill` throws
 */
export async function createFile(file: string, fill: (draft: FileHandle) => Promise<void>): Promise<void> {
  try {
    // Unlike renaming, a link does not take the place of a file that has come to be meanwhile.
    await writeWhole(file, 0o600, fill, link);
  } catch (cause) {
    throw cause instanceof Failure ? cause : newFileRefused(file, cause);
  }
}

/** @param place - gives the draft, which is on disk, the name of the file */
async function writeWhole(
  file: string,
  mode: number,
  fill: (draft: FileHandle) => Promise<void>,
  place: (draft: string, file: string) => Promise<void>,
): Promise<void> {
  const draft = `${file}.${process.pid}.new`;
  try {
    await rm(draft, { force: true });
    const handle = await open(draft, 'wx', mode);
    try {
      await fill(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await place(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(dirname(file));
}

/** Puts the names in a directory on disk: files that were acknowledged are worth nothing when they have no name. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open directories, and needs none of this.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Before much work is done for a file that could not be made in the end. @throws Failure OUTPUT_EXISTS */
export function requireNew(file: string): void {
  if (existsSync(file)) throw newFileRefused(file, { code: 'EEXIST' });
}

/** Why a new file could not be made: OUTPUT_EXISTS, or OUTPUT_UNWRITABLE. @param cause - what making it has thrown */
export function newFileRefused(file: string, cause: unknown): Failure {
  return (cause as { code?: string }).code === 'EEXIST'
    ? new Failure('invalid-argument', 'OUTPUT_EXISTS', `${file} exists already.`, { cause })
    : new Failure('invalid-argument', 'OUTPUT_UNWRITABLE', `${file} cannot be written.`, { cause });
}
