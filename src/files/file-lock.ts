import { closeSync, constants, fchownSync, fstatSync, openSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Failure } from '../failure.ts';

/** The function used from fs-native-extensions, which has no types. */
interface Locking {
  /** @returns false when another open file holds a conflicting lock */
  tryLock(descriptor: number, options: { readonly shared: boolean }): boolean;
}

export interface LockOptions {
  /** `make`: creates a missing file, for its owner only. */
  readonly missing: 'make' | 'refuse';
  /** A lock is held either by any number of shared holders, or by one exclusive holder. */
  readonly shared?: boolean;
}

let locking: Locking | undefined;

/**
 * A lock on a file, which holds in every container and namespace that sees the file. The system attaches it to the
 * *open file* (Linux: open file description lock, macOS: flock), not to the process. It ends by itself, however its
 * process ends, but not before the last process that inherited the open file.
 */
export class FileLock {
  readonly descriptor: number;
  #released = false;

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /**
   * @returns undefined when another open file holds a lock on it
   * @throws Failure LOCK_REFUSED; an error of the system when the file cannot be opened for writing
   */
  static take(file: string, { missing, shared = false }: LockOptions): FileLock | undefined {
    for (;;) {
      const descriptor = openOwn(file, missing);
      try {
        if (!lock(descriptor, file, shared)) {
          closeSync(descriptor);
          return undefined;
        }
        if (isStill(file, descriptor)) return new FileLock(descriptor);
      } catch (error) {
        closeSync(descriptor);
        throw error;
      }
      // The directory was removed or recreated before the lock was taken: a lock on a deleted file excludes no process.
      closeSync(descriptor);
      if (missing === 'make' && !isDirectory(dirname(file))) return undefined;
    }
  }

  /** Releases this process's part: processes that inherited the open file keep the lock. */
  release(): void {
    // A second close would close another file with the same number.
    if (!this.#released) closeSync(this.descriptor);
    this.#released = true;
  }
}

/**
 * Opens a file of our own. Other users could lock a file that they can open, and a link could lead anywhere. The owner
 * of the directory has full control of it anyway.
 */
function openOwn(file: string, missing: LockOptions['missing']): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = O_RDWR | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0);
  const descriptor = openSync(file, missing === 'make' ? flags | O_CREAT : flags, 0o600);
  const own = process.getuid?.();
  if (missing === 'refuse' || own === undefined) return descriptor;
  const { uid, nlink } = fstatSync(descriptor);
  const owner = statSync(dirname(file), { throwIfNoEntry: false });
  // A file created temporarily by root must not exclude the owner of the directory.
  if (own === 0 && uid === 0 && owner !== undefined && owner.uid !== 0) fchownSync(descriptor, owner.uid, owner.gid);
  const isOwn = uid === own || uid === owner?.uid;
  // No name at all: the file has just been removed.
  if (isOwn && nlink <= 1) return descriptor;
  closeSync(descriptor);
  const sentence = isOwn
    ? `${file} has a second name, by which it can be locked elsewhere: remove it when no ridgewatch runs there.`
    : `${file} belongs to another user (user id ${uid}): remove it when no ridgewatch of that user runs there.`;
  throw refused(sentence);
}

function lock(descriptor: number, file: string, shared: boolean): boolean {
  try {
    // Loaded on demand: a service with an external database needs no locks.
    locking ??= createRequire(import.meta.url)('fs-native-extensions') as Locking;
    return locking.tryLock(descriptor, { shared });
  } catch (cause) {
    const { code } = cause as { code?: string };
    const sentence =
      locking === undefined
        ? `This installation cannot lock files on ${process.platform}-${process.arch}: set DATABASE_URL.`
        : `The file system of ${file} cannot lock files (${code ?? 'no reason given'}): use a directory on one that can.`;
    throw refused(sentence, cause);
  }
}

function refused(sentence: string, cause?: unknown): Failure {
  return new Failure('failed-precondition', 'LOCK_REFUSED', sentence, { cause });
}

function isStill(file: string, descriptor: number): boolean {
  const there = statSync(file, { bigint: true, throwIfNoEntry: false });
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return there?.ino === ino && there.dev === dev;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
