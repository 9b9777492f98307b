/**
 * Files that exist in memory only, like the rest of the process, for libraries that can only read and write files by
 * their path. They have no name, so that nothing is left of them when the process is killed.
 */
import { constants } from 'node:fs';
import { open, statfs, type FileHandle } from 'node:fs/promises';
import { Failure } from '../failure.ts';

/** File system in memory. */
const FOLDER = '/dev/shm';
/** Type of tmpfs, from Linux's magic.h. */
const TMPFS = 0x01021994;
/** Linux's O_TMPFILE: a file without a name. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const READ_BYTES = 1 << 20;

/**
 * Opens an empty file, to be closed by the caller.
 * @param bytes - that it will have
 * @throws Failure NO_MEMORY_FILE where there is no file system in memory, or not enough room
 */
export async function openMemoryFile(bytes: number, folder = FOLDER): Promise<FileHandle> {
  const system = await statfs(folder).catch(() => undefined);
  if (system?.type !== TMPFS) throw noMemoryFile(`There is no file system in memory (tmpfs) at ${folder}.`);
  const free = system.bavail * system.bsize;
  const [has, needs] = [Math.floor(free / 1e6), Math.ceil(bytes / 1e6)];
  if (free < bytes) throw noMemoryFile(`The file system at ${folder} has ${has} MB left; ${needs} MB are needed.`);
  try {
    return await open(folder, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (cause) {
    throw noMemoryFile(`A file without a name cannot be made at ${folder}.`, cause);
  }
}

/** A path by which this process, any thread of it, can open the file while the handle is open. */
export function pathOfFile({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}

/** The content from its start, in pieces that are valid until the next one. */
export async function* piecesOfFile(file: FileHandle): AsyncGenerator<Buffer> {
  const piece = Buffer.allocUnsafeSlow(READ_BYTES);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

function noMemoryFile(sentence: string, cause?: unknown): Failure {
  return new Failure('failed-precondition', 'NO_MEMORY_FILE', sentence, { cause });
}
