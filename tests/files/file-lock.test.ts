import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryLock, holderOf, tryLockDirectory } from '../../src/store/directory-lock.ts';
import { FileLock } from '../../src/files/file-lock.ts';
import { temporaryDirectory } from '../cluster.ts';

const isRoot = process.getuid?.() === 0;
const source = resolve(import.meta.dirname, '../../src/files/file-lock.ts');
const processes: ChildProcess[] = [];
let directory: string;
let file: string;

beforeEach(() => {
  directory = temporaryDirectory();
  file = join(directory, 'x.lock');
});
afterEach(() => {
  for (const started of processes.splice(0)) started.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const take = () => FileLock.take(file, { missing: 'make' });

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { timeout: 10_000, interval: 20 }).toBe(true);
}

/** Locks the file in another process, which passes the lock to a child if asked. @returns the processes' ids */
async function lockElsewhere(inherits: boolean): Promise<{ holder: ChildProcess; heir: number }> {
  const script = `
    const { FileLock } = await import(${JSON.stringify(source)});
    const { spawn } = await import('node:child_process');
    const { descriptor } = FileLock.take(process.argv[1], { missing: 'make' });
    const heir = ${inherits} ? spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', descriptor], detached: true }).pid : 0;
    console.log(heir); setInterval(() => undefined, 1e6);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(holder);
  const [heir] = (await once(holder.stdout.setEncoding('utf8'), 'data')) as [string];
  return { holder, heir: Number(heir) };
}

describe('a lock on a file', () => {
  it('is held once, and available again after its release', () => {
    const first = take();
    expect(first).toBeDefined();
    expect(take()).toBeUndefined();
    first?.release();
    const second = take();
    expect(second).toBeDefined();
    second?.release();
  });

  it('is released once: a later file with its descriptor stays open', () => {
    const first = take();
    first?.release();
    const second = take();
    first?.release();
    expect(take()).toBeUndefined();
    second?.release();
  });

  it('is shared by shared holders, and excludes exclusive ones', () => {
    const shared = () => FileLock.take(file, { missing: 'make', shared: true });
    const [first, second] = [shared(), shared()];
    expect(take()).toBeUndefined();
    first?.release();
    expect(take()).toBeUndefined();
    second?.release();
    const alone = take();
    expect(alone).toBeDefined();
    expect(shared()).toBeUndefined();
    alone?.release();
  });

  it('ends with a killed process', async () => {
    const { holder } = await lockElsewhere(false);
    expect(take()).toBeUndefined();
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const mine = take();
    expect(mine).toBeDefined();
    mine?.release();
  });

  it('is kept by a process that has inherited it, until that process ends', async () => {
    const { holder, heir } = await lockElsewhere(true);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(take()).toBeUndefined();
    process.kill(heir, 'SIGKILL');
    await until(() => {
      const mine = take();
      mine?.release();
      return mine !== undefined;
    });
  });

  it('belongs to the file, not to its name', () => {
    const held = take();
    renameSync(file, `${file}.moved`);
    const other = take();
    expect(other).toBeDefined();
    expect(FileLock.take(`${file}.moved`, { missing: 'refuse' })).toBeUndefined();
    held?.release();
    other?.release();
  });

  it('is readable by its owner only, whatever the umask', () => {
    const umask = process.umask(0);
    try {
      take()?.release();
    } finally {
      process.umask(umask);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('follows no symbolic link, and refuses a file with a second hard link', () => {
    writeFileSync(join(directory, 'elsewhere'), 'kept');
    symlinkSync(join(directory, 'elsewhere'), file);
    expect(take).toThrow('ELOOP');
    rmSync(file);
    linkSync(join(directory, 'elsewhere'), file);
    expect(take).toThrow(expect.objectContaining({ reason: 'LOCK_REFUSED' }));
  });

  it.skipIf(!isRoot)("refuses another user's file, which that user could lock (needs root)", () => {
    writeFileSync(file, '');
    chownSync(file, 65_534, 65_534);
    expect(take).toThrow(expect.objectContaining({ reason: 'LOCK_REFUSED' }));
    expect(take).toThrow('user id 65534');
  });

  it.skipIf(!isRoot)('belongs to the owner of the directory when root creates it (needs root)', () => {
    chownSync(directory, 65_534, 65_534);
    take()?.release();
    expect(statSync(file).uid).toBe(65_534);
  });
});

describe('a directory lock', () => {
  it('names its holder in a file of constant size', () => {
    const lock = DirectoryLock.take(directory, 'command');
    expect(holderOf(directory)).toMatchObject({ kind: 'command', pid: process.pid });
    const { size } = statSync(join(directory, 'ridgewatch.lock'));
    lock?.announce(4711);
    expect(holderOf(directory)).toMatchObject({ port: 4711 });
    lock?.release();
    expect(holderOf(directory)).toBeUndefined();
    expect(statSync(join(directory, 'ridgewatch.lock')).size).toBe(size);
  });

  it.each(['', 'x', '{}', '{"kind":"command"}', '\0'.repeat(512)])(
    'is granted whatever the file contains: %j',
    (text) => {
      writeFileSync(join(directory, 'ridgewatch.lock'), text, { mode: 0o600 });
      expect(holderOf(directory)).toBeUndefined();
      const lock = DirectoryLock.take(directory, 'service');
      expect(holderOf(directory)).toMatchObject({ kind: 'service' });
      lock?.release();
    },
  );

  it('can remove its file on release, and still excludes others', () => {
    const first = tryLockDirectory(directory);
    const late = openSync(join(directory, 'ridgewatch.lock'), 'r+');
    expect(tryLockDirectory(directory)).toBeUndefined();
    first?.release();
    expect(readdirSync(directory)).toEqual([]);
    const second = tryLockDirectory(directory);
    expect(fstatSync(late).ino).not.toBe(statSync(join(directory, 'ridgewatch.lock')).ino);
    expect(tryLockDirectory(directory)).toBeUndefined();
    second?.release();
    closeSync(late);
  });

  it('is not granted when the directory is gone', () => {
    mkdirSync(join(directory, 'gone'));
    const lock = DirectoryLock.take(join(directory, 'gone'), 'command');
    rmSync(join(directory, 'gone'), { recursive: true });
    expect(() => DirectoryLock.take(join(directory, 'gone'), 'command')).toThrow('ENOENT');
    lock?.release();
  });

  it('names the command without its arguments', () => {
    const { argv } = process;
    process.argv = ['node', 'main.js', 'import', 'people-of-interest.ndjson'];
    try {
      const lock = DirectoryLock.take(directory, 'command');
      expect(readFileSync(join(directory, 'ridgewatch.lock'), 'utf8')).not.toContain('people');
      expect(holderOf(directory)?.command).toBe('ridgewatch import');
      lock?.release();
    } finally {
      process.argv = argv;
    }
  });
});
