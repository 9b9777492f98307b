/** The environment does not decide where data are stored. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectionTo } from '../../src/store/connection.ts';
import { openStore } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'ridgewatch-pgpass-'));
const passwordFile = join(folder, 'pgpass');
writeFileSync(passwordFile, '*:*:*:*:from-a-file\n', { mode: 0o600 });

/** Each of these alone would break a connection, or redirect it. */
const HOSTILE = {
  PGHOST: '192.0.2.1',
  PGHOSTADDR: '192.0.2.1',
  PGPORT: '1',
  PGDATABASE: 'elsewhere',
  PGUSER: 'intruder',
  USER: 'intruder',
  PGPASSWORD: 'wrong',
  PGPASSFILE: passwordFile,
  PGSSLMODE: 'require',
  PGSSLNEGOTIATION: 'direct',
  PGSSLROOTCERT: '/nowhere',
  PGOPTIONS: '-c default_transaction_read_only=on -c search_path=nowhere',
  PGAPPNAME: 'intruder',
  PGREPLICATION: 'database',
  PGCLIENTENCODING: 'SQL_ASCII',
  PGCLIENT_ENCODING: 'SQL_ASCII',
  PGBINARY: '1',
  PGCONNECT_TIMEOUT: '1',
  PGSERVICE: 'elsewhere',
  PGDATA: '/nowhere',
  PGTZ: 'Asia/Tokyo',
  TZ: 'Asia/Tokyo',
  LC_ALL: 'xx_XX.UTF-8',
  TMPDIR: '/nowhere',
} as const;

let cluster: TestCluster;
let url: string;

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
});
afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

const endure = (names = Object.keys(HOSTILE) as (keyof typeof HOSTILE)[]) => {
  for (const name of names) vi.stubEnv(name, HOSTILE[name]);
};

async function facts(url: string): Promise<unknown> {
  const client = connectionTo(url);
  await client.connect();
  const { rows } = await client.query(
    `SELECT current_user AS user, current_database() AS database, current_setting('application_name') AS application,
      current_setting('search_path') AS path, current_setting('TimeZone') AS zone, current_setting('client_encoding') AS encoding,
      current_setting('default_transaction_read_only') AS read_only`,
  );
  await client.end();
  return rows[0];
}

describe('a hostile environment', () => {
  it.each([...Object.keys(HOSTILE), 'all'] as (keyof typeof HOSTILE | 'all')[])(
    'changes no connection: %s',
    async (name) => {
      const before = await facts(url);
      endure(name === 'all' ? undefined : [name]);
      expect(await facts(url)).toEqual(before);
      expect(before).toMatchObject({ application: 'ridgewatch', read_only: 'off', zone: 'UTC', encoding: 'UTF8' });
      expect(process.env.PGHOST).toBe(name === 'all' || name === 'PGHOST' ? HOSTILE.PGHOST : undefined);
    },
  );

  it('does not prevent creating, opening and filling an embedded store', async () => {
    const [dataDir, keys] = [temporaryDirectory(), temporaryKeys()];
    endure();
    const store = await openStore({ databaseUrl: undefined, dataDir, keys, log: () => undefined });
    expect(await store.subjects.headSequence()).toBe(0);
    const deaf = () => undefined;
    await store.listener.ensure({ onChange: deaf, onClients: deaf, onHits: deaf });
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('does not fill in what a URL omits', async () => {
    const heard: string[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => {
        const first = heard.push(bytes.toString('latin1').replaceAll('\0', ' ')) === 1;
        // Requests the password in clear text, then closes the connection.
        if (first) socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
        else socket.end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    endure();
    const client = connectionTo(`postgres://asker@127.0.0.1:${(server.address() as AddressInfo).port}/chosen`);
    client.on('error', () => undefined);
    await client.connect().catch(() => undefined);
    server.close();
    expect(heard[0]).toMatch(/user asker .*database chosen/);
    expect(heard.join()).not.toMatch(/intruder|wrong|from-a-file|search_path|elsewhere|replication/);
  });

  it('does not make unknown certificates acceptable', async () => {
    const server = createServer((near) => {
      near.on('error', () => undefined);
      near.once('data', () => {
        near.write('S');
        const far = connect((tlsServer.address() as AddressInfo).port, '127.0.0.1');
        far.on('error', () => near.destroy());
        near.on('close', () => far.destroy());
        near.pipe(far).pipe(near);
      });
    });
    const { createServer: createTlsServer } = await import('node:tls');
    const { readFileSync } = await import('node:fs');
    const certificates = join(import.meta.dirname, '../security/certificates');
    const tlsServer = createTlsServer({
      cert: readFileSync(join(certificates, 'server.pem')),
      key: readFileSync(join(certificates, 'server.key')),
    });
    tlsServer.on('tlsClientError', () => undefined);
    for (const one of [server, tlsServer]) {
      one.listen(0, '127.0.0.1');
      await once(one, 'listening');
    }
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const client = connectionTo(
      `postgres://a:b@127.0.0.1:${(server.address() as AddressInfo).port}/c?sslmode=verify-full`,
    );
    client.on('error', () => undefined);
    await expect(client.connect()).rejects.toThrow(/certificate/);
    await client.end().catch(() => undefined);
    for (const one of [server, tlsServer]) one.close();
  });
});
