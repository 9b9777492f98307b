import { createHash } from 'node:crypto';
import { readFileSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { FileLock } from './file-lock.ts';

const FILE = 'ridgewatch.lock';
/** The file's length, always: once it is there, saying who holds it takes no room on a disk that may be full. */
const TEXT_BYTES = 512;

const holderSchema = z.object({
  /** A service is there to stay; a command ends by itself. */
  kind: z.enum(['service', 'command']),
  command: z.string().regex(/^[a-z -]{1,40}$/),
  pid: z.int().positive(),
  host: z.string().regex(/^[\w.-]{1,253}$/),
  /** Where the database listens, on the loopback address; not there while it does not run. */
  port: z.int().positive().optional(),
});

/** The process that has a directory's lock, as it says itself. */
export type Holder = z.output<typeof holderSchema>;

/**
 * Held while a process uses a directory: a lock on a file in it, so that it is kept wherever the directory is seen, and
 * ends with the process. The file says who has the lock: nothing but sentences depends on what it says.
 */
export class DirectoryLock {
  readonly #lock: FileLock;
  /** The file, where it is to go with the lock. */
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
   * @param file - `passing`: it is removed with the lock
   * @returns undefined when another process has it
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

  /** Says that the database can be reached. */
  announce(port: number): void {
    this.#holder = { ...this.#holder, port };
    this.#write(JSON.stringify(this.#holder));
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#write('');
    // Before the lock ends: who has opened the file meanwhile finds that it is not the directory's any more.
    if (this.#passing !== undefined) rmSync(this.#passing, { force: true });
    this.#lock.release();
  }

  #write(text: string): void {
    try {
      writeSync(this.#lock.descriptor, text.padEnd(TEXT_BYTES - 1) + '\n', 0);
    } catch {
      // The disk is full: the lock holds all the same.
    }
  }
}

/** @returns undefined: it does not say, as in the moment in which it takes the lock */
export function holderOf(directory: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(join(directory, FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** What holds a directory, for a sentence. */
export function describeHolder(holder: Holder | undefined): string {
  if (holder === undefined) return 'another ridgewatch';
  const host = holder.host === ownHost() ? '' : ` on ${holder.host}`;
  return `${holder.command} (process ${holder.pid}${host})`;
}

/** For work of some time on a directory. @throws Failure DATA_DIRECTORY_IN_USE, LOCK_REFUSED */
export function lockDirectory(directory: string): DirectoryLock {
  const lock = tryLockDirectory(directory);
  if (lock === undefined) throw directoryInUse(directory, holderOf(directory));
  return lock;
}

/** @returns undefined when another process uses it */
export function tryLockDirectory(directory: string): DirectoryLock | undefined {
  return DirectoryLock.take(directory, 'command', 'passing');
}

export function directoryInUse(directory: string, holder: Holder | undefined): Failure {
  const remedy =
    holder?.kind === 'command' ? 'wait until it has ended' : 'stop that one, or set RIDGEWATCH_DATA_DIR to another';
  const sentence = `The data directory ${directory} is in use by ${describeHolder(holder)}: ${remedy}.`;
  return new Failure('failed-precondition', 'DATA_DIRECTORY_IN_USE', sentence);
}

/** A short name for a directory, the same by whatever path it is reached. */
export function directoryDigest(directory: string): string {
  return createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32);
}

/** The command without its arguments, which may name files or people. */
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
