/** What the service's database role may do: by the list, and by PostgreSQL. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Keys } from '../../src/security/keys.ts';
import { nameOf, rightsOn, SERVICE_GRANTS } from '../../src/store/service-grants.ts';
import { joinEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { readAllTables } from '../../src/store/tables.ts';
import { temporaryDirectory } from '../cluster.ts';
import { enrolment } from './records.ts';

const PROTECTED = ['audit_record', 'change', 'receipt'];

let dataDir: string;
let store: Store;
let cluster: EmbeddedCluster;
let owner: pg.Client;
let service: pg.Client;

const open = (log: string[] = []) => {
  const keys = new Keys({ keyFile: undefined, dataDir });
  return openStore({ databaseUrl: undefined, dataDir, keys, log: ({ message }) => void log.push(message) });
};

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

beforeAll(async () => {
  dataDir = temporaryDirectory();
  store = await open();
  cluster = await joinEmbeddedCluster(dataDir, () => undefined);
  owner = await connect(cluster.url);
  service = await connect(cluster.serviceUrl);
  const { subject, references } = enrolment({ galleries: ['main'], externalId: 'x' }, 'request');
  await store.subjects.enroll(subject, references);
  const { subject: gone } = enrolment();
  await store.subjects.enroll(gone, []);
  await store.subjects.expunge(gone.subjectId, 'test', () => '{}');
  await owner.query(`INSERT INTO audit_record (writer, seq, at, kind, subjects, entry, hash)
    VALUES (gen_random_uuid(), 1, now(), 'call', '{}', '{}', sha256(''))`);
});
afterAll(async () => {
  await owner.end();
  await service.end();
  await cluster.stop();
  await store.close();
});

/** The SQLSTATE that a statement of the service's role ends with; undefined: it was carried out, and is undone. */
async function refusalOf(sql: string): Promise<string | undefined> {
  await service.query('BEGIN');
  try {
    await service.query(sql);
    return undefined;
  } catch (error) {
    return (error as pg.DatabaseError).code;
  } finally {
    await service.query('ROLLBACK');
  }
}

/** The rows of the protected tables; there are some in each. */
async function contents(): Promise<string[]> {
  const found: string[] = [];
  for (const table of PROTECTED) {
    const sql = `SELECT string_agg(t::text, E'\\n') AS rows FROM ${table} t`;
    found.push((await owner.query<{ rows: string | null }>(sql)).rows[0].rows ?? '');
  }
  expect(found).not.toContain('');
  return found;
}

describe('the list of rights', () => {
  it('has a line for each table of the schema, with columns that exist, and for no other', async () => {
    expect((await readAllTables(owner)).sort()).toEqual(Object.keys(SERVICE_GRANTS).sort());
    const { rows } = await owner.query<{ name: string }>(
      `SELECT concat(c.relname, ' ', a.attname) AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace`,
    );
    const columns = new Set(rows.map(({ name }) => name));
    for (const table of Object.keys(SERVICE_GRANTS))
      for (const { column } of rightsOn(table))
        if (column !== undefined) expect(columns).toContain(`${table} ${column}`);
  });

  it('lets rows of the audit, of the changes and of receipts be read and added only', () => {
    for (const table of PROTECTED) expect(SERVICE_GRANTS[table]).toEqual(['SELECT', 'INSERT']);
  });

  it('is what the role may do, and all that it may do', async () => {
    const { rows } = await service.query<{ name: string }>(
      `SELECT c.relname || ' ' || p AS name FROM pg_class c, unnest('{SELECT,INSERT,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}'::text[]) p
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND has_table_privilege(c.oid, p)
       UNION ALL SELECT concat(c.relname, ' UPDATE (', a.attname, ')') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND attnum > 0
         AND has_column_privilege(c.oid, attnum, 'UPDATE')`,
    );
    const listed = Object.keys(SERVICE_GRANTS).flatMap((table) =>
      rightsOn(table).map((one) => `${table} ${nameOf(one)}`),
    );
    expect(rows.map(({ name }) => name).sort()).toEqual(listed.sort());
    expect(store.excessRights).toEqual([]);
  });
});

