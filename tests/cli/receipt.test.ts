import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrolPerson, runService, type RunningService } from '../api/running-service.ts';
import { temporaryDirectory } from '../cluster.ts';
import { ridgewatch } from './command.ts';

let running: RunningService;
let dataDir: string;
const at = (name: string) => join(dataDir, name);
const store = (...args: string[]) => ridgewatch([...args, '--data-dir', dataDir]);

beforeAll(async () => {
  dataDir = temporaryDirectory();
  running = await runService(undefined, { RIDGEWATCH_DATA_DIR: dataDir, RIDGEWATCH_DEMO: 'never' });
});
afterAll(() => running.stop());

describe('ridgewatch receipt', () => {
  it('proves offline that a subject was expunged, and which indexes still hold its data', async () => {
    const before = (await enrolPerson(running, 1)).subject?.subjectId ?? '';
    const built = await store('index', 'build', '--json');
    const { index } = JSON.parse(built.stdout) as { index: string };
    const after = (await enrolPerson(running, 2)).subject?.subjectId ?? '';
    const address = ['--address', `127.0.0.1:${running.service.grpcPort}`, '--reason', 'court order', '--yes'];
    for (const [subject, file] of [
      [before, 'before.json'],
      [after, 'after.json'],
    ])
      expect((await ridgewatch(['expunge', subject, ...address, '--receipt', at(file)])).code).toBe(0);
    writeFileSync(at('service.pem'), (await store('receipt', 'public-key')).stdout);

    const check = (file: string, subject: string) =>
      ridgewatch(['receipt', 'verify', at(file), '--key', at('service.pem'), '--subject', subject, '--json']);
    const valid = await check('before.json', before);
    expect(valid.code).toBe(0);
    expect(JSON.parse(valid.stdout)).toMatchObject({ reason: 'court order', indexes_affected: [index] });
    expect(JSON.parse((await check('after.json', after)).stdout)).toMatchObject({ indexes_affected: [] });
    expect(await check('before.json', after)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('RECEIPT_OF_ANOTHER') as string,
    });
    expect((await store('receipt', 'show', before)).stdout).toBe(readFileSync(at('before.json'), 'utf8'));
    expect((await store('receipt', 'show', '0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f10')).code).toBe(2);

    writeFileSync(at('before.json'), readFileSync(at('before.json'), 'utf8').replace('court', 'count'));
    expect(await check('before.json', before)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('RECEIPT_INVALID') as string,
    });
  });

  it('reports a missing key instead of creating one', async () => {
    const nowhere = join(dataDir, 'mistyped');
    expect(await ridgewatch(['receipt', 'public-key', '--data-dir', nowhere])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('is not there: a service makes one at its start') as string,
    });
    expect(existsSync(nowhere)).toBe(false);
  });

  it.each(['notauuid', '', '0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f1', '0b9f2a4c6a554f3e9a530c1f6d8f9f10'])(
    'rejects %j, which is not a subject id',
    async (id) => {
      const { code, stderr, stdout } = await store('receipt', 'show', id, '--json');
      const { error } = JSON.parse(stdout + stderr) as { error: object };
      expect(code).toBe(2);
      expect(error).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'USAGE',
        message: expect.stringContaining('UUID') as string,
      });
    },
  );

  it('expunges no subject if the receipt cannot be written', async () => {
    const subject = (await enrolPerson(running, 3)).subject?.subjectId ?? '';
    const address = ['--address', `127.0.0.1:${running.service.grpcPort}`, '--reason', 'x', '--yes'];
    writeFileSync(at('taken.json'), '');
    const present = running.service.subjectCount();
    const refused = await ridgewatch(['expunge', subject, ...address, '--receipt', at('taken.json')]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('already exists') as string });
    expect(running.service.subjectCount()).toBe(present);
  });
});

it('store check rejects --expunge-at-most without --expunge', async () => {
  for (const mode of [[], ['--repair']]) {
    const order = ['store', 'check', ...mode, '--expunge-at-most', '3', '--json'];
    const { code, stdout, stderr } = await store(...order);
    const { error } = JSON.parse(stdout + stderr) as { error: object };
    expect([code, error]).toEqual([2, expect.objectContaining({ reason: 'USAGE' })]);
  }
});
