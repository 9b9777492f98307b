import { describe, expect, it } from 'vitest';
import { databaseFailed, lastWords, type ProgramEnd } from '../../src/store/database-failure.ts';

const sentence = (end: ProgramEnd) => databaseFailed('/data/postgres', end).message;
const stamp = '2026-11-29 01:39:27.120 UTC [4711] ';

describe('the reason why a database did not start', () => {
  it.each<[string, ProgramEnd, string[]]>([
    [
      'of a user without a name',
      { output: 'initdb: error: could not look up effective user ID 1000650000: user does not exist\n', code: 1 },
      ['could not look up effective user ID 1000650000: user does not exist', 'exit code 1', '/etc/passwd'],
    ],
    [
      'of libraries that are missing',
      {
        output:
          '/x/bin/initdb: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory\n',
        code: 127,
      },
      ['libpq.so.5', 'exit code 127', 'npm ci'],
    ],
    [
      'of a damaged page',
      {
        output: `${stamp}LOG:  starting PostgreSQL\n${stamp}WARNING:  page verification failed, calculated checksum 3 but expected 4\n${stamp}FATAL:  invalid page in block 0 of relation "base/5/1259"\n${stamp}LOG:  shutting down\n`,
        code: 1,
      },
      ['page verification failed, calculated checksum 3 but expected 4', 'invalid page in block 0', 'restore a backup'],
    ],
    [
      'of an address that cannot be had',
      {
        output: `${stamp}LOG:  could not bind IPv4 address "127.0.0.1": Cannot assign requested address\n${stamp}WARNING:  could not create listen socket for "127.0.0.1"\n${stamp}FATAL:  could not create any TCP/IP sockets\n${stamp}LOG:  database system is shut down\n`,
        code: 1,
      },
      ['Cannot assign requested address', 'could not create any TCP/IP sockets'],
    ],
    [
      'of a lock that another server has, with the hint',
      {
        output: `${stamp}FATAL:  lock file "postmaster.pid" already exists\n${stamp}HINT:  Is another postmaster (PID 12) running in data directory "/data"?\n`,
        code: 1,
      },
      ['already exists', 'Is another postmaster (PID 12) running'],
    ],
    [
      'of a full disk: the first error and the last',
      {
        output: `${stamp}FATAL:  could not write to file "pg_wal/xlogtemp.7": No space left on device\n${stamp}PANIC:  cannot abort transaction 1, it was already committed\n`,
        signal: 'SIGABRT',
      },
      ['No space left on device', 'cannot abort transaction 1', 'ended by SIGABRT', 'make room'],
    ],
    ['of a program that was killed', { output: '', signal: 'SIGKILL' }, ['it was ended by SIGKILL']],
    [
      'of a program that is not there',
      { output: 'spawn /x/bin/postgres ENOENT' },
      ['spawn /x/bin/postgres ENOENT', 'complete'],
    ],
    ['in no form of its own', { output: 'one\ntwo\nthree\nfour\n', code: 3 }, ['two; three; four; exit code 3']],
    ['that is none', { output: '' }, ['it gave no reason']],
  ])('%s', (_, end, words) => {
    for (const word of words) expect(sentence(end)).toContain(word);
    expect(sentence(end)).not.toMatch(/\n|\d{4}-\d\d-\d\d/);
  });

  it('is not an error that clients got because they came too early', () => {
    const output = `${stamp}FATAL:  could not open directory "pg_tblspc"\n${stamp}FATAL:  the database system is starting up\n`;
    expect(sentence({ output })).toContain('could not open directory');
    expect(sentence({ output })).not.toContain('starting up');
  });

  it('is bounded, and contains no control characters', () => {
    const told = sentence({ output: `FATAL:  ${'x'.repeat(5000)}\u0007\u001b[31m` });
    expect(told.length).toBeLessThan(800);
    expect(told).not.toMatch(/\p{C}/u);
  });
});

it('the last words of a running database quote no rows', () => {
  const output = `${stamp}PANIC:  could not write to log file: No space left on device\n${stamp}DETAIL:  Failed process was running: INSERT INTO subject VALUES ('secret')\n${stamp}STATEMENT:  secret\n${stamp}LOG:  server process (PID 8) was terminated by signal 6\n`;
  expect(lastWords(output)).toBe('could not write to log file: No space left on device');
  expect(lastWords(`${stamp}LOG:  all is well\n`)).toBe('');
});
