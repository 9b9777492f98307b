/** Records are durable when they are acknowledged, whatever happens to the database. */
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readAuditKey } from '../../src/audit/audit-key.ts';
import type { AuditEntry } from '../../src/audit/audit-entry.ts';
import type { AuditTrail } from '../../src/audit/audit-trail.ts';
import { Spool, spoolFolder } from '../../src/audit/spool.ts';
import type { Replayed } from '../../src/audit/spool-replay.ts';
import { spooledRecords } from '../../src/audit/spool-replay.ts';
import { verifyAudit, type Verdict } from '../../src/audit/verify.ts';
import type { Failure } from '../../src/failure.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { startLine, type Line } from '../line.ts';
import { anchorOf, knownKeys, openTrail, search, subjectId, type Place } from './trails.ts';

let cluster: TestCluster;
let store: Store;
let url: string;
let line: Line;
let place: Place;
const trails: AuditTrail[] = [];

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  const keys = temporaryKeys();
  store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  line = await startLine(url);
  place = { dataDir: temporaryDirectory(), keys };
});
afterEach(async () => {
  line.mend();
  for (const trail of trails.splice(0)) await trail.close();
  line.close();
  await store.close();
});

const open: typeof openTrail = async (...given) => {
  const trail = await openTrail(...given);
  trails.push(trail);
  return trail;
};

const SOUND = { faults: [], lostByRestore: [], badAnchorLines: [] };

async function verify(): Promise<Verdict> {
  const keys = knownKeys(readAuditKey(undefined, place.dataDir));
  const spooled = await spooledRecords(spoolFolder(place.dataDir), place.keys);
  return store.readAudit((reader) => verifyAudit(reader, { keys, anchors: [anchorOf(place)], spooled }));
}

