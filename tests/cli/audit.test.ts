/** The audit on the command line: a service writes it, an auditor reads and verifies it. */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPublicKey } from 'node:crypto';
import { readAuditKey } from '../../src/audit/audit-key.ts';
import { placeOfAnchor } from '../../src/audit/anchor.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { openStore } from '../../src/store/store.ts';
import { Keys } from '../../src/security/keys.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { openTrail, search, subjectId } from '../audit/trails.ts';
import { ridgewatch, type CommandRun } from './command.ts';

let cluster: TestCluster;
let url: string;
let dataDir: string;
let publicKey: string;

beforeAll(async () => {
  cluster = await startTestCluster();
  ({ url, dataDir } = await filled());
  publicKey = join(dataDir, 'audit.pem');
  const { code, stdout } = await audit('key');
  expect([code, stdout.split('\n')[0]]).toEqual([0, '-----BEGIN PUBLIC KEY-----']);
  writeFileSync(publicKey, stdout);
});
afterAll(() => cluster.stop());

/** A store and a data directory with what a service recorded. */
async function filled(): Promise<{ url: string; dataDir: string }> {
  const [at, directory] = [await cluster.createDatabase(), temporaryDirectory()];
  const keys = new Keys({ keyFile: undefined, dataDir: directory });
  await (await openStore({ databaseUrl: at, dataDir: directory, keys, log: () => undefined })).close();
  const trail = await openTrail(at, { dataDir: directory, keys });
  for (let number = 0; number < 12; number++) await trail.record(search(number));
  await trail.close();
  return { url: at, dataDir: directory };
}

const audit = (...args: string[]): Promise<CommandRun> =>
  ridgewatch(['audit', ...args, '--data-dir', dataDir], { DATABASE_URL: url });

async function sql(at: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: at });
  await client.connect();
  await client.query(`SET session_replication_role = 'replica'; ${text}`);
  await client.end();
}

