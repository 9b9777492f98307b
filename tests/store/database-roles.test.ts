/** Two roles of an external database, and what a start does with roles that are not separated. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { excessOf } from '../../src/store/excess-rights.ts';
import { openStore, type Store, type StoreMode } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { queryOf, withoutGalleryNames } from './earlier-schemas.ts';
import { enrolment } from './records.ts';

let cluster: TestCluster;
/** URL of a superuser. */
let anyUrl: string;
let count = 0;
let administrator: pg.Client;
/** URLs of one database: of its superuser, of the owner of its tables, and of the service. */
let url: string;
let ownerUrl: string;
let serviceUrl: string;
let service: string;
let keys: Keys;
let log: string[];
const opened: Store[] = [];

beforeAll(async () => {
  cluster = await startTestCluster();
  anyUrl = await cluster.createDatabase();
});
afterAll(() => cluster.stop());

/** The statements that docs/operating.md has for an operator. */
beforeEach(async () => {
  administrator = new pg.Client({ connectionString: anyUrl });
  await administrator.connect();
  count++;
  const [owner, database] = [`owner_${count}`, `store_${count}`];
  service = `service_${count}`;
  await administrator.query(`CREATE ROLE ${owner} LOGIN PASSWORD 'p'`);
  await administrator.query(`CREATE ROLE ${service} LOGIN PASSWORD 'p'`);
  await administrator.query(`CREATE DATABASE ${database} OWNER ${owner}`);
  await administrator.end();
  url = anyUrl.replace(/[^/]*$/, database);
  [ownerUrl, serviceUrl] = [as(owner), as(service)];
  administrator = new pg.Client({ connectionString: url });
  await administrator.connect();
  keys = temporaryKeys();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await administrator.end();
});

function as(user: string, password = 'p', at = url): string {
  const parsed = new URL(at);
  [parsed.username, parsed.password] = [user, password];
  return parsed.href;
}

async function open(
  databaseUrl = serviceUrl,
  databaseOwnerUrl: string | null = ownerUrl,
  mode: StoreMode = 'own',
): Promise<Store> {
  log = [];
  const heard = ({ level, message }: { level: string; message: string }) => {
    if (!message.includes('made a first key')) log.push(`${level}: ${message}`);
  };
  const store = await openStore({
    databaseUrl,
    databaseOwnerUrl: databaseOwnerUrl ?? undefined,
    dataDir: '',
    keys,
    log: heard,
    mode,
  });
  opened.push(store);
  return store;
}

/** What a start is refused with. */
async function refusal(databaseUrl = serviceUrl, databaseOwnerUrl = ownerUrl): Promise<string> {
  return open(databaseUrl, databaseOwnerUrl).then(
    () => 'it was opened',
    (error: unknown) => `${(error as { reason: string }).reason}: ${(error as Error).message}`,
  );
}

/** Enrols, changes and expunges; returns the id of a subject that stays. */
async function use({ subjects }: Store): Promise<string> {
  const [kept, gone] = [enrolment({ galleries: ['a', 'b'] }, `request ${Math.random()}`), enrolment()];
  await subjects.enrollMany([kept, gone]);
  const { subjectId } = kept.subject;
  await subjects.update(subjectId, undefined, { caveats: ['X'], galleries: ['c'] }, enrolment().references);
  await subjects.expunge(gone.subject.subjectId, 'test', () => '{}');
  return subjectId;
}

const mayDelete = async (table: string) => {
  const sql = 'SELECT has_table_privilege($1::name, $2::text, $3) AS may';
  return (await administrator.query<{ may: boolean }>(sql, [service, table, 'DELETE'])).rows[0].may;
};

