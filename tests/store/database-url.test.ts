import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';

const keys = temporaryKeys();

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());

const open = (databaseUrl: string) => openStore({ databaseUrl, dataDir: '', keys, log: () => undefined });

async function refusal(databaseUrl: string): Promise<{ reason: string; message: string }> {
  return open(databaseUrl).then(
    () => ({ reason: 'opened', message: '' }),
    (error: unknown) => error as { reason: string; message: string },
  );
}

it.each([
  ['postgres://u:12/s3cret@db/x', 'DATABASE_URL_INVALID', 'percent-encoded'],
  ['postgres://u:12#s3cret@db/x', 'DATABASE_URL_INVALID', 'percent-encoded'],
  ['postgres://u:12?s3cret@db/x', 'DATABASE_URL_INVALID', 'percent-encoded'],
  ['postgres://u:s3cret/x@db/x', 'DATABASE_URL_INVALID', 'not a URL'],
  ['postgres://u:s3cret@127.0.0.1:99999/x', 'DATABASE_URL_INVALID', 'not a URL'],
  ['http://u:s3cret@127.0.0.1/x', 'DATABASE_URL_INVALID', 'postgres://'],
  ['postgres://u:p@127.0.0.1/x?sslcert=/nowhere/s3cret', 'DATABASE_UNREACHABLE', 'cannot be opened'],
])('refuses %s in one sentence without the password', async (url, reason, words) => {
  const { message, ...rest } = await refusal(url);
  expect(rest).toMatchObject({ reason });
  expect(message).toContain(words);
  expect(message).not.toMatch(/s3cret|\n/);
});

it('names the cause: TLS, a missing password, a user who may not change the schema', async () => {
  const url = await cluster.createDatabase();
  expect((await refusal(`${url}?sslmode=verify-full`)).message).toContain('does not offer TLS');
  const bare = new URL(url);
  bare.password = '';
  expect((await refusal(bare.href)).message).toMatch(/has none|refuses the user or the password/);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("CREATE ROLE reader LOGIN PASSWORD 'reader'");
  await client.end();
  const reader = new URL(url);
  reader.username = reader.password = 'reader';
  expect(await refusal(reader.href)).toMatchObject({
    reason: 'MIGRATION_FAILED',
    message: expect.stringContaining('may not change its schema') as string,
  });
});

it('reports a server that is not PostgreSQL', async () => {
  const server = createServer(
    (socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await refusal(`postgres://u:s3cret@127.0.0.1:${port}/x`)).toMatchObject({ reason: 'DATABASE_UNREACHABLE' });
  server.close();
});

it('waits for a database that is starting up', async () => {
  const target = new URL(await cluster.createDatabase());
  const databasePort = Number(target.port);
  let callers = 0;
  const server = createServer((near) => {
    near.on('error', () => undefined);
    if (++callers <= 2) {
      const fields = Buffer.from('SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0');
      const head = Buffer.from('E\0\0\0\0');
      head.writeInt32BE(fields.length + 4, 1);
      near.end(Buffer.concat([head, fields]));
      return;
    }
    const far = connect(databasePort, '127.0.0.1');
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  target.port = String((server.address() as AddressInfo).port);
  const store = await open(target.href);
  expect(callers).toBeGreaterThan(2);
  expect(await store.subjects.headSequence()).toBe(0);
  await store.close();
  server.close();
});

it('migrates a database once, when several programs start together', async () => {
  const url = await cluster.createDatabase();
  const stores = await Promise.all(Array.from({ length: 4 }, () => open(url)));
  expect(new Set(await Promise.all(stores.map((store) => store.subjects.schemaVersion()))).size).toBe(1);
  for (const store of stores) await store.close();
});
