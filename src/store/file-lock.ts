import { closeSync, constants, fchownSync, fstatSync, openSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Failure } from '../failure.ts';

/** What this program uses of fs-native-extensions, which comes without types. */
interface Locking {
  /** @returns false when another open file has a lock that excludes this one */
  tryLock(descriptor: number, options: { readonly shared: boolean }): boolean;
}

export interface LockOptions {
  /** `make`: the file is made where there is none, for its owner only. */
  readonly missing: 'make' | 'refuse';
  /** Any number may have a shared lock at a time, or one an exclusive lock. */
  readonly shared?: boolean;
}

let locking: Locking | undefined;

/**
 * A lock on a file, which travels with the file: it holds in every container and namespace that sees the file. The
 * system keeps it for the *open file* (Linux: open file description lock, macOS: flock), not for the process. So it ends
 * by itself, however its process ends, and not before the last process that has inherited the open file.
 */
export class FileLock {
  readonly descriptor: number;
  #released = false;

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /**
   * @returns undefined when another open file has a lock on it
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
      // Its directory was removed, or made anew, before it was locked: a lock on what is gone keeps no process out.
      closeSync(descriptor);
      if (missing === 'make' && !isDirectory(dirname(file))) return undefined;
    }
  }

  /** Our part of it: processes that have inherited the open file keep the lock. */
  release(): void {
    // Twice would close what has the number by then.
    if (!this.#released) closeSync(this.descriptor);
    this.#released = true;
  }
}

/**
 * A file that other users could open might be locked by them, and a link could lead anywhere. Who owns the directory can
 * do with it what they like anyway.
 */
function openOwn(file: string, missing: LockOptions['missing']): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = O_RDWR | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0);
  const descriptor = openSync(file, missing === 'make' ? flags | O_CREAT : flags, 0o600);
  const own = process.getuid?.();
  if (missing === 'refuse' || own === undefined) return descriptor;
  const { uid, nlink } = fstatSync(descriptor);
  const owner = statSync(dirname(file), { throwIfNoEntry: false });
  // What root makes for a moment must not keep the owner of the directory out.
  if (own === 0 && uid === 0 && owner !== undefined && owner.uid !== 0) fchownSync(descriptor, owner.uid, owner.gid);
  const isOwn = uid === own || uid === owner?.uid;
  // No name at all: it was removed in this moment.
  if (isOwn && nlink <= 1) return descriptor;
  closeSync(descriptor);
  const sentence = isOwn
    ? `${file} has a second name, by which it can be locked elsewhere: remove it when no ridgewatch runs there.`
    : `${file} belongs to another user (user id ${uid}): remove it when no ridgewatch of that user runs there.`;
  throw refused(sentence);
}

function lock(descriptor: number, file: string, shared: boolean): boolean {
  try {
    // Loaded late: a service on a database elsewhere needs no locks.
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
