/** Clients that were added or changed in the database: each is named, and none is let in. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PURPOSES } from '../../src/access/actions.ts';
import { ClientDirectory } from '../../src/access/client-directory.ts';
import { agencyCodeOf, ROLES, type Client } from '../../src/access/principal.ts';
import { LOCAL } from '../../src/access/local-client.ts';
import type { Keys } from '../../src/security/keys.ts';
import { CLIENT_FIELDS, CREDENTIAL_FIELDS, type NewCredential } from '../../src/store/client-rows.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { clientWith } from '../access/clients.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { queryOf, withoutChangeMacs } from './earlier-schemas.ts';

let cluster: TestCluster;
let url: string;
let keys: Keys;
let store: Store;
let database: pg.Client;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
/** A store of its own for a test, or for the tests of a group that leave the clients of the others alone. */
async function begin(): Promise<() => Promise<void>> {
  url = await cluster.createDatabase();
  keys = temporaryKeys();
  store = await open();
  database = new pg.Client({ connectionString: url });
  await database.connect();
  return async () => {
    await database.end();
    await store.close();
  };
}

const open = () => openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
const doing = () => ({ by: 'test', at: new Date() });
const hex = () => (randomUUID() + randomUUID()).replaceAll('-', '');
const token = (): NewCredential => ({
  ...{ credentialId: randomUUID(), kind: 'token', fingerprint: hex() },
  ...{ name: undefined, issuer: undefined, expireTime: undefined },
});
const add = (changes: Partial<Client> = {}) => {
  const client = clientWith(changes.roles ? [...changes.roles] : ['checkpoint'], {
    clientId: randomUUID(),
    ...changes,
  });
  return store.clients.addClient(client, [token()], doing()).then(() => client.clientId);
};
const damaged = async () =>
  (await store.clients.readClients()).damaged.map(({ clientId, reason }) => [clientId, reason]);
const present = async () => (await store.clients.readClients()).clients.map(({ client }) => client.clientId);
const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => (error as { reason?: string }).reason,
  );
/** An administrator of the database is held up by no trigger and no constraint. */
async function unbound(): Promise<void> {
  await database.query("SET session_replication_role = 'replica'");
  const { rows } = await database.query<{ tab: string; conname: string }>(
    `SELECT conrelid::regclass::text AS tab, conname FROM pg_constraint
     WHERE conrelid IN ('client'::regclass, 'client_credential'::regclass, 'agency'::regclass) AND contype IN ('c', 'f')`,
  );
  for (const { tab, conname } of rows) await database.query(`ALTER TABLE ${tab} DROP CONSTRAINT "${conname}"`);
}

describe('the MAC of a client', () => {
  beforeAll(begin);
  it('covers every column of the tables, apart from its own', async () => {
    const columns = async (table: string) => {
      const sql = `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`;
      return (await database.query<{ name: string }>(sql, [table])).rows.map(({ name }) => name).sort();
    };
    expect(await columns('client')).toEqual([...CLIENT_FIELDS, 'mac', 'mac_key_id'].sort());
    expect(await columns('client_credential')).toEqual([...CREDENTIAL_FIELDS].sort());
  });

  it('fits what is read back, whatever was written and changed', async () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).map((s) => s.replaceAll('\0', '') || 'x');
    const time = fc.date({ min: new Date(0), max: new Date('+020000-01-01T00:00:00Z'), noInvalidDate: true });
    const client = fc.record({
      kind: fc.constantFrom('machine' as const, 'person' as const),
      agency: text,
      roles: fc.subarray([...ROLES]).map((roles) => new Set(roles)),
      galleries: fc.oneof(
        fc.constant('all' as const),
        fc.array(text).map((names) => new Set(names)),
      ),
      purposes: fc.subarray([...PURPOSES]).map((purposes) => new Set(purposes)),
      clearance: fc.integer({ min: 0, max: 3 }),
      budgets: fc.record({
        callsPerSecond: fc.option(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { nil: undefined }),
        streams: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
        verificationsPerDay: fc.option(fc.nat(), { nil: undefined }),
      }),
    });
    await fc.assert(
      fc.asyncProperty(
        client,
        fc.array(fc.option(time, { nil: undefined }), { maxLength: 3 }),
        text,
        fc.boolean(),
        async (given, ends, reason, isDisabled) => {
          const clientId = randomUUID();
          // Codes of other agencies may be the same.
          const agency = `${given.agency} ${clientId}`;
          const made = { ...given, clientId, agency, agencyCode: agencyCodeOf(agency) };
          await store.clients.addClient(made, [token()], doing());
          for (const expireTime of ends) {
            const name = {
              kind: 'certificate-name' as const,
              fingerprint: undefined,
              name: `DNS:${hex()}`,
              issuer: hex(),
            };
            await store.clients.addCredential(clientId, { ...token(), ...name, expireTime }, expireTime, doing());
          }
          if (isDisabled && !given.roles.has('administrator'))
            await store.clients.disableClient(clientId, reason, doing());
          const found = (await store.clients.readClients()).clients.find((one) => one.client.clientId === clientId);
          expect(await damaged()).toEqual([]);
          expect(found?.client).toEqual(made);
          expect(found?.credentials).toHaveLength(1 + ends.length);
        },
      ),
      { numRuns: 25 },
    );
  });
});

