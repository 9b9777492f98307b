/** A service that starts from an index, and switches to another one while it serves. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { IdentifyResponse } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { setPublishedIndex } from '../../src/index-files/index-catalog.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

let cluster: TestCluster;
let url: string;
let indexDir: string;
let running: RunningService;
const { identify, expunge, status } = callsOf(() => running);

const reload = () => call(running.operations, running.operations.reloadIndex.bind(running.operations), {});
const contentHash = () => call(running.operations, running.operations.getContentHash.bind(running.operations), {});
const metrics = async () => metricsOf(running);
const first = ({ candidates }: IdentifyResponse) => candidates[0]?.subjectId;

/** @returns the name of the new index */
async function build(...options: string[]): Promise<string> {
  const env = { DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) };
  const { stdout, stderr, code } = await ridgewatch(['index', 'build', ...options, '--json'], env);
  expect([stderr, code]).toEqual(['', 0]);
  return (JSON.parse(stdout) as { index: string }).index;
}

async function restart(): Promise<void> {
  await running.stop();
  running = await runService(url);
}

/** Publishes a damaged copy of an index. */
async function publishSpoilt(name: string, spoil: (directory: string) => void): Promise<string> {
  const number = Number(name.slice(6, 18));
  const spoilt = `index-${String(number).padStart(12, '0')}-${'f'.repeat(12)}`;
  rmSync(join(indexDir, spoilt), { recursive: true, force: true });
  cpSync(join(indexDir, name), join(indexDir, spoilt), { recursive: true });
  spoil(join(indexDir, spoilt));
  await setPublishedIndex(indexDir, spoilt);
  return spoilt;
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] ^= 4;
  writeFileSync(file, bytes);
}

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
// Every test has its own store and index.
beforeEach(async () => {
  url = await cluster.createDatabase();
  indexDir = join(dataDirectoryOf(url), 'index');
  running = await runService(url);
  return () => running.stop();
});

/** @returns the subject ids, in order of enrolment */
async function enrol(...people: number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const person of people) ids.push((await enrolPerson(running, person)).subject?.subjectId ?? '');
  return ids;
}

/** Builds an index of all enrolled subjects, to which the service then switches. @returns its name */
async function serveIndex(): Promise<string> {
  const name = await build('--publish');
  expect(await reload()).toMatchObject({ indexName: name });
  return name;
}