describe('two roles', () => {
  it('are separated in a new database, without a word, and stay so', async () => {
    const store = await open();
    expect([store.excessRights, log]).toEqual([[], []]);
    const id = await use(store);
    await store.close();
    const again = await open();
    expect((await again.subjects.get(id))?.subject.galleries).toEqual(['c']);
    expect([again.excessRights, log]).toEqual([[], []]);
  });

  it('leave no connection of the owner when its work is done', async () => {
    const store = await open();
    await store.endOwnership();
    await use(store);
    const sql = `SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await expect
      .poll(async () => (await administrator.query<{ usename: string }>(sql)).rows.map(({ usename }) => usename))
      .toEqual([service]);
    await expect(store.templateKeys.rotate(new Date())).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect((await store.subjects.lookForLost()).tables).toEqual([]);
  });

  it('separate a store that one account has made with an earlier version, and lose nothing', async () => {
    const single = await open(ownerUrl, null);
    const { subject, references } = enrolment();
    await single.subjects.enroll(subject, references);
    await single.close();
    await withoutGalleryNames(queryOf(administrator), keys);
    await open();
    expect(log).toContain('info: signed the rows of 1 subjects that an earlier version had stored');
    const [store] = opened.slice(-1);
    expect((await store.subjects.get(subject.subjectId))?.references).toHaveLength(1);
    await use(store);
    expect(store.excessRights).toEqual([]);
  });

  it('work on one store from two processes, started at once', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const id = await use(one);
    await use(other);
    expect(await other.subjects.get(id)).toBeDefined();
  });

  it('let commands do what takes the owner, beside a service', async () => {
    await use(await open());
    const command = await open(serviceUrl, ownerUrl, 'present');
    const id = await command.templateKeys.rotate(new Date());
    expect((await command.templateKeys.sealAll('all', () => undefined)).damaged).toEqual([]);
    expect((await command.templateKeys.count()).get(id)).toBe(1);
    expect((await command.repair.examine()).indexes).toEqual([]);
  });

  it('get their rights back where a table was made anew, and commands take none away', async () => {
    await open();
    await administrator.query(`REVOKE ALL ON migration FROM ${service}`);
    await administrator.query(`GRANT DELETE ON change TO ${service}`);
    const command = await open(serviceUrl, ownerUrl, 'present');
    expect(await command.subjects.schemaVersion()).toMatch(/^\d{4}_/);
    expect(command.excessRights).toEqual(['has DELETE on the table change']);
    expect(await mayDelete('change')).toBe(true);
    expect((await open()).excessRights).toEqual([]);
    expect(await mayDelete('change')).toBe(false);
  });

  it('take away at a start what was given by hand, also to pass it on', async () => {
    await (await open()).close();
    for (const given of ['ALL ON receipt', 'UPDATE (entry) ON audit_record', 'SELECT ON change', 'UPDATE ON subject'])
      await administrator.query(`GRANT ${given} TO ${service} WITH GRANT OPTION`);
    await administrator.query(`GRANT ALL ON SEQUENCE migration_id_seq TO ${service}`);
    const store = await open();
    expect(store.excessRights).toEqual([]);
    const sql = `SELECT relname, privilege_type AS right, is_grantable FROM pg_class c, aclexplode(c.relacl) a
      WHERE relname IN ('audit_record', 'change', 'migration_id_seq', 'receipt') AND grantee = $1::regrole ORDER BY 1, 2`;
    const rights = ['audit_record', 'change', 'receipt'].flatMap((relname) =>
      ['INSERT', 'SELECT'].map((right) => ({ relname, right, is_grantable: false })),
    );
    expect((await administrator.query(sql, [service])).rows).toEqual(rights);
    await use(store);
  });

  it('need no owner at a start that has nothing to change', async () => {
    await (await open()).close();
    const store = await open(serviceUrl, null);
    expect([store.excessRights, log]).toEqual([[], []]);
    await use(store);
    await store.close();
    await withoutGalleryNames(queryOf(administrator), keys);
    const refused = open(serviceUrl, null);
    await expect(refused).rejects.toMatchObject({
      reason: 'MIGRATION_FAILED',
      message: expect.stringContaining('RIDGEWATCH_DATABASE_OWNER_URL') as string,
    });
  });
});

describe('a start with two roles is refused when the service', () => {
  it('is a superuser, and nothing is changed', async () => {
    expect(await refusal(url)).toMatch(/^DATABASE_ROLE_TOO_POWERFUL: The user of DATABASE_URL .* it is a superuser\. /);
    expect((await administrator.query("SELECT to_regclass('subject') AS present")).rows).toEqual([{ present: null }]);
  });

  it('is the owner, whose rights are left as they are', async () => {
    await (await open()).close();
    expect(await refusal(ownerUrl)).toMatch(/^DATABASE_ROLES_DIFFER: .* name one user: make another role/);
    await use(await open());
  });

  it('owns a table', async () => {
    await (await open()).close();
    await administrator.query(`ALTER TABLE receipt OWNER TO ${service}`);
    expect(await refusal()).toMatch(
      /^DATABASE_ROLE_TOO_POWERFUL: The user of DATABASE_URL .*: it owns the table receipt\. .*REASSIGN OWNED.*\.$/,
    );
  });

  it('may do more by a right of PUBLIC, or of a role that it may take on', async () => {
    await (await open()).close();
    await administrator.query('GRANT DELETE ON audit_record TO PUBLIC');
    expect(await refusal()).toMatch(/^DATABASE_ROLE_TOO_POWERFUL: .*: it has DELETE on the table audit_record\. /);
    await administrator.query('REVOKE DELETE ON audit_record FROM PUBLIC');
    await administrator.query(`GRANT owner_${count} TO ${service} WITH INHERIT FALSE, SET TRUE`);
    expect(await refusal()).toMatch(/^DATABASE_ROLE_TOO_POWERFUL: .*: it owns the database, owns the function/);
    await administrator.query(`REVOKE owner_${count} FROM ${service}`);
    await use(await open());
  });

  it('may do more in any other way', async () => {
    await (await open()).close();
    const found: Record<string, string[]> = {};
    const ways = {
      'ALTER FUNCTION refuse_rewriting OWNER TO ROLE_': 'owns the function refuse_rewriting',
      'GRANT UPDATE (kind) ON change TO PUBLIC': 'has UPDATE on the table change',
      'GRANT MAINTAIN ON change TO ROLE_': 'has MAINTAIN on the table change',
      'GRANT CREATE ON SCHEMA public TO ROLE_': 'may create objects in the schema public',
      'GRANT CREATE ON DATABASE STORE TO ROLE_': 'may create schemas in the database',
      'ALTER ROLE ROLE_ CREATEROLE': 'may make roles',
      'ALTER ROLE ROLE_ REPLICATION': 'may read the whole database by replication',
      'GRANT pg_execute_server_program TO ROLE_': 'is a member of pg_execute_server_program',
      'GRANT pg_write_all_data TO ROLE_': 'has DELETE on the table audit_record',
      'ALTER DATABASE STORE OWNER TO ROLE_': 'owns the database',
      'ALTER SCHEMA public OWNER TO ROLE_': 'owns the schema public',
    };
    for (const way of Object.keys(ways)) {
      await administrator.query('BEGIN');
      await administrator.query(way.replace('ROLE_', service).replace('STORE', `store_${count}`));
      await administrator.query(`SET LOCAL SESSION AUTHORIZATION ${service}`);
      found[way] = await excessOf(administrator);
      await administrator.query('ROLLBACK');
    }
    expect(found).toEqual(
      Object.fromEntries(Object.entries(ways).map(([way, told]) => [way, expect.arrayContaining([told]) as string[]])),
    );
    await administrator.query(`SET SESSION AUTHORIZATION ${service}`);
    expect(await excessOf(administrator)).toEqual([]);
  });
});

describe('a start with two roles is refused when the owner', () => {
  it('reaches another database', async () => {
    const other = await cluster.createDatabase();
    const { pathname } = new URL(other);
    await administrator.query(`ALTER DATABASE ${pathname.slice(1)} OWNER TO owner_${count}`);
    expect(await refusal(serviceUrl, as(`owner_${count}`, 'p', other))).toMatch(
      /^DATABASE_ROLES_DIFFER: .* different databases: /,
    );
    const at = new pg.Client({ connectionString: other });
    await at.connect();
    expect((await at.query("SELECT to_regclass('subject') AS present")).rows).toEqual([{ present: null }]);
    await at.end();
  });

  it('reaches another schema of the database', async () => {
    await administrator.query(`CREATE SCHEMA other AUTHORIZATION owner_${count}`);
    const moved = `${ownerUrl}?options=${encodeURIComponent('-c search_path=other')}`;
    expect(await refusal(serviceUrl, moved)).toMatch(/^DATABASE_ROLES_DIFFER: .* different schemas/);
  });

  it.each([
    ['a wrong password', () => as(`owner_${count}`, 's3cret'), 'DATABASE_UNREACHABLE', 'refuses the user'],
    ['a port on which nothing listens', () => 'postgres://u:s3cret@127.0.0.1:1/x', 'DATABASE_UNREACHABLE', 'nothing'],
    ['no URL', () => 's3cret', 'DATABASE_URL_INVALID', 'not a URL'],
  ])('has %s: the setting is named, and not the password', async (_, wrong, reason, words) => {
    const told = await refusal(serviceUrl, wrong());
    expect(told).toMatch(new RegExp(`^${reason}: .*RIDGEWATCH_DATABASE_OWNER_URL.*${words}`));
    expect(told).not.toContain('s3cret');
  });

  it('owns none of the tables', async () => {
    await (await open()).close();
    await administrator.query(`CREATE ROLE weak_${count} LOGIN PASSWORD 'p'; GRANT ALL ON ALL TABLES IN SCHEMA public TO weak_${count};
      REVOKE ALL ON change FROM ${service}`);
    expect(await refusal(serviceUrl, as(`weak_${count}`))).toMatch(/^DATABASE_OWNER_TOO_WEAK: /);
  });
});

describe('one role for everything', () => {
  it('is warned of at the start of a service, and not by commands', async () => {
    const store = await open(ownerUrl, null);
    expect(log).toEqual([expect.stringMatching(/^warn: .*RIDGEWATCH_DATABASE_OWNER_URL/)]);
    expect(store.excessRights).toContain('owns the table audit_record');
    await use(store);
    expect((await open(ownerUrl, null, 'present')).excessRights).not.toEqual([]);
    expect(log).toEqual([]);
    await store.endOwnership();
    await store.templateKeys.rotate(new Date());
  });
});

describe('the role of the service in an embedded database', () => {
  it('is made by a start, with a password for the owner of the directory only, and made anew where it was changed', async () => {
    const dataDir = temporaryDirectory();
    const own = new Keys({ keyFile: undefined, dataDir });
    const start = () => openStore({ databaseUrl: undefined, dataDir, keys: own, log: () => undefined });
    const file = join(dataDir, 'postgres-service-password');
    await (await start()).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const password = readFileSync(file, 'utf8');
    expect(password).toMatch(/^[0-9a-f]{48}$/);
    expect(readFileSync(join(dataDir, 'postgres-password'), 'utf8')).not.toBe(password);
    rmSync(file);
    const cluster = await startEmbeddedCluster(dataDir, () => undefined);
    expect(readFileSync(file, 'utf8')).not.toBe(password);
    const client = new pg.Client({ connectionString: cluster.url });
    await client.connect();
    await client.query(
      'ALTER ROLE ridgewatch_service SUPERUSER NOLOGIN; GRANT TEMPORARY ON DATABASE postgres TO PUBLIC',
    );
    await client.end();
    await cluster.stop();
    const store = await start();
    expect(store.excessRights).toEqual([]);
    await use(store);
    await store.close();
    writeFileSync(file, '');
    const again = await start();
    await use(again);
    await again.close();
  });
});