/** Ids of the recorded requests, newest first. */
async function requestIds(): Promise<(string | undefined)[]> {
  const filter = { since: undefined, until: undefined, agency: undefined, clientId: 'gate-0', subjectId: undefined };
  const found = await store.readAudit((reader) => reader.newest(filter, 10_000));
  return found.map((text) => (JSON.parse(text) as { request_id?: string }).request_id);
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const own = (number: number, more: Partial<AuditEntry> = {}) => search(number, { client_id: 'gate-0', ...more });
const recordAll = (trail: AuditTrail, numbers: readonly number[]) =>
  Promise.all(numbers.map((number) => trail.record(own(number))));
const namesOf = (numbers: readonly number[]) => numbers.map((number) => `request ${number}`);
const back = (trail: AuditTrail) => expect.poll(() => trail.figures.isSpooling, { timeout: 10_000 }).toBe(false);

describe('an audit trail', () => {
  it('records each call once, and verifies', async () => {
    const trail = await open(url, place);
    await recordAll(trail, range(500));
    await trail.close();
    expect(await verify()).toMatchObject({ ...SOUND, records: 502, writers: 1 });
    expect(await requestIds()).toEqual(namesOf(range(500)).reverse());
  });

  it('is durable when it is acknowledged', async () => {
    const trail = await open(url, place);
    await trail.record(own(1));
    expect(await requestIds()).toEqual(namesOf([1]));
  });

  it('writes the records that wait for each other together', async () => {
    const trail = await open(url, place);
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    await recordAll(trail, range(200));
    const { rows } = await database.query('SELECT FROM audit_record WHERE signature IS NOT NULL');
    await database.end();
    expect(rows.length).toBeLessThan(20);
  });

  it('keeps batches of every size whole, with what their records are found by', async () => {
    const trail = await open(url, place);
    const sizes = [1, 2, 3, 31, 32, 33, 100];
    for (const [i, size] of sizes.entries()) await recordAll(trail, range(size, 1000 * i));
    await trail.close();
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    const { rows } = await database.query<{ size: number }>(
      `SELECT seq::int - lag(seq::int, 1, 0) OVER (ORDER BY seq) AS size FROM audit_record
       WHERE signature IS NOT NULL ORDER BY seq`,
    );
    await database.end();
    // Between the first record of the writer and its last one.
    expect(rows.map(({ size }) => size)).toEqual([1, ...sizes, 1]);
    expect(await verify()).toMatchObject({ ...SOUND, records: 2 + sizes.reduce((sum, size) => sum + size, 0) });
    expect(await requestIds()).toEqual(sizes.flatMap((size, i) => namesOf(range(size, 1000 * i))).reverse());
  });

  it('answers who searched a person', async () => {
    const trail = await open(url, place);
    await recordAll(trail, range(20));
    await trail.record({ ...own(50), candidates: [], subject_id: subjectId(5).toUpperCase() });
    const filter = { since: undefined, until: undefined, agency: undefined, clientId: undefined };
    const found = await store.readAudit((reader) => reader.newest({ ...filter, subjectId: subjectId(5) }, 10));
    expect(found.map((text) => (JSON.parse(text) as AuditEntry).request_id)).toEqual(namesOf([50, 5, 4]));
  });

  it('takes whatever a caller sent as a text, and bounds it', async () => {
    const trail = await open(url, place);
    const text = fc.string({ unit: 'binary', maxLength: 600 });
    const odd = fc.oneof(text, fc.string({ unit: fc.constantFrom('\0', '\ud800', '"', '\\', 'é', '\u2028') }));
    await fc.assert(
      fc.asyncProperty(odd, odd, async (checkpoint, agency) => {
        await trail.record(own(1, { checkpoint_id: checkpoint, agency, facts: { odd: checkpoint } }));
      }),
      { numRuns: 100 },
    );
    expect(await verify()).toMatchObject({ ...SOUND, records: 101 });
    const [longest] = (
      await store.readAudit((reader) =>
        reader.newest(
          { since: undefined, until: undefined, agency: undefined, clientId: 'gate-0', subjectId: undefined },
          1000,
        ),
      )
    ).sort((a, b) => b.length - a.length);
    expect(longest?.length).toBeLessThan(10_000);
  });

  it.each([
    [{ kind: 'anything' }, 'kind'],
    [{ begun: 'yesterday' }, 'begun'],
    [{ template: 'AAAA' }, 'record'],
    [{ galleries: range(65).map(String) }, 'galleries'],
    [{ candidates: [{ subject_id: 'x', rank: 1, log10_fmr: NaN, band: 'review' }] }, 'candidates'],
  ])('refuses an entry that is none, without its values', async (more: object, field) => {
    const trail = await open(url, place);
    await expect(trail.record({ ...own(1), ...more })).rejects.toMatchObject({
      kind: 'internal',
      reason: 'AUDIT_ENTRY_INVALID',
      message: `The audit record is not valid: ${field}.`,
    });
    expect(await requestIds()).toEqual([]);
  });

  it('verifies when the clock goes backwards', async () => {
    const trail = await open(url, place);
    for (const number of [9, 3, 7, 1]) await trail.record(own(number));
    await trail.close();
    expect(await verify()).toMatchObject({ ...SOUND, records: 6 });
    expect(await requestIds()).toEqual(namesOf([9, 7, 3, 1]));
  });

  it('has a chain for each of two writers at once', async () => {
    const both = await Promise.all([open(url, place), open(url, place)]);
    await Promise.all(range(400).map((number) => both[number % 2]?.record(own(number))));
    for (const trail of both) await trail.close();
    expect(await verify()).toMatchObject({ ...SOUND, records: 404, writers: 2 });
    expect((await requestIds()).sort()).toEqual(namesOf(range(400)).sort());
  });

  it('ends: a record after its end is refused', async () => {
    const trail = await open(url, place);
    await trail.close();
    await expect(trail.record(own(1))).rejects.toMatchObject({ kind: 'unavailable', reason: 'AUDIT_UNAVAILABLE' });
  });
});

describe('while the database is away', () => {
  it('goes on in a file, and brings it over afterwards', async () => {
    const trail = await open(line.url, place);
    await trail.record(own(0));
    line.cut();
    await recordAll(trail, range(300, 1));
    expect(trail.figures).toMatchObject({ isSpooling: true, isBlocked: false, records: 301 });
    expect(trail.figures.spooledBytes).toBeGreaterThan(300 * 500);
    // What is in the file counts as recorded.
    expect(await verify()).toMatchObject({ ...SOUND, records: 302 });
    line.mend();
    await back(trail);
    await trail.record(own(301));
    await trail.close();
    expect(await verify()).toMatchObject({ ...SOUND, records: 304 });
    expect((await requestIds()).sort()).toEqual(namesOf(range(302)).sort());
    expect(readdirSync(spoolFolder(place.dataDir))).toEqual([]);
  });

  it.each([true, false])('records once if the answer to a statement is lost (executed: %s)', async (isDelivered) => {
    const trail = await open(line.url, place);
    await trail.record(own(0));
    line.cutAt('request 1', isDelivered);
    await recordAll(trail, [1, 2]);
    line.mend();
    await back(trail);
    await trail.close();
    expect(await verify()).toMatchObject({ ...SOUND, records: 5 });
    expect((await requestIds()).sort()).toEqual(namesOf([0, 1, 2]));
  });

  it('keeps in the file nothing that can be read without the keys', async () => {
    const trail = await open(line.url, place);
    line.cut();
    await trail.record(own(7));
    const [name = ''] = readdirSync(spoolFolder(place.dataDir));
    const file = join(spoolFolder(place.dataDir), name);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const content = readFileSync(file, 'latin1');
    for (const secret of [subjectId(7), 'gate-0', 'request 7', 'watchlist']) expect(content).not.toContain(secret);
  });

  it('refuses calls when the file is full, records those that it acknowledged, and recovers', async () => {
    const trail = await open(line.url, place, { maxSpoolBytes: 65_536 });
    line.cut();
    const kept: number[] = [];
    for (const number of range(200)) {
      const isKept = await trail.record(own(number)).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({
            kind: 'unavailable',
            reason: 'AUDIT_UNAVAILABLE',
            detail: { retryAfterMs: 1000 },
          });
          return false;
        },
      );
      if (isKept) kept.push(number);
    }
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.length).toBeLessThan(100);
    expect(trail.figures).toMatchObject({ isBlocked: true });
    line.mend();
    await back(trail);
    await trail.record(own(200));
    expect(trail.figures).toMatchObject({ isBlocked: false });
    await trail.close();
    expect(await verify()).toMatchObject({ ...SOUND });
    // The record whose outcome the database did not tell may be there, too: more is recorded than answered, never less.
    expect(await requestIds()).toEqual(expect.arrayContaining(namesOf([...kept, 200])));
    expect((await requestIds()).length).toBeLessThanOrEqual(kept.length + 2);
  });

  it('leaves the file to the next start when it ends', async () => {
    const first = await open(line.url, place);
    await first.record(own(0));
    line.cut();
    await recordAll(first, range(50, 1));
    await first.close();
    expect(readdirSync(spoolFolder(place.dataDir)).length).toBe(1);
    line.mend();
    let replayed: Replayed | undefined;
    const second = await open(url, place, { onReplayed: (done) => (replayed = done) });
    expect(replayed).toMatchObject({ records: 51, damaged: [], locked: [] });
    await second.close();
    expect(await verify()).toMatchObject({ ...SOUND, records: 55, writers: 2 });
    expect((await requestIds()).sort()).toEqual(namesOf(range(51)).sort());
  });

  it('does not take the file of a writer that is there', async () => {
    const first = await open(line.url, place);
    line.cut();
    await recordAll(first, range(5));
    await open(url, place, { onReplayed: ({ records }) => expect(records).toBe(0) });
    expect(readdirSync(spoolFolder(place.dataDir)).length).toBe(2);
  });
});

