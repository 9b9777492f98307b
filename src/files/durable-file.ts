import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, open, readdir, readFile, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../failure.ts';

/** Suffix of a draft's name; earlier versions used a process id in it. */
const DRAFT_ENDING = /^\.[0-9a-f]{1,12}\.new$/;
/** A draft not written to for this long was left behind by a dead process. */
const ABANDONED_MS = 3_600_000;

/**
 * Replaces a file's content. The new content is complete and on disk when this resolves. The old content stays if it
 * rejects or the process dies. The new content is read back before the replacement. A symbolic link is kept, and its
 * target is replaced.
 * @param mode - permissions
 */
export async function replaceFile(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  const place = await realpath(file).catch(() => file);
  await writeWhole(
    place,
    mode,
    (draft) => draft.writeFile(content),
    async (draft, target) => {
      await requireContent(draft, content);
      await rename(draft, target);
    },
  );
}

/**
 * Makes a new file that only its owner may read. It is complete and on disk when this resolves. It does not exist when
 * this rejects or the process dies.
 * @param fill - writes its content
 * @throws Failure OUTPUT_EXISTS, OUTPUT_UNWRITABLE; any Failure of `fill`
 */
export async function createFile(file: string, fill: (draft: FileHandle) => Promise<void>): Promise<void> {
  try {
    // Unlike a rename, a link does not replace a file created meanwhile.
    await writeWhole(file, 0o600, fill, link);
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    throw newFileRefused(file, cause);
  }
}

/** @param place - gives the synced draft the name of the file */
async function writeWhole(
  file: string,
  mode: number,
  fill: (draft: FileHandle) => Promise<void>,
  place: (draft: string, file: string) => Promise<void>,
): Promise<void> {
  await removeAbandoned(file);
  // A random name: process ids are not unique across containers.
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    const handle = await open(draft, 'wx', mode);
    try {
      // The requested mode, independent of the umask.
      await handle.chmod(mode);
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

/** Removes drafts of killed writers: they take space, and may hold secrets. */
async function removeAbandoned(file: string): Promise<void> {
  const [directory, name] = [dirname(file), basename(file)];
  const names = await readdir(directory).catch(() => []);
  for (const other of names) {
    if (!other.startsWith(name) || !DRAFT_ENDING.test(other.slice(name.length))) continue;
    const draft = join(directory, other);
    const written = await stat(draft).catch(() => undefined);
    if (written === undefined || Date.now() - written.mtimeMs < ABANDONED_MS) continue;
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

async function requireContent(draft: string, content: string | Uint8Array): Promise<void> {
  const found = await readFile(draft);
  if (!found.equals(typeof content === 'string' ? Buffer.from(content) : content))
    throw new Error('the disk does not give back what was written');
}

/** Syncs a directory to disk: otherwise an acknowledged file could be lost with its name. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open directories, and does not need it.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** To be called before expensive work for the file. @throws Failure OUTPUT_EXISTS */
export function requireNew(file: string): void {
  if (existsSync(file)) throw newFileRefused(file, { code: 'EEXIST' });
}

/** Why a new file could not be made: OUTPUT_EXISTS, or OUTPUT_UNWRITABLE. @param cause - the error thrown */
export function newFileRefused(file: string, cause: unknown): Failure {
  if (codeOf(cause) === 'EEXIST')
    return new Failure('invalid-argument', 'OUTPUT_EXISTS', `${file} already exists.`, { cause });
  const sentence = `${file} cannot be written.${whyOf(cause)}`;
  return new Failure('invalid-argument', 'OUTPUT_UNWRITABLE', sentence, { cause });
}

const WHY: Partial<Record<string, string>> = {
  ENOSPC: 'No space is left on the disk',
  EDQUOT: 'The disk quota is exceeded',
  EFBIG: 'It would exceed the maximum file size',
  EROFS: 'The file system is read-only',
  EACCES: 'Permission is denied',
  EPERM: 'Permission is denied',
  EBUSY: 'It is a mount point and cannot be replaced: mount its directory',
  ENOENT: 'There is no such directory',
  ENOTDIR: 'A part of its path is not a directory',
  EISDIR: 'It is a directory',
  EIO: 'The disk reports an error',
};

/** A sentence on why a file could not be written, with a leading space; empty where unknown. */
export function whyOf(cause: unknown): string {
  const code = codeOf(cause);
  if (code === undefined) return '';
  return ` ${WHY[code] ?? `The reason is ${code}`}.`;
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && codeOf(error) !== undefined;
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
