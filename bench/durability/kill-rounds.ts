/** Rounds of load, kill and check, and the changes lost in them. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import { Random } from '../../src/random.ts';
import {
  GalleryClient,
  type ListSubjectsResponse,
  type Subject,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  Purpose,
  type IdentifyResponse,
  type VerifyRequest,
  type VerifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { Keys } from '../../src/security/keys.ts';
import { openStore } from '../../src/store/store.ts';
import { change, Journal, versionOf } from './changes.ts';
import { SEEDS } from '../harness/seeds.ts';
import { identifyRequest } from '../service/identify-request.ts';
import {
  databaseProcess,
  startCommand,
  endProcess,
  promised,
  startProcess,
  type ServiceProcess,
} from '../service/process.ts';
import { channelOf } from '../service/channel.ts';

/** Moments of the kills. */
const moments = new Random(SEEDS.kills);
const CALLERS = 4;
const ENVIRONMENT = { RIDGEWATCH_WORKERS: '1', RIDGEWATCH_DEMO: 'never' };
const VICTIMS = ['service', 'database', 'builder'] as const;
const LOADED_FROM_INDEX = 'the gallery was loaded from the index';
const CHANGES_PER_READ = 10_000;
/** Concurrent searches at the end: enough to keep every thread busy. */
const SEARCHERS = 4;

/** Results of the searches at the end. */
interface SearchResult {
  /** Candidates by the person of the probe, best first. */
  readonly found: ReadonlyMap<number, readonly string[]>;
  /** Expunged subjects that can still be verified. */
  readonly verifiable: ReadonlySet<string>;
}

export interface DurabilityResult {
  readonly rounds: number;
  /** How often each was killed during its work. */
  readonly killed: Readonly<Record<(typeof VICTIMS)[number], number>>;
  /** Starts that used an index. */
  readonly startsFromIndex: number;
  /** Acknowledged enrolments, updates, and expungings. */
  readonly acknowledged: number;
  readonly updated: number;
  readonly expunged: number;
  /** Acknowledged enrolments that are missing without having been expunged. */
  readonly lost: number;
  /** Acknowledged updates that are missing or incomplete. */
  readonly updatesLost: number;
  /** Expunged subjects found again, in the store or by a search with their own templates. */
  readonly resurrected: number;
  /** Subjects with only some of their references. */
  readonly torn: number;
  /** Acknowledged enrolments that a search with the same samples did not find. */
  readonly notSearchable: number;
  /** Missing numbers in the sequence of changes. */
  readonly holes: number;
  /** Stored subjects without an acknowledgement: sent, committed, and cut off before the answer. */
  readonly unansweredButStored: number;
}

/** Runs rounds of load, kill and check on one data directory. */
export async function killRounds(
  rounds: number,
  onRound: (round: number, acknowledged: number) => void,
): Promise<DurabilityResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ridgewatch-durability-'));
  const journal = new Journal();
  const killed = { service: 0, database: 0, builder: 0 };
  let startsFromIndex = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const victim = VICTIMS[round % VICTIMS.length];
      const service = await startProcess(dataDir, ENVIRONMENT);
      if (service.messages.includes(LOADED_FROM_INDEX)) startsFromIndex++;
      // In every other round the index is published first, and the service switches to it under the load.
      const afterBuild = round % 2 === 1;
      if (await killRound(victim, afterBuild, service, dataDir, journal)) killed[victim]++;
      onRound(round + 1, journal.enrolled.size);
    }
    const service = await startProcess(dataDir, ENVIRONMENT);
    if (service.messages.includes(LOADED_FROM_INDEX)) startsFromIndex++;
    const compared = await compare(service.address, journal);
    await endProcess(service.child);
    return { rounds, killed, startsFromIndex, ...compared, holes: await countHoles(dataDir) };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/**
 * @param afterBuild - kill a service or database only after the concurrent index build has been published
 * @returns whether the victim was killed before it ended by itself
 */
async function killRound(
  victim: (typeof VICTIMS)[number],
  afterBuild: boolean,
  { child, address }: ServiceProcess,
  dataDir: string,
  journal: Journal,
): Promise<boolean> {
  const serviceGone = once(child, 'exit');
  const builder = startCommand(['index', 'build', '--publish', '--workers', '1'], dataDir);
  const builderGone = once(builder, 'exit');
  const loaded = load(address, journal);
  let inTime = true;
  if (victim === 'builder') {
    // The build must have started to write.
    await Promise.race([delay(500 + 1000 * moments.uniform()), builderGone]);
    inTime = builder.exitCode === null;
    await endProcess(builder, 'SIGKILL');
    await delay(300 * moments.uniform());
  } else {
    if (afterBuild) await builderGone;
    await delay(150 + 1500 * moments.uniform());
    if (victim === 'database') process.kill(databaseProcess(dataDir), 'SIGKILL');
  }
  // Without its database the service's calls fail, which ends most of the load. The database restarts by itself.
  if (victim === 'database') await Promise.race([loaded, delay(2000 * moments.uniform())]);
  await endProcess(child, 'SIGKILL');
  await loaded;
  await endProcess(builder, 'SIGKILL');
  await Promise.all([serviceGone, builderGone]);
  return inTime;
}

