/** Errors of the database, and the failures they become. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { asStoreFailure } from '../../src/store/store-failure.ts';
import { StoreHealth, type StoreCondition } from '../../src/store/store-health.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { enrolment, reference } from './records.ts';

let cluster: TestCluster;
let url: string;
let store: Store;
let database: pg.Client;
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  store = await openStore({ databaseUrl: url, dataDir: '', keys: temporaryKeys(), log: () => undefined });
  database = new pg.Client({ connectionString: url });
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await store.close();
  await cluster.stop();
});

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => new Error('nothing failed'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return error;
  throw error;
}

describe('an error of the database', () => {
  it.each([
    ['53100', 'resource-exhausted', 'STORE_FULL', true],
    ['53200', 'resource-exhausted', 'STORE_EXHAUSTED', true],
    ['53300', 'unavailable', 'STORE_UNAVAILABLE', true],
    ['53400', 'resource-exhausted', 'STORE_EXHAUSTED', true],
    ['54001', 'resource-exhausted', 'STORE_LIMIT_EXCEEDED', false],
    ['57P01', 'unavailable', 'STORE_UNAVAILABLE', true],
    ['57P03', 'unavailable', 'STORE_UNAVAILABLE', true],
    ['57014', 'unavailable', 'STORE_TOO_SLOW', true],
    ['55P03', 'unavailable', 'STORE_BUSY', true],
    ['58030', 'unavailable', 'STORE_IO_ERROR', true],
    ['58P01', 'unavailable', 'STORE_IO_ERROR', true],
    ['25006', 'unavailable', 'STORE_READ_ONLY', true],
    ['25P03', 'unavailable', 'STORE_UNAVAILABLE', true],
    ['40001', 'aborted', 'CHANGE_COLLIDED', true],
    ['40P01', 'aborted', 'CHANGE_COLLIDED', true],
    ['40003', 'unavailable', 'COMMIT_OUTCOME_UNKNOWN', true],
    ['42501', 'failed-precondition', 'STORE_FORBIDDEN', false],
    ['XX001', 'failed-precondition', 'STORE_DAMAGED', false],
    ['XX002', 'failed-precondition', 'STORE_DAMAGED', false],
    ['XX000', 'internal', 'STORE_ERROR', false],
  ])('%s is %s, %s', (code, kind, reason, isPassing) => {
    const error = Object.assign(new pg.DatabaseError('could not extend file with SECRET', 0, 'error'), {
      code,
      detail: 'SECRET',
      table: 'reference',
    });
    const failure = asStoreFailure(error);
    expect(failure).toMatchObject({ kind, reason });
    expect(failure.detail.retryAfterMs !== undefined).toBe(isPassing);
    const { cause } = failure.detail;
    if (reason !== 'CHANGE_COLLIDED' && reason !== 'COMMIT_OUTCOME_UNKNOWN') {
      expect(failure.detail.metadata).toEqual({ sqlstate: code });
      expect(String((cause as Error).stack)).toContain(code);
    }
    expect(
      JSON.stringify([failure.message, failure.detail, String((cause as Error | undefined)?.stack)]),
    ).not.toContain('SECRET');
  });
});

describe('a wait for the database', () => {
  it('ends when another transaction holds the lock', async () => {
    await database.query('BEGIN; LOCK TABLE subject IN ACCESS EXCLUSIVE MODE');
    try {
      const { subject, references } = enrolment();
      expect(await failureOf(store.subjects.enroll(subject, references))).toMatchObject({ reason: 'STORE_BUSY' });
    } finally {
      await database.query('ROLLBACK');
    }
  }, 30_000);
});

describe('the health of a store', () => {
  it('follows its probes, and a probe without an answer ends', async () => {
    const heard: StoreCondition[] = [];
    const health = new StoreHealth(url);
    await health.check((now) => void heard.push(now));
    expect([health.condition.isWritable, heard]).toEqual([true, []]);
    const name = new URL(url).pathname.slice(1);
    await database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    try {
      health.doubt();
      await Promise.all([1, 2, 3].map(() => health.check((now) => void heard.push(now))));
      expect(heard).toMatchObject([{ isReachable: true, isWritable: false, trouble: { reason: 'STORE_READ_ONLY' } }]);
    } finally {
      await database.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    }
    health.doubt();
    await health.check((now) => void heard.push(now));
    expect(heard.at(-1)).toMatchObject({ isReachable: true, isWritable: true, trouble: undefined });
    const nowhere = new StoreHealth('postgres://nobody@127.0.0.1:9/none');
    await nowhere.check(() => undefined);
    expect(nowhere.condition).toMatchObject({ isReachable: false, trouble: { reason: 'STORE_UNAVAILABLE' } });
  });

  it('is not doubted because this process is late, only because no answer comes', async () => {
    const health = new StoreHealth(url, 1000);
    const checked = health.check(() => undefined);
    const busyUntil = performance.now() + 1100;
    while (performance.now() < busyUntil);
    await checked;
    expect(health.condition).toMatchObject({ isReachable: true, isWritable: true });

    const silent = createServer((socket) => socket.on('error', () => undefined));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const { port } = silent.address() as AddressInfo;
    const deaf = new StoreHealth(`postgres://nobody@127.0.0.1:${port}/none`, 400);
    await deaf.check(() => undefined);
    expect(deaf.condition).toMatchObject({ isReachable: false, trouble: { reason: 'STORE_UNAVAILABLE' } });
    silent.close();
  });
});

describe('a full disk', () => {
  it.skipIf(!isRoot)(
    'is reported as such, reads continue, and writes resume when there is room (needs root on Linux)',
    async () => {
      const parent = temporaryDirectory();
      chmodSync(parent, 0o755);
      const mount = join(parent, 'small');
      mkdirSync(mount);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0755', 'tmpfs', mount]);
      const dataDir = temporaryDirectory();
      const own = await startEmbeddedCluster(dataDir, () => undefined);
      try {
        // Owned by the user of the database process.
        const { uid, gid } = statSync(join(own.directory, 'PG_VERSION'));
        const place = join(mount, 'tablespace');
        mkdirSync(place);
        chownSync(place, uid, gid);
        const admin = new pg.Client({ connectionString: own.url });
        admin.on('error', () => undefined);
        await admin.connect();
        await admin.query(`CREATE TABLESPACE small LOCATION '${place}'`);
        await admin.query('CREATE DATABASE small TABLESPACE small');
        await admin.end();
        const small = await openStore({
          databaseUrl: own.url.replace(/\/postgres$/, '/small'),
          dataDir: '',
          keys: temporaryKeys(),
          log: () => undefined,
        });
        try {
          const { subject, references } = enrolment();
          await small.subjects.enroll(subject, references);
          const filler = join(mount, 'filler');
          try {
            for (let i = 0; ; i++) writeFileSync(filler, Buffer.alloc(1 << 16, i), { flag: 'a' });
          } catch {
            // Full, then.
          }
          const large = () =>
            Array.from({ length: 50 }, () => ({
              ...enrolment(),
              references: [reference({ template: Buffer.alloc(1800, 1) })],
            }));
          const failure = await failureOf(small.subjects.enrollMany(large()));
          expect(failure).toMatchObject({ kind: 'resource-exhausted', reason: 'STORE_FULL' });
          expect(failure.detail).toMatchObject({ metadata: { sqlstate: '53100' } });
          await small.health.check(() => undefined);
          expect(small.health.condition).toMatchObject({
            isReachable: true,
            isWritable: false,
            trouble: { reason: 'STORE_FULL' },
          });
          expect(await small.subjects.get(subject.subjectId)).toBeDefined();
          rmSync(filler);
          small.health.doubt();
          await small.health.check(() => undefined);
          expect(small.health.condition.isWritable).toBe(true);
          expect(await small.subjects.enrollMany(large())).toHaveLength(50);
        } finally {
          await small.close();
        }
      } finally {
        await own.stop();
        execFileSync('umount', [mount]);
      }
    },
  );
});
