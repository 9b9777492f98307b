import { createHash } from 'node:crypto';
import { readFileSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { FileLock } from '../files/file-lock.ts';

const FILE = 'ridgewatch.lock';
/** Constant length of the lock file: updating it needs no space on a disk that may be full. */
const TEXT_BYTES = 512;

const holderSchema = z.object({
  /** A service stays; a command ends by itself. */
  kind: z.enum(['service', 'command']),
  command: z.string().regex(/^[a-z -]{1,40}$/),
  pid: z.int().positive(),
  host: z.string().regex(/^[\w.-]{1,253}$/),
  /** The database's port on the loopback address; missing while it does not run. */
  port: z.int().positive().optional(),
});

/** The process that holds a directory's lock, as it describes itself. */
export type Holder = z.output<typeof holderSchema>;

/**
 * Lock on a file of a directory, held while a process uses the directory. It is effective wherever the directory is
 * visible, and ends with the process. The file also describes the holder; the lock itself does not depend on that text.
 */
export class DirectoryLock {
  readonly #lock: FileLock;
  /** The file's path if it is removed with the lock. */
  readonly #passing: string | undefined;
  #holder: Holder;
  #released = false;

  private constructor(lock: FileLock, passing: string | undefined, holder: Holder) {
    this.#lock = lock;
    this.#passing = passing;
    this.#holder = holder;
    this.#write(JSON.stringify(holder));
  }

  /**
   * @param file - `passing`: the file is removed with the lock
   * @returns undefined when another process holds the lock
   * @throws Failure LOCK_REFUSED; an error of the system
   */
  static take(
    directory: string,
    kind: Holder['kind'],
    file: 'lasting' | 'passing' = 'lasting',
  ): DirectoryLock | undefined {
    const path = join(directory, FILE);
    const lock = FileLock.take(path, { missing: 'make' });
    const passing = file === 'passing' ? path : undefined;
    return lock && new DirectoryLock(lock, passing, { kind, command: ownCommand(), pid: process.pid, host: ownHost() });
  }

  /** Publishes the database's port. */
  announce(port: number): void {
    this.#holder = { ...this.#holder, port };
    this.#write(JSON.stringify(this.#holder));
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#write('');
    // Removed before the lock ends: a process that opened the file meanwhile detects that it is no longer the
    // directory's.
    if (this.#passing !== undefined) rmSync(this.#passing, { force: true });
    this.#lock.release();
  }

  #write(text: string): void {
    try {
      writeSync(this.#lock.descriptor, text.padEnd(TEXT_BYTES - 1) + '\n', 0);
    } catch {
      // The disk is full; the lock holds nevertheless.
    }
  }
}

/** @returns undefined: no holder is named, for example while the lock is being taken */
export function holderOf(directory: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(join(directory, FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Describes the holder of a directory within a sentence. */
export function describeHolder(holder: Holder | undefined): string {
  if (holder === undefined) return 'another ridgewatch';
  const host = holder.host === ownHost() ? '' : ` on ${holder.host}`;
  return `${holder.command} (process ${holder.pid}${host})`;
}

/** Locks a directory for the duration of a command. @throws Failure DATA_DIRECTORY_IN_USE, LOCK_REFUSED */
export function lockDirectory(directory: string): DirectoryLock {
  const lock = tryLockDirectory(directory);
  if (lock === undefined) throw directoryInUse(directory, holderOf(directory));
  return lock;
}

/** @returns undefined when another process uses the directory */
export function tryLockDirectory(directory: string): DirectoryLock | undefined {
  return DirectoryLock.take(directory, 'command', 'passing');
}

export function directoryInUse(directory: string, holder: Holder | undefined): Failure {
  const remedy =
    holder?.kind === 'command' ? 'wait until it has ended' : 'stop that one, or set RIDGEWATCH_DATA_DIR to another';
  const sentence = `The data directory ${directory} is in use by ${describeHolder(holder)}: ${remedy}.`;
  return new Failure('failed-precondition', 'DATA_DIRECTORY_IN_USE', sentence);
}

/** A short name for a directory, independent of the path that leads to it. */
export function directoryDigest(directory: string): string {
  return createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32);
}

/** The command without its arguments, which may contain names of files or people. */
function ownCommand(): string {
  const word = process.argv[2] ?? '';
  return /^[a-z-]{1,20}$/.test(word) ? `ridgewatch ${word}` : 'ridgewatch';
}

function ownHost(): string {
  return (
    hostname()
      .replace(/[^\w.-]/g, '')
      .slice(0, 253) || 'localhost'
  );
}