describe('ridgewatch audit', () => {
  it('verify: 0 where nothing was changed, 9 and the first bad record where something was', async () => {
    expect(await audit('verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('Verified') as string });
    const other = await filled();
    await sql(other.url, "UPDATE audit_record SET entry = replace(entry, 'request 4', 'request 5') WHERE seq = 6");
    const run = await ridgewatch(['audit', 'verify', '--json', '--data-dir', other.dataDir], {
      DATABASE_URL: other.url,
    });
    expect(run.code).toBe(9);
    expect(JSON.parse(run.stdout)).toMatchObject({ verified: false, faults: [{ seq: 6, kind: 'altered' }] });
  });

  it('verify: with another anchor', async () => {
    const other = await filled();
    const anchor = placeOfAnchor(undefined, other.dataDir);
    await sql(other.url, 'DELETE FROM audit_record');
    const run = await ridgewatch(
      ['audit', 'verify', '--json', '--data-dir', other.dataDir, '--anchor', anchor, '--public-key', publicKey],
      { DATABASE_URL: other.url },
    );
    expect(run.code).toBe(9);
    expect(JSON.parse(run.stdout)).toMatchObject({ records: 0, faults: [{ seq: 1, kind: 'removed' }] });
  });

  it('show: who searched this person, newest first', async () => {
    const { code, stdout } = await audit('show', '--subject', subjectId(5).toUpperCase(), '--json');
    const { records } = JSON.parse(stdout) as { records: { request_id: string }[] };
    expect([code, records.map(({ request_id }) => request_id)]).toEqual([0, ['request 5', 'request 4']]);
    const text = (await audit('show', '--client', 'gate-1', '--limit', '2')).stdout;
    expect(text).toContain('gate-1');
    expect(text).not.toContain('gate-2');
    expect(text).toContain('There may be more');
  });

  it.each([
    ['show', '--subject', 'everybody'],
    ['show', '--since', 'yesterday'],
    ['export'],
    ['verify', 'no-such-file'],
  ])('%s %s %s is refused', async (...args) => {
    expect((await audit(...args.filter((arg) => typeof arg === 'string'))).code).toBe(2);
  });

  it('export: verified elsewhere, with the public key alone', async () => {
    const file = join(temporaryDirectory(), 'audit.ndjson');
    const { code, stdout } = await audit('export', '--agency', 'agency 1', '--out', file, '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { file, records: 6 }]);
    const elsewhere = ['--data-dir', temporaryDirectory(), '--json'];
    const verified = await ridgewatch(['audit', 'verify', file, '--public-key', publicKey, ...elsewhere]);
    expect([verified.code, JSON.parse(verified.stdout)]).toMatchObject([0, { verified: true, whole: false }]);
    writeFileSync(file, readFileSync(file, 'utf8').replace('"request 3"', '"request 2"'));
    expect((await ridgewatch(['audit', 'verify', file, '--public-key', publicKey, ...elsewhere])).code).toBe(9);
    expect((await ridgewatch(['audit', 'verify', file, ...elsewhere])).code).toBe(1);
  });
});

describe('a restored store', () => {
  it('is verified, and says which records were lost by the restore', async () => {
    const other = await filled();
    const keys = new Keys({ keyFile: undefined, dataDir: other.dataDir });
    const file = join(temporaryDirectory(), 'backup.rwb');
    const run = (command: string, at: string) =>
      ridgewatch([command, file, '--data-dir', other.dataDir], { DATABASE_URL: at });
    expect(await run('backup', other.url)).toMatchObject({ code: 0 });
    // A writer that the backup does not have.
    const later = await openTrail(other.url, { dataDir: other.dataDir, keys });
    await later.record(search(100));
    await later.close();
    const target = await cluster.createDatabase();
    expect(await run('restore', target)).toMatchObject({ code: 0, stderr: '' });
    const { fingerprint, publicKey: pem } = readAuditKey(undefined, other.dataDir);
    const store = await openStore({ databaseUrl: target, dataDir: other.dataDir, keys, log: () => undefined });
    const verify = () =>
      store.readAudit((reader) =>
        verifyAudit(reader, {
          keys: new Map([[fingerprint, createPublicKey(pem)]]),
          anchors: [placeOfAnchor(undefined, other.dataDir)],
        }),
      );
    const verdict = await verify();
    expect(verdict).toMatchObject({ faults: [], badAnchorLines: [], writers: 4 });
    // That the backup had ended, which it cannot contain itself; and the writer that came after it.
    expect(verdict.lostByRestore).toMatchObject([
      { from: 3, to: 4 },
      { from: 1, to: 3 },
    ]);
    // What is cut off afterwards is not excused.
    const after = await openTrail(target, { dataDir: other.dataDir, keys });
    await after.record(search(200));
    await after.close();
    await sql(
      target,
      'DELETE FROM audit_record WHERE writer = (SELECT writer FROM audit_record ORDER BY writer DESC LIMIT 1)',
    );
    expect((await verify()).faults).toMatchObject([{ kind: 'removed' }]);
    await store.close();
  });

  it('without the key of before is verified with its public key', async () => {
    const other = await filled();
    const moved = temporaryDirectory();
    copyFileSync(join(other.dataDir, 'keys.json'), join(moved, 'keys.json'));
    expect(existsSync(join(moved, 'audit-key.pem'))).toBe(false);
    const keys = new Keys({ keyFile: undefined, dataDir: moved });
    await keys.open(true);
    await (await openTrail(other.url, { dataDir: moved, keys })).close();
    const pem = join(moved, 'before.pem');
    writeFileSync(pem, readAuditKey(undefined, other.dataDir).publicKey);
    const verify = (...more: string[]) =>
      ridgewatch(['audit', 'verify', '--data-dir', moved, '--json', ...more], { DATABASE_URL: other.url });
    const [without, withKey] = [await verify(), await verify('--public-key', pem)];
    expect([without.code, JSON.parse(without.stdout)]).toMatchObject([
      9,
      { faults: [{ kind: 'unknown-key', seq: 1 }] },
    ]);
    expect([withKey.code, JSON.parse(withKey.stdout)]).toMatchObject([0, { verified: true, writers: 2 }]);
  });
});