describe('a file that a killed process left', () => {
  const WRITER = '00000000-0000-7000-8000-00000000aaaa';
  const file = () => join(spoolFolder(place.dataDir), `${WRITER}.spool`);

  /** Leaves the file of three batches of a writer that was killed. @returns offsets of their ends */
  async function leave(): Promise<number[]> {
    const spool = await Spool.create(spoolFolder(place.dataDir), WRITER, place.keys, 1 << 20);
    const ends: number[] = [];
    for (const seq of [1, 2, 3]) {
      const text = JSON.stringify({ ...own(seq), seq });
      expect(
        await spool.append([{ writer: WRITER, seq, text, hash: Buffer.alloc(32, seq), signature: undefined }]),
      ).toBe('kept');
      ends.push(spool.end);
    }
    await spool.close();
    return ends;
  }

  it('is brought over up to a batch that was cut off at any byte', async () => {
    const ends = await leave();
    const whole = readFileSync(file());
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (size) => {
        writeFileSync(file(), whole);
        truncateSync(file(), size);
        const found = await spooledRecords(spoolFolder(place.dataDir), place.keys);
        expect(found.get(WRITER)?.length ?? 0).toBe(ends.filter((end) => end <= size).length);
      }),
      { numRuns: 200 },
    );
  });

  it('is set aside when a byte of it was changed, and never replayed wrongly', async () => {
    await leave();
    const whole = readFileSync(file());
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ bits;
        writeFileSync(file(), changed);
        const found = await spooledRecords(spoolFolder(place.dataDir), place.keys).catch((error: unknown) => {
          expect(['AUDIT_SPOOL_DAMAGED', 'KEY_MISSING']).toContain((error as { reason?: unknown }).reason);
          return new Map<string, []>();
        });
        // A length that was changed looks like a file that was cut off.
        for (const record of found.get(WRITER) ?? [])
          expect(whole.includes((record as { text: string }).text)).toBe(false);
        expect(found.get(WRITER)?.length ?? 0).toBeLessThan(3);
      }),
      { numRuns: 200 },
    );
    const changed = Buffer.from(whole);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    writeFileSync(file(), changed);
    let replayed: Replayed | undefined;
    await open(url, place, { onReplayed: (done) => (replayed = done) });
    expect(replayed).toMatchObject({ records: 0, damaged: [`${file()}.damaged`] });
    expect((await requestIds()).sort()).toEqual(namesOf([1, 2]));
  });

  it('stays while its key is missing', async () => {
    await leave();
    const strange = temporaryKeys();
    await strange.open(false);
    let replayed: Replayed | undefined;
    await open(url, { ...place, keys: strange }, { onReplayed: (done) => (replayed = done) });
    expect(replayed).toMatchObject({ records: 0, locked: [file()], damaged: [] });
    expect(readdirSync(spoolFolder(place.dataDir))).toContain(`${WRITER}.spool`);
  });
});