describe('the service on the embedded database', () => {
  it.each(
    PROTECTED.flatMap((table) =>
      [
        `UPDATE ${table} SET seq = seq`,
        `DELETE FROM ${table}`,
        `TRUNCATE ${table} CASCADE`,
        `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
        `ALTER TABLE ${table} ADD COLUMN more int`,
        `ALTER TABLE ${table} OWNER TO CURRENT_USER`,
        `DROP TABLE ${table} CASCADE`,
        `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
        `SELECT FROM ${table} FOR UPDATE`,
        `INSERT INTO ${table} SELECT * FROM ${table} ON CONFLICT (${table === 'audit_record' ? 'writer, seq' : 'seq'}) DO UPDATE SET seq = 0`,
        `MERGE INTO ${table} t USING ${table} s ON t.seq = s.seq WHEN MATCHED THEN DELETE`,
        `COPY ${table} FROM '/dev/null'`,
        `COPY ${table} TO PROGRAM 'true'`,
        `CREATE TRIGGER own BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse_rewriting()`,
        `CREATE RULE own AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
        `CREATE POLICY own ON ${table}`,
        `CREATE INDEX ON ${table} (seq)`,
        // By itself it is a warning, and grants nothing.
        `GRANT DELETE ON ${table} TO CURRENT_USER; DELETE FROM ${table}`,
      ].map((sql) => [sql]),
    ),
  )('is refused by PostgreSQL: %s', async (sql) => {
    const before = await contents();
    expect(await refusalOf(sql)).toBe('42501');
    expect(await contents()).toEqual(before);
  });

  it('is not refused what a service does', async () => {
    for (const sql of [
      'SELECT FROM template_key FOR KEY SHARE',
      'SELECT FROM subject FOR UPDATE',
      'UPDATE change_counter SET seq = seq + 1',
      "INSERT INTO receipt (seq, document) SELECT seq, '{}' FROM change WHERE kind = 'upsert'",
      'DELETE FROM subject',
    ])
      expect([sql, await refusalOf(sql)]).toEqual([sql, undefined]);
  });

  it.each([
    'SET ROLE ridgewatch',
    'SET SESSION AUTHORIZATION ridgewatch',
    'CREATE TABLE public.own ()',
    'CREATE TEMPORARY TABLE own ()',
    'CREATE SCHEMA own',
    "CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    'DROP FUNCTION refuse_audit_rewriting() CASCADE',
    'ALTER FUNCTION refuse_rewriting() OWNER TO CURRENT_USER',
    'CREATE EXTENSION pageinspect',
    'CREATE ROLE own SUPERUSER',
    'ALTER ROLE CURRENT_USER SUPERUSER',
    'ALTER SYSTEM SET fsync = off',
    'SET session_replication_role = replica',
    'ALTER DATABASE postgres SET default_transaction_read_only = on',
    'ALTER SCHEMA public RENAME TO other',
    'UPDATE reference SET subject_id = subject_id',
    'UPDATE subject SET contributor = contributor',
    'UPDATE template_key SET proof = proof',
    'UPDATE agency SET agency = agency',
    'UPDATE change_counter SET store_id = store_id',
    'DELETE FROM client',
    'DELETE FROM change_counter',
    'DELETE FROM migration',
    "SELECT pg_read_file('postgresql.conf')",
    'SELECT rolpassword FROM pg_authid',
  ])('is refused by PostgreSQL, too: %s', async (sql) => {
    // ALTER SYSTEM is refused outside of transactions only.
    const refusal = /^ALTER SYSTEM/.test(sql)
      ? await service.query(sql).then(
          () => undefined,
          (error: unknown) => (error as pg.DatabaseError).code,
        )
      : await refusalOf(sql);
    expect(refusal).toBe('42501');
  });
});
