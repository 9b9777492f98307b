import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, callsOf, enrolPerson, runService, samplesOf, type RunningService } from '../api/running-service.ts';
import { backUp, restore } from '../../src/transfer/backup.ts';
import { Failure } from '../../src/failure.ts';
import { KeyRing } from '../../src/security/key-ring.ts';
import { Keys } from '../../src/security/keys.ts';
import { ReceiptSigner, verifyReceipt } from '../../src/security/receipts.ts';
import { openStore } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

let cluster: TestCluster;
let running: RunningService;
let dataDir: string;
let file: string;
let receipt: string;
const { expunge, identify, update } = callsOf(() => running);
const start = (directory: string) =>
  runService(undefined, { RIDGEWATCH_DATA_DIR: directory, RIDGEWATCH_DEMO: 'never' });
const contentHash = ({ operations }: RunningService) =>
  call(operations, operations.getContentHash.bind(operations), {});
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

/** A new machine with only the key files. */
function emptyMachine(files = ['keys.json', 'receipt-key.pem']): string {
  const directory = temporaryDirectory();
  for (const name of files) copyFileSync(join(dataDir, name), join(directory, name));
  return directory;
}

beforeAll(async () => {
  cluster = await startTestCluster();
  dataDir = temporaryDirectory();
  running = await start(dataDir);
  const ids: string[] = [];
  for (const person of [1, 2, 3, 4, 5]) ids.push((await enrolPerson(running, person)).subject?.subjectId ?? '');
  ({ receipt } = await expunge(ids[4]));
  await update({
    subjectId: ids[0],
    expectedVersion: 0,
    data: undefined,
    samples: samplesOf(1, 1),
    updateMask: ['samples'],
  });
  file = join(temporaryDirectory(), 'backup.rwb');
  const { code, stdout, stderr } = await ridgewatch(['backup', file, '--data-dir', dataDir, '--json']);
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toMatchObject({ sequence: 7 });
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

describe('a backup', () => {
  it('restores everything on a new machine, with an equal content hash', async () => {
    const hash = await contentHash(running);
    const directory = emptyMachine();
    const restored = await ridgewatch(['restore', file, '--data-dir', directory]);
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    const other = await start(directory);
    expect(await contentHash(other)).toEqual(hash);
    const found = await identify(samplesOf(2, 1));
    const there = await callsOf(() => other).identify(samplesOf(2, 1));
    expect(there.candidates).toEqual(found.candidates);
    // It continues from the restored version.
    expect((await enrolPerson(other, 9)).galleryVersion).toBe(8);
    await other.stop();
    expect(other.log.join('')).not.toContain('receipt-key.pem');
  });

  it('warns that it does not contain the receipt key; so does a service that creates another one', async () => {
    const directory = emptyMachine(['keys.json']);
    const restored = await ridgewatch(['restore', file, '--data-dir', directory, '--json']);
    expect(restored).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`${join(directory, 'receipt-key.pem')}, which is not there`) as string,
    });
    expect(JSON.parse(restored.stdout)).toMatchObject({ receipt_key_missing: true });
    const other = await start(directory);
    await other.stop();
    const warnings = other.log
      .filter((line) => line.includes('receipt-key.pem'))
      .map((line) => JSON.parse(line) as object);
    const warning = { level: 'warn', msg: expect.stringContaining('which is another one') as string };
    expect(warnings).toEqual([expect.objectContaining(warning)]);
    // Earlier receipts are verified by the earlier public key, and not by the new one.
    const keyOf = (where: string) => ReceiptSigner.read(undefined, where).publicKey;
    expect(verifyReceipt(receipt, keyOf(dataDir))).toMatchObject({ change: 6 });
    expect(() => verifyReceipt(receipt, keyOf(directory))).toThrow(reason('RECEIPT_INVALID'));
  });

  it('contains no readable data without the keys', async () => {
    const bytes = readFileSync(file);
    expect(bytes.includes('agency')).toBe(false);
    const directory = temporaryDirectory();
    const refused = await ridgewatch(['restore', file, '--data-dir', directory]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('no backup that the keys') as string });
  });

  it('requires its keys, creates none, and changes nothing without them', async () => {
    const { currentId } = KeyRing.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8'), '');
    const directory = temporaryDirectory();
    const strangers = join(temporaryDirectory(), 'keys.json');
    await new Keys({ keyFile: strangers, dataDir: '' }).create();
    for (const args of [[], ['--key-file', join(directory, 'none.json')], ['--key-file', strangers]]) {
      const refused = await ridgewatch(['restore', file, '--data-dir', directory, ...args]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`it needs key ${currentId}`);
      expect(refused.stderr).toContain('--key-file');
      expect(readdirSync(directory)).toEqual([]);
    }
    const cut = join(temporaryDirectory(), 'cut.rwb');
    writeFileSync(cut, readFileSync(file).subarray(0, -40));
    const right = ['--data-dir', directory, '--key-file', join(dataDir, 'keys.json')];
    const damaged = await ridgewatch(['restore', cut, ...right]);
    expect(damaged).toMatchObject({ code: 1, stderr: expect.stringContaining('is damaged') as string });
    expect(readdirSync(directory)).toEqual([]);
    copyFileSync(join(dataDir, 'receipt-key.pem'), join(directory, 'receipt-key.pem'));
    expect(await ridgewatch(['restore', file, ...right])).toMatchObject({ code: 0, stderr: '' });
  });

  it('never overwrites a file or a store', async () => {
    expect(await ridgewatch(['backup', file, '--data-dir', dataDir])).toMatchObject({
      code: 2,
      stderr: `${file} already exists.\n`,
    });
    const inUse = await ridgewatch(['restore', file, '--data-dir', dataDir]);
    expect(inUse).toMatchObject({ code: 1, stderr: expect.stringContaining('in use') as string });
  });

  it('that cannot be completed leaves no file and the store unchanged', async () => {
    const keys = new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });
    const store = await openStore({ databaseUrl: undefined, dataDir, keys, log: () => undefined, mode: 'present' });
    const full = join(temporaryDirectory(), 'full.rwb');
    let told = 0;
    const failing = backUp(store.copy, keys, full, () => {
      if (++told === 3) throw new Error('no space left');
    });
    await expect(failing).rejects.toThrow('no space left');
    expect(existsSync(full)).toBe(false);
    expect(await store.subjects.counts()).toEqual({ subjects: 4, references: 12 });
    await store.close();
  });

  it('that is damaged anywhere restores nothing', async () => {
    const keys = new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });
    const databaseUrl = await cluster.createDatabase();
    const store = await openStore({ databaseUrl, dataDir: '', keys, log: () => undefined });
    const damaged = join(temporaryDirectory(), 'damaged.rwb');
    const attempt = () =>
      restore(store.copy, keys, damaged, () => undefined).then(
        () => 'restored',
        (error: unknown) => (error instanceof Failure ? error.reason : String(error)),
      );
    try {
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.nat(7), fc.boolean(), async (position, bit, cut) => {
          const bytes = readFileSync(file);
          const at = position % bytes.length;
          bytes[at] ^= 1 << bit;
          writeFileSync(damaged, cut ? readFileSync(file).subarray(0, at) : bytes);
          expect(await attempt()).toMatch(/^BACKUP_(DAMAGED|UNREADABLE)$/);
          expect(await store.subjects.counts()).toEqual({ subjects: 0, references: 0 });
        }),
        { numRuns: 60 },
      );
      copyFileSync(file, damaged);
      expect(await attempt()).toBe('restored');
      expect(await store.subjects.counts()).toEqual({ subjects: 4, references: 12 });
      expect(await attempt()).toBe('STORE_NOT_EMPTY');
      const ring = keys.ring.withNewKey(new Date());
      const without = new Keys({ keyFile: join(temporaryDirectory(), 'k.json'), dataDir });
      await without.replace(ring.without(keys.ring.currentId));
      await expect(restore(store.copy, without, damaged, () => undefined)).rejects.toThrow(reason('BACKUP_UNREADABLE'));
    } finally {
      await store.close();
    }
  });
});