describe('the anchor', () => {
  it.skipIf(!existsSync('/dev/full'))('on a full disk says why it cannot be written; calls go on', async () => {
    const failures: Failure[] = [];
    const onAnchorTrouble = (failure: Failure) => failures.push(failure);
    const trail = await openTrail(url, place, { anchorFile: '/dev/full', onAnchorTrouble });
    await trail.record(search(1));
    await trail.close();
    expect(failures[0]).toMatchObject({ reason: 'AUDIT_ANCHOR_UNWRITABLE' });
    expect(failures[0]?.message).toMatch(/\/dev\/full .* No space is left on the disk\.$/);
  });

  it('has at most a line a second, and the last head', async () => {
    const trail = await open(url, place);
    for (const number of range(20)) await trail.record(own(number));
    await trail.close();
    const lines = readFileSync(anchorOf(place), 'utf8').trimEnd().split('\n');
    expect(lines.length).toBeLessThan(10);
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ seq: 22 });
  });

  it('with half a line, as a power cut leaves it, goes on behind it', async () => {
    await (await open(url, place)).close();
    appendFileSync(anchorOf(place), '{"store": "half');
    await (await open(url, place)).close();
    expect(readFileSync(anchorOf(place), 'utf8').split('\n')).toContain('{"store": "half');
    expect(await verify()).toMatchObject({ ...SOUND, writers: 2 });
  });

  it('with a changed line is named', async () => {
    await (await open(url, place)).close();
    const text = readFileSync(anchorOf(place), 'utf8');
    writeFileSync(anchorOf(place), text.replace('"seq":2', '"seq":1'));
    expect(await verify()).toMatchObject({
      faults: [],
      badAnchorLines: [{ file: anchorOf(place), line: text.trimEnd().split('\n').length }],
    });
  });
});