const ONE = 'WHERE client_id = $1';
const CHANGES: readonly (readonly [string, string])[] = [
  ['an id', `UPDATE client SET client_id = $1 || 'x' ${ONE}`],
  ['a kind', `UPDATE client SET kind = 'person' ${ONE}`],
  ['an agency', `UPDATE client SET agency = 'elsewhere' ${ONE}`],
  ['a role', `UPDATE client SET roles = roles || '{administrator}' ${ONE}`],
  ['galleries', `UPDATE client SET galleries = '{other}' ${ONE}`],
  ['purposes', `UPDATE client SET purposes = '{}' ${ONE}`],
  ['a clearance', `UPDATE client SET clearance = 3 ${ONE}`],
  ['a rate', `UPDATE client SET calls_per_second = 'infinity' ${ONE}`],
  ['streams', `UPDATE client SET streams = 7 ${ONE}`],
  ['comparisons', `UPDATE client SET verifications_per_day = 7 ${ONE}`],
  ['a time', `UPDATE client SET create_time = '2001-01-01' ${ONE}`],
  ['an author', `UPDATE client SET created_by = 'other' ${ONE}`],
  ['the end of a disabling', `UPDATE client SET disable_time = 'infinity', disabled_by = 'x' ${ONE}`],
  ['a version', `UPDATE client SET version = version + 1 ${ONE}`],
  ['no MAC', `UPDATE client SET mac = NULL ${ONE}`],
  ['a short MAC', `UPDATE client SET mac = substr(mac, 2) ${ONE}`],
  ['no key', `UPDATE client SET mac_key_id = NULL ${ONE}`],
  ['a key that never was', `UPDATE client SET mac_key_id = 'never' ${ONE}`],
  ["another client's MAC", `UPDATE client SET mac = (SELECT mac FROM client WHERE client_id = $2) ${ONE}`],
  [
    'the code of its agency',
    "UPDATE agency SET code = code || 'X' WHERE agency = (SELECT agency FROM client WHERE client_id = $1)",
  ],
  ['an agency that is removed', 'DELETE FROM agency WHERE agency = (SELECT agency FROM client WHERE client_id = $1)'],
  [
    'a credential that is added',
    `INSERT INTO client_credential (credential_id, client_id, kind, fingerprint, create_time, created_by)
     VALUES (gen_random_uuid(), $1, 'token', sha256(convert_to(gen_random_uuid()::text, 'UTF8')), now(), 'x')`,
  ],
  ['a credential that is removed', `DELETE FROM client_credential ${ONE}`],
  ['a credential that is moved', `UPDATE client_credential SET client_id = $1 WHERE client_id = $2`],
  ['a fingerprint', `UPDATE client_credential SET fingerprint = sha256(fingerprint) ${ONE}`],
  ['a kind of credential', `UPDATE client_credential SET kind = 'certificate' ${ONE}`],
  ['a name', `UPDATE client_credential SET name = 'DNS:x', issuer = fingerprint ${ONE}`],
  ['an expiry', `UPDATE client_credential SET expire_time = '2101-01-01' ${ONE}`],
  ['a revocation', `UPDATE client_credential SET revoke_time = now() ${ONE}`],
];

describe('a client is not let in after a change of', () => {
  beforeAll(begin);
  it.each(CHANGES)('%s', async (_, sql) => {
    const made = [randomUUID(), randomUUID()].map((agency) => add({ agency, agencyCode: agencyCodeOf(agency) }));
    const [clientId, other] = await Promise.all(made);
    const isNamed = async (id: string) => (await damaged()).some(([named]) => named === id);
    expect([await isNamed(clientId), await isNamed(other)]).toEqual([false, false]);
    await unbound();
    // Parameters that a statement does not name are not sent.
    await database.query(sql, [clientId, other].slice(0, sql.includes('$2') ? 2 : 1));
    expect(await present()).not.toContain(clientId);
    const isMoved = sql.includes('client_credential SET client_id');
    expect([await isNamed(other), (await present()).includes(other)]).toEqual([isMoved, !isMoved]);
    if (sql.includes('SET client_id = $1 ||')) return;
    expect(await isNamed(clientId)).toBe(true);
    expect(await reasonOf(store.clients.addCredential(clientId, token(), undefined, doing()))).toBe('CLIENT_DAMAGED');
  });
});

