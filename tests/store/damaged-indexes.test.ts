/** Damaged indexes in harder cases: beside a damaged table, in use, and in a database with another owner. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import type { DamagedReference, SubjectWithReferences } from '../../src/store/records.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { temporaryDirectory } from '../cluster.ts';
import { BLOCK, changeFile } from './relation-files.ts';
import { enrolment, reference } from './records.ts';

let dataDir: string;
let cluster: EmbeddedCluster;
let administrator: pg.Client;
let count = 0;
/**
 * Per test: the URL of the administrator, that of an ordinary user, a client of the administrator, and the enrolled
 * ids.
 */
let url: string;
let ownUrl: string;
let client: pg.Client;
let enrolled: string[];
let store: Store | undefined;
let log: string[];

const keys = () => new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });

async function open(databaseUrl: string): Promise<Store> {
  log = [];
  // These users own what they read.
  const heard = ({ message }: { readonly message: string }) => {
    if (!message.includes('RIDGEWATCH_DATABASE_OWNER_URL')) log.push(message);
  };
  return (store = await openStore({ databaseUrl, dataDir, keys: keys(), log: heard }));
}

async function close(): Promise<void> {
  await store?.close();
  store = undefined;
}

beforeAll(async () => {
  dataDir = temporaryDirectory();
  await keys().create();
  cluster = await startEmbeddedCluster(dataDir, () => undefined);
  administrator = new pg.Client({ connectionString: cluster.url });
  await administrator.connect();
  await administrator.query("CREATE ROLE owner LOGIN PASSWORD 'p'; CREATE ROLE guest LOGIN PASSWORD 'p'");
});
afterAll(async () => {
  await administrator.end();
  await cluster.stop();
});

beforeEach(async () => {
  const name = `store_${++count}`;
  await administrator.query(`CREATE DATABASE ${name} OWNER owner`);
  url = cluster.url.replace(/\/postgres$/, `/${name}`);
  ownUrl = userUrl('owner');
  const template = Uint8Array.from({ length: 400 }, (_, i) => (i * 7919) & 255);
  const made = Array.from({ length: 200 }, (_, i) => ({
    ...enrolment({ galleries: ['main', `gallery ${i % 5}`], externalId: `external ${i}` }),
    references: [reference({ template }), reference({ template, fingerPosition: 3 })],
  }));
  const opened = await open(ownUrl);
  await opened.subjects.enrollMany(made);
  await close();
  enrolled = made.map(({ subject }) => subject.subjectId).sort();
  client = new pg.Client({ connectionString: url });
  await client.connect();
});
afterEach(async () => {
  await close();
  await client.end();
});

function userUrl(user: string): string {
  const parsed = new URL(url);
  [parsed.username, parsed.password] = [user, 'p'];
  return parsed.href;
}

/** Overwrites bytes of a block on disk. @param block - counted from the end if negative */
function damage(relation: string, block: number, bytes = Buffer.alloc(64, 0xa5)): Promise<void> {
  return changeFile(url, cluster.directory, relation, (file, blocks) => {
    const at = ((block + blocks) % blocks) * BLOCK + (bytes.length === BLOCK ? 0 : 100);
    writeSync(file, bytes, 0, bytes.length, at);
  });
}

async function readAll({ subjects }: Store) {
  const [all, damaged]: [SubjectWithReferences[], DamagedReference[]] = [[], []];
  await subjects.snapshot((batch, _, unreadable = []) => {
    all.push(...batch);
    damaged.push(...unreadable, ...batch.flatMap((one) => one.damaged ?? []));
    return Promise.resolve();
  }, 40);
  const ids = all.map(({ subject }) => subject.subjectId).sort();
  return { all, ids, damaged, references: all.reduce((sum, one) => sum + one.references.length, 0) };
}

