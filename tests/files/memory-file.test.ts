import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openMemoryFile, pathOfFile, piecesOfFile } from '../../src/files/memory-file.ts';
import { temporaryDirectory } from '../cluster.ts';

const root = resolve(import.meta.dirname, '../..');
const TMPFS = 0x01021994;
const hasTmpfs = process.platform === 'linux' && statfsSync('/dev/shm').type === TMPFS;

describe.skipIf(!hasTmpfs)('a file in memory', () => {
  it('has no name, and is read and written by its path', async () => {
    const file = await openMemoryFile(100);
    const path = pathOfFile(file);
    await file.appendFile('one');
    await file.appendFile('two');
    expect(readFileSync(path, 'utf8')).toBe('onetwo');
    const content = randomBytes(2_500_000);
    writeFileSync(path, content);
    const pieces: Buffer[] = [];
    for await (const piece of piecesOfFile(file)) pieces.push(Buffer.from(piece));
    expect(pieces).toHaveLength(3);
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    expect([statSync(path).nlink, statfsSync(path).type]).toEqual([0, TMPFS]);
    await file.close();
    expect(() => readFileSync(path)).toThrow('ENOENT');
  });

  it('ends with its process, however that ends', async () => {
    const script = `
      import { openMemoryFile, pathOfFile } from '${join(root, 'src/files/memory-file.ts')}';
      const file = await openMemoryFile(100);
      await file.appendFile('a template');
      console.log(pathOfFile(file));
      setInterval(() => file, 1000);`;
    let inode: number;
    const args = ['--input-type=module-typescript', '-e', script];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    try {
      const [path] = (await once(child.stdout, 'data')) as [Buffer];
      const seen = path.toString().trim().replace('self', String(child.pid));
      expect(readFileSync(seen, 'utf8')).toBe('a template');
      // No name: the system releases its memory when nothing has it open.
      expect(statSync(seen).nlink).toBe(0);
      inode = statSync(seen).ino;
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    const left = readdirSync('/dev/shm').map(
      (name) => statSync(join('/dev/shm', name), { throwIfNoEntry: false })?.ino,
    );
    expect(left).not.toContain(inode);
  });
});

it('a file in memory is refused where the file system is on a disk, or has no room', async () => {
  const refusal = (sentence: RegExp) => ({
    reason: 'NO_MEMORY_FILE',
    message: expect.stringMatching(sentence) as string,
  });
  const missing = join(temporaryDirectory(), 'missing');
  await expect(openMemoryFile(1, missing)).rejects.toMatchObject(
    refusal(/no file system in memory \(tmpfs\) at .*missing/),
  );
  await expect(openMemoryFile(1, '/proc')).rejects.toMatchObject(refusal(/tmpfs/));
  if (hasTmpfs) await expect(openMemoryFile(1e15)).rejects.toMatchObject(refusal(/has \d+ MB left; 1000000000 MB/));
});
