/** Interrupted rotations: after each step, file and database have to hold enough to continue. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFile, replaceFile } from '../../src/files/durable-file.ts';
import { KeyRing } from '../../src/security/key-ring.ts';
import { Keys } from '../../src/security/keys.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { enrolment, reference } from './records.ts';

/** Stops where a killed process would stop: after a number of changes of the file, before or after the next one. */
class MortalKeys extends Keys {
  left = Infinity;
  diesBeforeWriting = true;

  override async replace(ring: KeyRing): Promise<void> {
    if (this.left-- > 0) return super.replace(ring);
    if (!this.diesBeforeWriting) await super.replace(ring);
    throw new Error('killed');
  }
}

let cluster: TestCluster;
let url: string;
let keyFile: string;
let log: string[];
const template = Uint8Array.from({ length: 64 }, (_, i) => i);
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  const directory = temporaryDirectory();
  keyFile = join(directory, 'keys.json');
  await new Keys({ keyFile, dataDir: directory }).create();
  log = [];
});

const open = (keys = new Keys({ keyFile, dataDir: dirname(keyFile) })): Promise<Store> =>
  openStore({ databaseUrl: url, dataDir: '', keys, log: ({ message }) => void log.push(message) });

async function enrol(store: Store): Promise<string> {
  const one = { ...enrolment(), references: [reference({ template })] };
  await store.subjects.enroll(one.subject, one.references);
  return one.subject.subjectId;
}

