import { createHash } from 'node:crypto';
import { realpathSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../failure.ts';

/** Held while a process uses a data directory. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Makes sure that only one process uses a data directory. The lock is a socket that the process listens on: it is gone
 * when the process is, however it died, and no file with a stale process id can keep the next one out. On Linux the
 * socket's name is in the abstract name space, which leaves no file at all; elsewhere a file that nobody listens on is
 * taken over.
 * @throws Failure DATA_DIRECTORY_IN_USE
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const lock = await tryLockDirectory(directory);
  if (lock !== undefined) return lock;
  const sentence = `The data directory ${directory} is in use by another ridgewatch: stop that one, or set RIDGEWATCH_DATA_DIR to another directory.`;
  throw new Failure('failed-precondition', 'DATA_DIRECTORY_IN_USE', sentence);
}

/** @returns undefined when another process uses it */
export async function tryLockDirectory(directory: string): Promise<DirectoryLock | undefined> {
  // By what the directory is and not what it is called: one that is moved while it is in use stays locked.
  const { dev, ino } = statSync(directory, { bigint: true });
  const name = `ridgewatch-${dev}-${ino}`;
  const path = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  let server = await listen(path);
  if (server === undefined && !path.startsWith('\0') && !(await answers(path))) {
    unlinkSync(path);
    server = await listen(path);
  }
  if (server === undefined) return undefined;
  const held = server;
  return { release: () => void held.close() };
}

/** A short name for a directory, the same by whatever path it is reached. */
export function directoryDigest(directory: string): string {
  return createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32);
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