describe('a service with an index', () => {
  it('switches to it on request, and continues from it', async () => {
    const ids = await enrol(1, 2, 3);
    expect(await reload()).toMatchObject({ switched: false, indexName: '' });
    const name = await build();
    // Between the build and the switch: these changes have to be replayed.
    const [fourth] = await enrol(4);
    await expunge(ids[0]);
    expect((await ridgewatch(['index', 'publish'], { RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) })).code).toBe(0);
    // The service also polls for it: by either way, it serves the index now.
    expect(await reload()).toMatchObject({ indexName: name, indexSequence: 3, galleryVersion: 5 });
    // The log tells which index answered the searches.
    expect(running.log.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({ method: 'Operations/ReloadIndex', code: 'OK', index: name }),
    );
    expect(first(await identify(samplesOf(1, 1)))).toBeUndefined();
    expect(first(await identify(samplesOf(2, 1)))).toBe(ids[1]);
    expect(first(await identify(samplesOf(4, 1)))).toBe(fourth);
    const [later] = await enrol(5);
    expect(first(await identify(samplesOf(5, 1)))).toBe(later);
    expect(await status()).toMatchObject({ indexName: name, subjectCount: 4, galleryVersion: 6 });
    expect(await metrics()).toContain('\nridgewatch_index_sequence 3\n');
  });

  it('prevents the removal of the key that seals it', async () => {
    await enrol(1);
    await serveIndex();
    const env = { DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) };
    const list = async () =>
      (JSON.parse((await ridgewatch(['keys', 'list', '--json'], env)).stdout) as { keys: { id: string }[] }).keys;
    const [{ id }] = await list();
    expect((await ridgewatch(['keys', 'rotate'], env)).code).toBe(0);
    const refusal = await ridgewatch(['keys', 'forget', id], env);
    expect(refusal).toMatchObject({ code: 1, stderr: expect.stringContaining('index build --publish') as string });
    expect(await list()).toHaveLength(2);
  });

  it('starts from it and from the changes since', async () => {
    const ids = await enrol(1, 2, 3);
    const name = await serveIndex();
    const later = await enrol(4, 5);
    await expunge(ids[0]);
    const before = await status();
    expect(before).toMatchObject({ indexName: name, subjectCount: 4, galleryVersion: 6 });
    const hash = await contentHash();
    await restart();
    expect(running.log.join('')).toContain('the gallery was loaded from the index');
    const after = await status();
    expect(await contentHash()).toEqual(hash);
    expect(after).toMatchObject({ indexName: before.indexName, galleryVersion: before.galleryVersion });
    expect(after.partitions.map(({ liveCount }) => liveCount)).toEqual(
      before.partitions.map(({ liveCount }) => liveCount),
    );
    expect(first(await identify(samplesOf(1, 1)))).toBeUndefined();
    const found = [2, 3, 4, 5].map(async (person) => first(await identify(samplesOf(person, 1))));
    expect(await Promise.all(found)).toEqual([ids[1], ids[2], ...later]);
  });

  it('switches under load: no call fails, and no subject is missed', async () => {
    const people = [2, 3, 4, 5];
    const ids = await enrol(...people);
    const name = await build();
    let stopped = false;
    let answered = 0;
    const caller = async (person: number, i: number) => {
      const expected = ids[i];
      while (!stopped) {
        expect(first(await identify(samplesOf(person, 1)))).toBe(expected);
        answered++;
      }
    };
    const callers = people.map(caller);
    const enrolled = Promise.all([6, 7, 8].map((person) => enrolPerson(running, person)));
    await setPublishedIndex(indexDir, name);
    await reload();
    await enrolled;
    for (const person of [6, 7, 8]) expect(first(await identify(samplesOf(person, 1)))).toBeDefined();
    stopped = true;
    await Promise.all(callers);
    expect(answered).toBeGreaterThan(0);
    expect((await status()).indexName).toBe(name);
  });

  it('refuses an invalid index with the reason, and continues with the current one', async () => {
    const [id] = await enrol(2);
    const indexName = await serveIndex();
    const cases: [string, (directory: string) => void][] = [
      ['INDEX_DAMAGED', (directory) => flip(join(directory, 'finger-2.0000.rws'))],
      ['INDEX_DAMAGED', (directory) => flip(join(directory, 'manifest.json'))],
      ['INDEX_FILE_MISSING', (directory) => rmSync(join(directory, 'subjects.rws'))],
      ['INDEX_FILE_MISSING', (directory) => rmSync(directory, { recursive: true })],
      [
        'INDEX_FORMAT_UNKNOWN',
        (directory) => {
          const file = join(directory, 'manifest.json');
          writeFileSync(file, readFileSync(file, 'utf8').replace('"format": 2', '"format": 1'));
        },
      ],
    ];
    for (const [reason, spoil] of cases) {
      await publishSpoilt(indexName, spoil);
      expect((await refused(reload())).reason).toBe(reason);
      expect((await status()).indexName).toBe(indexName);
      expect(first(await identify(samplesOf(2, 1)))).toBe(id);
    }
  });

  it('starts from the store when the index is invalid or belongs to another store', async () => {
    const [, id] = await enrol(1, 2);
    const indexName = await serveIndex();
    const hash = await contentHash();
    await publishSpoilt(indexName, (directory) => flip(join(directory, 'subjects.rws')));
    await restart();
    expect(running.log.join('')).toContain('INDEX_DAMAGED');
    expect(await status()).toMatchObject({ indexName: '', subjectCount: 2 });
    expect(await contentHash()).toEqual(hash);
    expect(first(await identify(samplesOf(2, 1)))).toBe(id);
    await setPublishedIndex(indexDir, indexName);
    expect(await reload()).toMatchObject({ switched: true });

    const other = await runService(await cluster.createDatabase(), {
      RIDGEWATCH_INDEX_DIR: indexDir,
      RIDGEWATCH_KEY_FILE: join(dataDirectoryOf(url), 'keys.json'),
    });
    expect(other.log.join('')).toContain('INDEX_OF_ANOTHER_STORE');
    expect(other.service.subjectCount()).toBe(0);
    await other.stop();
    expect(readdirSync(indexDir).some((entry) => entry.startsWith('draft'))).toBe(false);
  });
});