describe('a client that was added in the database', () => {
  beforeEach(begin);
  const forge = (role: string) =>
    database.query(
      `INSERT INTO client (client_id, kind, agency, roles, purposes, clearance, create_time, created_by)
       SELECT 'forged', 'person', agency, ARRAY[$1], '{}', 3, now(), 'local' FROM agency LIMIT 1`,
      [role],
    );

  it('is named, does not count as an administrator beside the last one, and can be disabled', async () => {
    const last = await add({ roles: new Set(['administrator' as const]) });
    await unbound();
    await forge('administrator');
    await database.query(
      `INSERT INTO client_credential (credential_id, client_id, kind, fingerprint, create_time, created_by)
       VALUES (gen_random_uuid(), 'forged', 'token', decode(repeat('ab', 32), 'hex'), now(), 'x')`,
    );
    expect(await damaged()).toEqual([['forged', 'CLIENT_UNSIGNED']]);
    expect(await reasonOf(store.clients.disableClient(last, 'test', doing()))).toBe('LAST_ADMINISTRATOR');
    await store.clients.disableClient('forged', 'test', doing());
    expect(await damaged()).toEqual([]);
    const { clients } = await store.clients.readClients();
    const found = clients.find(({ client }) => client.clientId === 'forged');
    expect([found?.disableReason, [...(found?.client.roles ?? [])], found?.credentials]).toEqual(['test', [], []]);
  });

  it('is not signed by a start, nor by a rotation of the keys', async () => {
    const own = await add();
    await unbound();
    await forge('operator');
    await store.templateKeys.rotate(new Date());
    const { damaged: left } = await store.templateKeys.sealAll('all', () => undefined);
    expect(left).toEqual([]);
    await store.close();
    store = await open();
    expect([await damaged(), await present()]).toEqual([[['forged', 'CLIENT_UNSIGNED']], [own]]);
  });
});

describe('the clients of an earlier version', () => {
  beforeEach(begin);
  it('are signed at the first start', async () => {
    const own = await add();
    await withoutChangeMacs(queryOf(database), keys);
    await store.close();
    store = await open();
    expect([await damaged(), await present()]).toEqual([[], [own]]);
    await store.clients.addCredential(own, token(), undefined, doing());
    expect(await damaged()).toEqual([]);
  });
});

describe('a running service', () => {
  beforeEach(begin);
  it('takes no client back to an earlier state, and misses one that is gone', async () => {
    const [clientId, gone] = [await add(), await add()];
    const directory = new ClientDirectory(store.clients);
    await directory.refresh();
    await database.query('CREATE TABLE old AS SELECT * FROM client');
    await store.clients.disableClient(clientId, 'test', doing());
    await directory.refresh();
    expect(directory.byId(clientId)?.disableReason).toBe('test');
    await unbound();
    await database.query('DELETE FROM client; INSERT INTO client SELECT * FROM old');
    await database.query('DELETE FROM client WHERE client_id = $1', [gone]);
    await database.query('UPDATE client_version SET version = version + 1');
    await directory.refresh();
    expect(directory.byId(clientId)).toBeUndefined();
    expect(directory.damaged).toEqual(
      [
        { clientId, reason: 'CLIENT_PUT_BACK' },
        { clientId: gone, reason: 'CLIENT_MISSING' },
      ].sort((a, b) => (a.clientId < b.clientId ? -1 : 1)),
    );
  });
});

describe('a recovery', () => {
  beforeEach(begin);
  const recover = (clientId: string, substitute?: Client) =>
    reasonOf(store.clients.recoverClient(clientId, substitute, token(), doing()));

  it('makes the local client an administrator again when every client was changed', async () => {
    await store.clients.addClient(LOCAL, [token()], doing());
    const other = await add();
    const directory = new ClientDirectory(store.clients);
    await directory.refresh();
    await unbound();
    await database.query(
      "UPDATE client SET clearance = 1, version = 0, roles = '{monitor}'; UPDATE agency SET code = code || 'X'",
    );
    expect(await recover('local')).toBe('CLIENT_DAMAGED');
    expect(await recover(other)).toBe('CLIENT_DAMAGED');
    expect(await recover('local', LOCAL)).toBe('none');
    await directory.refresh();
    const local = directory.byId('local');
    expect([local?.client, local?.credentials.length]).toEqual([LOCAL, 1]);
    expect(directory.damaged.map(({ clientId }) => clientId)).toEqual([other]);
  });

  it('enables a disabled local client only where no administrator is left', async () => {
    await store.clients.addClient(LOCAL, [token()], doing());
    const other = await add({ roles: new Set(['administrator' as const]) });
    await store.clients.disableClient('local', 'test', doing());
    expect(await recover('local', LOCAL)).toBe('CLIENT_DISABLED');
    await unbound();
    await database.query('UPDATE client SET clearance = 2 WHERE client_id = $1', [other]);
    expect(await recover('local', LOCAL)).toBe('none');
    expect(await present()).toEqual(['local']);
    expect(await recover('nowhere')).toBe('CLIENT_NOT_FOUND');
  });
});