/** Changes subjects until a call fails. */
async function load(address: string, journal: Journal): Promise<void> {
  const gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
  const one = async () => {
    for (;;) await change(gallery, journal);
  };
  await Promise.allSettled(Array.from({ length: CALLERS }, one));
  gallery.close();
}

async function listAll(address: string): Promise<Map<string, Subject>> {
  const gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
  const found = new Map<string, Subject>();
  let pageToken = '';
  do {
    const request = { gallery: '', contributor: '', pageSize: 500, pageToken };
    const page = await promised<ListSubjectsResponse>((callback) => gallery.listSubjects(request, callback));
    for (const subject of page.subjects) found.set(subject.subjectId, subject);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  gallery.close();
  return found;
}

/**
 * Searches with the enrolled samples of each person: indexed, which is fast, and exactly if that misses the subject. Then
 * verifies every expunged subject by its id.
 */
async function searchAll(address: string, { enrolled, expunged }: Journal): Promise<SearchResult> {
  const client = new IdentificationClient(address, credentials.createInsecure(), channelOf(address));
  const found = new Map<number, string[]>();
  const verifiable = new Set<string>();
  const search = async (person: number, exact: boolean) => {
    const request = identifyRequest(demoSamples(createPerson(SEEDS.enrolled, person), 0), { maxCandidates: 5, exact });
    const { candidates } = await promised<IdentifyResponse>((callback) => client.identify(request, callback));
    return candidates.map(({ subjectId }) => subjectId);
  };
  const one = async ([person, id]: [number, string]) => {
    const indexed = await search(person, false);
    const isGone = expunged.has(id);
    found.set(person, isGone || indexed[0] === id ? indexed : await search(person, true));
    if (isGone && (await canBeVerified(client, id))) verifiable.add(id);
  };
  const rest = enrolled.entries();
  const caller = async () => {
    for (const entry of rest) await one(entry);
  };
  await Promise.all(Array.from({ length: SEARCHERS }, caller));
  client.close();
  return { found, verifiable };
}

/** Whether a subject can still be verified. */
async function canBeVerified(client: IdentificationClient, subjectId: string): Promise<boolean> {
  const request: VerifyRequest = {
    samples: demoSamples(createPerson(SEEDS.enrolled, 0), 0),
    claim: { $case: 'subjectId', value: subjectId },
    purpose: Purpose.TEST,
    checkpointId: 'bench',
    clientRequestId: '',
    explain: false,
  };
  return promised<VerifyResponse>((callback) => client.verify(request, callback)).then(
    () => true,
    (error: ServiceError) => {
      if (error.code !== status.NOT_FOUND) throw error;
      return false;
    },
  );
}

async function compare(address: string, journal: Journal) {
  const { enrolled, expunged, maybeExpunged, updates } = journal;
  const stored = await listAll(address);
  const expected = [...enrolled].filter(([, id]) => !expunged.has(id) && !maybeExpunged.has(id));
  const { found, verifiable } = await searchAll(address, journal);
  const known = new Set(enrolled.values());
  const isCurrent = (id: string) => {
    const subject = stored.get(id);
    const { acknowledged = 0, sent = 0 } = updates.get(id) ?? {};
    const version = subject === undefined ? undefined : versionOf(subject);
    return version === undefined || (version >= acknowledged && version <= sent);
  };
  return {
    acknowledged: enrolled.size,
    updated: [...updates.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    expunged: expunged.size,
    lost: expected.filter(([, id]) => !stored.has(id)).length,
    updatesLost: expected.filter(([, id]) => !isCurrent(id)).length,
    resurrected: [...enrolled].filter(
      ([person, id]) => expunged.has(id) && (stored.has(id) || verifiable.has(id) || found.get(person)?.includes(id)),
    ).length,
    torn: [...stored.values()].filter(({ references }) => references.length !== 3).length,
    notSearchable: expected.filter(([person, id]) => found.get(person)?.[0] !== id).length,
    unansweredButStored: [...stored.keys()].filter((id) => !known.has(id)).length,
  };
}

async function countHoles(dataDir: string): Promise<number> {
  const keys = new Keys({ keyFile: undefined, dataDir });
  const store = await openStore({ databaseUrl: undefined, dataDir, keys, log: () => undefined });
  try {
    const head = await store.subjects.headSequence();
    let [last, found] = [0, 0];
    while (last < head) {
      const changes = await store.subjects.readChanges(last, CHANGES_PER_READ);
      if (changes.length === 0) break;
      found += changes.length;
      last = changes[changes.length - 1].seq;
    }
    return head - found;
  } finally {
    await store.close();
  }
}
