/**
 * Files that exist in memory only, for graphs in plain text: hnswlib reads and writes files. They have no name, so that
 * nothing is left of them when the process is killed.
 */
import { constants } from 'node:fs';
import { open, statfs, type FileHandle } from 'node:fs/promises';

/** File system in memory. */
const FOLDER = '/dev/shm';
/** Type of tmpfs, from Linux's magic.h. */
const TMPFS = 0x01021994;
/** Linux's O_TMPFILE: a file without a name. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** There is no room for a file in memory. The message is for the operator. */
export class NoMemoryFileError extends Error {
  override readonly name = 'NoMemoryFileError';
}

/**
 * Opens an empty file, to be closed by the caller.
 * @param bytes - that it will have
 * @throws NoMemoryFileError where there is no file system in memory, or not enough room
 */
export async function openMemoryFile(bytes: number, folder = FOLDER): Promise<FileHandle> {
  const system = await statfs(folder).catch(() => undefined);
  if (system?.type !== TMPFS) throw new NoMemoryFileError(`There is no file system in memory (tmpfs) at ${folder}.`);
  const free = system.bavail * system.bsize;
  const [has, needs] = [Math.floor(free / 1e6), Math.ceil(bytes / 1e6)];
  if (free < bytes)
    throw new NoMemoryFileError(`The file system at ${folder} has ${has} MB left; ${needs} MB are needed.`);
  return open(folder, constants.O_RDWR | O_TMPFILE, 0o600);
}

/** A path by which this process, any thread of it, can open the file while the handle is open. */
export function pathOfFile({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}