async function withStore<T>(keys: Keys | undefined, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await open(keys);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

const ringOf = (file: string) => KeyRing.parse(readFileSync(file, 'utf8'), file);

describe('an interrupted rotation', () => {
  it.each([
    ['before the new key is in the file', 0, true],
    ['when the new key is in the file, before the database knows of it', 0, false],
    ['when the database knows of the new key, before it is the current one', 1, true],
    ['when the new key is the current one, before anything is encrypted with it', 1, false],
  ])('%s leaves a store that starts, reads, writes and rotates', async (_, steps, diesBeforeWriting) => {
    const mortal = new MortalKeys({ keyFile, dataDir: dirname(keyFile) });
    const service = new Keys({ keyFile, dataDir: dirname(keyFile) });
    // A service that opened the store before continues, whatever the file then contains.
    const before = await withStore(service, (running) =>
      withStore(mortal, async (store) => {
        const id = await enrol(store);
        mortal.left = steps;
        mortal.diesBeforeWriting = diesBeforeWriting;
        await expect(store.templateKeys.rotate(new Date())).rejects.toThrow('killed');
        await enrol(running);
        service.refresh();
        await enrol(running);
        return id;
      }),
    );
    const keys = new Keys({ keyFile, dataDir: dirname(keyFile) });
    await withStore(keys, async (store) => {
      const after = await enrol(store);
      const old = keys.ring.ids[0];
      const id = await store.templateKeys.rotate(new Date());
      expect(await store.templateKeys.sealStored('all', () => undefined)).toBe(4);
      expect(await store.templateKeys.count()).toEqual(new Map([[id, 4]]));
      for (const one of await store.subjects.loadSubjects([before, after]))
        expect(Uint8Array.from(one.references[0].template)).toEqual(template);
      await store.templateKeys.drop(old);
      expect(ringOf(keyFile).ids).not.toContain(old);
    });
    await withStore(undefined, (store) => expect(store.subjects.loadSubjects([before])).resolves.toHaveLength(1));
  });

  it('between database and file does not prevent a later removal of the key', async () => {
    const mortal = new MortalKeys({ keyFile, dataDir: dirname(keyFile) });
    await withStore(mortal, async (store) => {
      const old = mortal.ring.currentId;
      await store.templateKeys.rotate(new Date());
      mortal.left = 0;
      await expect(store.templateKeys.drop(old)).rejects.toThrow('killed');
      await withStore(undefined, (other) => other.templateKeys.drop(old));
      expect(ringOf(keyFile).ids).not.toContain(old);
    });
  });

  it.skipIf(!isRoot)('by a full disk changes nothing (needs root on Linux, for a small tmpfs)', async () => {
    const mount = join(temporaryDirectory(), 'small');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', mount]);
    try {
      const file = join(mount, 'keys.json');
      writeFileSync(file, readFileSync(keyFile));
      const fill = () => {
        try {
          for (let i = 0; ; i++) writeFileSync(join(mount, `fill-${i}`), Buffer.alloc(4096));
        } catch {
          // Full, then.
        }
      };
      fill();
      const keys = new Keys({ keyFile: file, dataDir: dirname(keyFile) });
      await withStore(keys, async (store) => {
        const id = await enrol(store);
        const before = readFileSync(file, 'utf8');
        await expect(store.templateKeys.rotate(new Date())).rejects.toThrow(/No space is left on the disk/);
        expect(readFileSync(file, 'utf8')).toBe(before);
        expect(readdirSync(mount).filter((name) => name.endsWith('.new'))).toEqual([]);
        expect(await store.subjects.loadSubjects([id])).toHaveLength(1);
      });
      await withStore(new Keys({ keyFile: file, dataDir: dirname(keyFile) }), (store) => enrol(store));
      await expect(createFile(join(mount, 'new'), (draft) => draft.writeFile(Buffer.alloc(9000)))).rejects.toThrow(
        reason('OUTPUT_UNWRITABLE'),
      );
      expect(readdirSync(mount).filter((name) => name.startsWith('new'))).toEqual([]);
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  it('excludes a concurrent one, which is refused, and loses no key', async () => {
    await withStore(undefined, async (store) => {
      await withStore(undefined, async (other) => {
        const outcomes = await Promise.allSettled(
          [store, other, store].map((one) => one.templateKeys.rotate(new Date())),
        );
        const made = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
        for (const one of outcomes)
          if (one.status === 'rejected') expect(one.reason).toMatchObject({ reason: 'KEYS_IN_CHANGE' });
        expect(made.length).toBeGreaterThan(0);
        expect(ringOf(keyFile).ids).toEqual(expect.arrayContaining(made));
      });
    });
  });
});

describe('a missing or foreign key', () => {
  it('that no template needs does not stop a start, and is warned of until it is forgotten', async () => {
    const database = new pg.Client({ connectionString: url });
    await withStore(undefined, (store) => enrol(store));
    await database.connect();
    await database.query("INSERT INTO template_key VALUES ('gone', '\\x00')");
    await database.end();
    await withStore(undefined, async (store) => {
      expect(log.join()).toContain('key gone, of which the store knows');
      await enrol(store);
      await store.templateKeys.drop('gone');
    });
    log = [];
    await withStore(undefined, () => Promise.resolve());
    // One role for everything is warned of at each start.
    expect(log.filter((line) => !line.includes('RIDGEWATCH_DATABASE_OWNER_URL'))).toEqual([]);
  });

  it("stops the start when templates need it, or when it has the current key's id", async () => {
    await withStore(undefined, (store) => enrol(store));
    const others = join(temporaryDirectory(), 'keys.json');
    await new Keys({ keyFile: others, dataDir: dirname(others) }).create();
    await expect(open(new Keys({ keyFile: others, dataDir: dirname(others) }))).rejects.toThrow(reason('KEY_MISSING'));
    url = await cluster.createDatabase();
    await withStore(undefined, () => Promise.resolve());
    const { currentId } = ringOf(keyFile);
    const forged = { current: currentId, keys: { [currentId]: Buffer.alloc(32, 1).toString('base64') } };
    writeFileSync(keyFile, JSON.stringify(forged));
    await expect(open()).rejects.toThrow(reason('KEY_WRONG'));
  });
});

describe('a file that is replaced atomically', () => {
  it('stays a symbolic link, and the file it points to is replaced', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'real'));
    writeFileSync(join(directory, 'real', 'a'), 'old');
    symlinkSync(join('real', 'a'), join(directory, 'link'));
    await replaceFile(join(directory, 'link'), 'new', 0o600);
    expect(readFileSync(join(directory, 'real', 'a'), 'utf8')).toBe('new');
    expect(readdirSync(directory).sort()).toEqual(['link', 'real']);
    expect(statSync(join(directory, 'real', 'a')).mode & 0o777).toBe(0o600);
  });

  it('is not blocked by drafts of killed processes, whose old drafts are removed', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'a');
    for (const name of ['a.1.new', 'a.0123456789ab.new', `a.${process.pid}.new`, 'a.b.new.txt', 'other.1.new'])
      writeFileSync(join(directory, name), 'secret');
    utimesSync(join(directory, 'a.1.new'), 0, 0);
    utimesSync(join(directory, 'other.1.new'), 0, 0);
    await createFile(file, (draft) => draft.writeFile('x'));
    expect(readdirSync(directory).sort()).toEqual(
      ['a', 'a.0123456789ab.new', `a.${process.pid}.new`, 'a.b.new.txt', 'other.1.new'].sort(),
    );
  });

  it('is created once by concurrent processes', async () => {
    const file = join(temporaryDirectory(), 'keys.json');
    const made = await Promise.all([1, 2, 3].map(() => new Keys({ keyFile: file, dataDir: dirname(file) }).create()));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(readdirSync(join(file, '..'))).toEqual(['keys.json']);
  });
});