describe('a damaged index', () => {
  it('is rebuilt at start, with a log line', async () => {
    await damage('subject_pkey', -1);
    await damage('reference_subject', 0);
    const opened = await open(url);
    expect(await readAll(opened)).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
    expect(log.sort()).toEqual([
      expect.stringContaining('reference_subject of the table reference was damaged, and was built anew'),
      expect.stringContaining('subject_pkey of the table subject was damaged, and was built anew'),
    ]);
  });

  it('is found when a block is all zeros, which PostgreSQL takes for a new page', async () => {
    await damage('subject_pkey', 1, Buffer.alloc(BLOCK));
    await damage('reference_subject', 1, Buffer.alloc(BLOCK));
    expect(await readAll(await open(url))).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
    expect(log).toHaveLength(2);
  });

  it('is bypassed by reads, and changes that need it are refused', async () => {
    const opened = await open(url);
    for (const index of ['subject_pkey', 'reference_subject', 'subject_contributor_external_id_key'])
      await damage(index, 1);
    const [id] = enrolled;
    expect((await opened.subjects.get(id))?.references).toHaveLength(2);
    expect(await readAll(opened)).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
    const damaged = { reason: 'STORE_DAMAGED' };
    await expect(opened.subjects.expunge(id, 'test', () => '{}')).rejects.toMatchObject(damaged);
    await expect(opened.subjects.update(id, 1, { caveats: ['x'] }, undefined)).rejects.toMatchObject(damaged);
    const twin = enrolment({ externalId: 'external 0' });
    await expect(opened.subjects.enroll(twin.subject, twin.references)).rejects.toMatchObject(damaged);
    const { indexes, blocks } = await opened.repair.examine();
    expect([indexes.length, blocks]).toEqual([3, []]);
    const outcomes = (await opened.repair.rebuildIndexes(indexes)).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['rebuilt', 'rebuilt', 'rebuilt']);
    await expect(opened.subjects.enroll(twin.subject, twin.references)).rejects.toMatchObject({
      reason: 'EXTERNAL_ID_TAKEN',
    });
  });

  it.each([0, 1])(
    'beside a damaged table is disabled (block %i), and rebuilt together with the table',
    async (block) => {
      await damage('subject_pkey', block);
      const { rows } = await client
        .query<{ id: string }>("SELECT subject_id AS id FROM subject WHERE ctid < '(1,0)'::tid")
        .catch(() => client.query<{ id: string }>('SELECT NULL AS id WHERE false'));
      await damage('subject', 0);
      const opened = await open(url);
      expect(log).toEqual([expect.stringContaining('could not be built anew (table-damaged)')]);
      const { ids, damaged } = await readAll(opened);
      expect(ids.length).toBeGreaterThan(100);
      expect(ids.length).toBeLessThan(enrolled.length);
      if (rows.length > 0) expect(enrolled.length - ids.length).toBe(rows.length);
      expect(new Set(damaged.map(({ subjectId }) => subjectId)).size).toBe(enrolled.length - ids.length);
      const { blocks, indexes } = await opened.repair.examine();
      expect([blocks, indexes]).toMatchObject([[{ table: 'subject', block: 0 }], [{ index: 'subject_pkey' }]]);
      await opened.repair.removeAll(damaged, 'test', damaged.length, () => '{}');
      await opened.repair.rewrite(blocks, 'after', [], 'test');
      expect(await opened.repair.examine()).toMatchObject({ blocks: [], indexes: [] });
      expect(await readAll(opened)).toMatchObject({ ids, damaged: [] });
    },
  );
});

describe('keys that the database has lost', () => {
  it('are restored only from a key file that opens the stored templates', async () => {
    await damage('template_key', 0);
    const mend = (at: Keys) =>
      openStore({
        databaseUrl: url,
        dataDir,
        keys: at,
        log: () => undefined,
        examine: async (repair) => void (await repair.restoreDerived(await repair.examine())),
      });
    const strange = new Keys({ keyFile: join(temporaryDirectory(), 'keys.json'), dataDir });
    await expect(mend(strange)).rejects.toMatchObject({ reason: 'KEYS_UNREADABLE' });
    await strange.create();
    await expect(mend(strange)).rejects.toMatchObject({ reason: 'KEY_MISSING' });
    store = await mend(keys());
    expect(await readAll(store)).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
    expect(await store.repair.examine()).toMatchObject({ blocks: [], indexes: [] });
  });
});

