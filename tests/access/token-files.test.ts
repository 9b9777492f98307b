/** Files that are named as the file of a token. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readToken } from '../../src/access/local-client.ts';
import { makeToken } from '../../src/access/tokens.ts';
import { temporaryDirectory } from '../cluster.ts';

const folder = temporaryDirectory();
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

it('a token is read from a file, and through a link', () => {
  const token = makeToken();
  const path = file('token', `${token}\n`);
  symlinkSync(path, join(folder, 'link'));
  expect([readToken(path), readToken(join(folder, 'link'))]).toEqual([token, token]);
});

it('nothing is read from what is no file: a reader of a pipe or a device could wait for ever', () => {
  mkdirSync(join(folder, 'folder'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  for (const path of [join(folder, 'folder'), join(folder, 'pipe'), '/dev/zero', join(folder, 'nowhere')])
    expect(readToken(path)).toBeUndefined();
});

it('a file with anything else is refused, and a large one not read', () => {
  const token = makeToken();
  for (const content of ['', 'rwt_', `${token}${token}`, `${token}\n${token}\n`, `${token}${' '.repeat(2000)}`])
    expect(() => readToken(file('other', content))).toThrow(
      expect.objectContaining({ reason: 'TOKEN_INVALID' }) as Error,
    );
});
