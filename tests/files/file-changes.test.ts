import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { FileChanges } from '../../src/files/file-changes.ts';
import { temporaryDirectory } from '../cluster.ts';

let [one, other]: string[] = [];
beforeEach(() => {
  const folder = temporaryDirectory();
  [one, other] = [join(folder, 'one'), join(folder, 'other')];
  for (const file of [one, other]) writeFileSync(file, 'before');
});

it('tells of a change once, after the files have come to rest', () => {
  const changes = new FileChanges([one, other]);
  expect(changes.poll()).toBe(false);
  writeFileSync(one, 'half');
  expect(changes.poll()).toBe(false);
  writeFileSync(other, 'the other, later');
  expect(changes.poll()).toBe(false);
  expect([changes.poll(), changes.poll(), changes.poll()]).toEqual([true, false, false]);
});

it('notices a file of equal size, a file that goes, and one that comes', () => {
  const changes = new FileChanges([one]);
  const told = () => [changes.poll(), changes.poll(), changes.poll()];
  writeFileSync(`${one}.new`, 'better');
  renameSync(`${one}.new`, one);
  expect(told()).toEqual([false, true, false]);
  rmSync(one);
  expect(told()).toEqual([false, true, false]);
  writeFileSync(one, 'again');
  expect(told()).toEqual([false, true, false]);
});

it('notices that a link above a file was switched', () => {
  const folder = temporaryDirectory();
  const at = (name: string) => join(folder, name);
  for (const name of ['a', 'b']) {
    mkdirSync(at(name));
    writeFileSync(join(at(name), 'file'), name);
  }
  symlinkSync('a', at('data'));
  symlinkSync('data/file', at('file'));
  const changes = new FileChanges([at('file')]);
  symlinkSync('b', at('next'));
  renameSync(at('next'), at('data'));
  expect([changes.poll(), changes.poll()]).toEqual([false, true]);
});