describe('a block of zeros in the subject table', () => {
  it('is noticed: the changes name the subjects that were in it', async () => {
    await damage('subject', 0, Buffer.alloc(BLOCK));
    const opened = await open(url);
    const { ids } = await readAll(opened);
    expect(ids.length).toBeLessThan(enrolled.length);
    const vanished = await opened.repair.vanishedSubjects();
    expect([...ids, ...vanished].sort()).toEqual(enrolled);
    const lost = vanished.map((subjectId) => ({ referenceId: '', subjectId, reason: 'SUBJECT_DAMAGED' }));
    await opened.repair.removeAll(lost, 'test', lost.length, () => '{}');
    expect(await opened.repair.vanishedSubjects()).toEqual([]);
    const { rows } = await client.query(
      'SELECT FROM reference r LEFT JOIN subject s USING (subject_id) WHERE s IS NULL',
    );
    expect(rows).toEqual([]);
  });
});

describe('in a database with an ordinary user', () => {
  it.each([0, 1])('a damaged index is found, and rebuilt by its owner (block %i)', async (block) => {
    await damage('subject_pkey', block);
    await damage('reference_subject', block);
    const opened = await open(ownUrl);
    expect(await readAll(opened)).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
    const { indexes } = await opened.repair.examine();
    // With a damaged block 0 no query can be planned; the start has rebuilt the index.
    expect(indexes.map(({ index }) => index).sort()).toEqual(block === 0 ? [] : ['reference_subject', 'subject_pkey']);
    await opened.repair.rebuildIndexes(indexes);
    expect(await opened.repair.examine()).toMatchObject({ blocks: [], indexes: [] });
  });

  it('a user who does not own the tables gets an error, not an empty store', async () => {
    await client.query(
      'GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON ALL TABLES IN SCHEMA public TO guest; GRANT CREATE ON SCHEMA public TO guest',
    );
    await damage('subject_pkey', 0);
    await expect(open(userUrl('guest'))).resolves.toBeDefined();
    expect(log).toContainEqual(expect.stringMatching(/subject_pkey .*could not be built anew \(forbidden\)/));
    await expect(readAll(store as Store)).rejects.toMatchObject({
      reason: 'STORE_DAMAGED',
      message: expect.stringContaining('An index of the table subject is damaged') as string,
    });
  });

  it('unreadable memberships are reported, and their subjects stay', async () => {
    await damage('gallery_membership', 0);
    const opened = await open(ownUrl);
    const { all, ids, damaged, references } = await readAll(opened);
    expect([ids, damaged, references]).toEqual([enrolled, [], 400]);
    const unsure = all.filter((one) => one.mayLackGalleries);
    expect(unsure.length).toBeGreaterThan(0);
    expect(unsure.length).toBeLessThan(enrolled.length);
    const sure = all.filter((one) => !one.mayLackGalleries);
    expect(sure.map(({ subject }) => subject.galleries.length)).toEqual(sure.map(() => 2));
    const head = await opened.subjects.headSequence();
    const { blocks } = await opened.repair.examine();
    const touched = unsure.map(({ subject }) => subject.subjectId);
    // Without a lookup in the index the memberships are lost. The subjects get a change each, so that services read
    // them again.
    await opened.repair.rewrite(blocks, 'after', touched, 'test');
    expect(await opened.repair.examine()).toMatchObject({ blocks: [], indexes: [] });
    const changes = await opened.subjects.readChanges(head, 1000);
    expect(changes.map(({ kind, subjectId }) => `${kind} ${subjectId}`).sort()).toEqual(
      touched.map((id) => `upsert ${id}`).sort(),
    );
    expect(await readAll(opened)).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
  });
});

describe('the catalogue of a database', () => {
  it.each([
    ['pg_class', 0],
    ['pg_attribute', -1],
    ['pg_class_oid_index', 0],
    ['pg_statistic', 0],
  ])('is named when it is damaged (%s), and no table is blamed', async (relation, block) => {
    await client.query('ANALYZE');
    await damage(relation, block);
    const refused = open(url).then((opened) => readAll(opened));
    const outcome = await refused.catch((error: unknown) => error);
    if (outcome instanceof Failure)
      expect([outcome.reason, outcome.message]).toEqual([
        'STORE_DAMAGED',
        expect.stringMatching(/^The catalogue .* restore a backup/),
      ]);
    else expect(outcome).toMatchObject({ ids: enrolled, damaged: [], references: 400 });
    expect(log).toEqual([]);
  });
});
