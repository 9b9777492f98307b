/**
 * Kills the service while it enrols and expunges, starts it again and compares with a journal of what was acknowledged.
 * A real process, a real embedded PostgreSQL; SIGKILL at a random moment.
 *
 *   npx tsx bench/durability.ts [--rounds 10] [--json]
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentials, Metadata } from '@grpc/grpc-js';
import { createPerson } from '../fixtures/person.ts';
import {
  GalleryClient,
  Provenance,
  type EnrollResponse,
  type ListSubjectsResponse,
} from '../src/api/generated/ridgewatch/v1/gallery.ts';
import { IdentificationClient, type IdentifyResponse } from '../src/api/generated/ridgewatch/v1/identification.ts';
import { demoSamples } from '../src/demo-gallery.ts';
import { identifyRequest } from './identify-request.ts';
import { promised, startProcess } from './service-process.ts';

const SEED = 4242;
const CALLERS = 4;
const ENVIRONMENT = { RIDGEWATCH_WORKERS: '1', RIDGEWATCH_DEMO: 'never' };

/** What was acknowledged, by person. */
interface Journal {
  readonly enrolled: Map<number, string>;
  readonly expunged: Set<string>;
  /** Sent, and never answered: may be there or not. */
  readonly unanswered: Set<number>;
  readonly expungeUnanswered: Set<string>;
}

/** Enrols people, and expunges every fifth again, until the connection breaks. */
async function load(address: string, journal: Journal, next: () => number): Promise<void> {
  const gallery = new GalleryClient(address, credentials.createInsecure());
  const one = async () => {
    for (;;) {
      const person = next();
      journal.unanswered.add(person);
      const data = {
        contributor: 'bench',
        externalId: `p-${person}`,
        galleries: ['bench'],
        caveats: [],
        provenance: Provenance.SYNTHETIC,
        expireTime: undefined,
      };
      const request = { data, samples: demoSamples(createPerson(SEED, person), 0), clientRequestId: '' };
      const { subject } = await promised<EnrollResponse>((callback) =>
        gallery.enroll(request, new Metadata(), { deadline: Date.now() + 10_000 }, callback),
      );
      journal.unanswered.delete(person);
      journal.enrolled.set(person, subject?.subjectId ?? '');
      if (person % 5 !== 0 || subject === undefined) continue;
      journal.expungeUnanswered.add(subject.subjectId);
      await promised((callback) => gallery.expungeSubject({ subjectId: subject.subjectId, reason: 'bench' }, callback));
      journal.expungeUnanswered.delete(subject.subjectId);
      journal.expunged.add(subject.subjectId);
    }
  };
  // The loops end when the service is killed under them.
  await Promise.allSettled(Array.from({ length: CALLERS }, one));
  gallery.close();
}

async function listAll(address: string): Promise<Map<string, { externalId: string; references: number }>> {
  const gallery = new GalleryClient(address, credentials.createInsecure());
  const found = new Map<string, { externalId: string; references: number }>();
  let pageToken = '';
  do {
    const request = { gallery: '', contributor: '', pageSize: 500, pageToken };
    const page = await promised<ListSubjectsResponse>((callback) => gallery.listSubjects(request, callback));
    for (const { subjectId, data, references } of page.subjects)
      found.set(subjectId, { externalId: data?.externalId ?? '', references: references.length });
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  gallery.close();
  return found;
}

/** Searches with the very samples that a person was enrolled with. */
async function searchFor(address: string, people: readonly number[]): Promise<Map<number, string[]>> {
  const client = new IdentificationClient(address, credentials.createInsecure());
  const found = new Map<number, string[]>();
  for (const person of people) {
    const request = identifyRequest(demoSamples(createPerson(SEED, person), 0), { maxCandidates: 5, exact: true });
    const { candidates } = await promised<IdentifyResponse>((callback) => client.identify(request, callback));
    found.set(
      person,
      candidates.map(({ subjectId }) => subjectId),
    );
  }
  client.close();
  return found;
}

export interface DurabilityResult {
  readonly rounds: number;
  /** Enrolments acknowledged over all rounds, and how many of those not expunged were there after the last restart. */
  readonly acknowledged: number;
  readonly lost: number;
  readonly expunged: number;
  /** Expunged subjects that were found again, in the store or by a search with their own templates. */
  readonly resurrected: number;
  /** Subjects with some of their references only. */
  readonly torn: number;
  /** Acknowledged enrolments that a search with the same samples did not find. */
  readonly notSearchable: number;
  /** Subjects that are there without having been acknowledged: sent, committed, and cut off before the answer. */
  readonly unansweredButStored: number;
}

/** Runs rounds of load, kill and check on one data directory. */
export async function killRounds(
  rounds: number,
  onRound: (round: number, acknowledged: number) => void,
): Promise<DurabilityResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ridgewatch-durability-'));
  const journal: Journal = {
    enrolled: new Map(),
    expunged: new Set(),
    unanswered: new Set(),
    expungeUnanswered: new Set(),
  };
  let nextPerson = 0;
  try {
    for (let round = 1; round <= rounds; round++) {
      const { child, address } = await startProcess(dataDir, ENVIRONMENT);
      const exited = once(child, 'exit');
      setTimeout(() => child.kill('SIGKILL'), 150 + 700 * Math.random());
      await load(address, journal, () => nextPerson++);
      await exited;
      onRound(round, journal.enrolled.size);
    }
    const { child, address } = await startProcess(dataDir, ENVIRONMENT);
    const result = await compare(address, journal, rounds);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    return result;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function compare(address: string, journal: Journal, rounds: number): Promise<DurabilityResult> {
  const stored = await listAll(address);
  const gone = (id: string) => journal.expunged.has(id) || journal.expungeUnanswered.has(id);
  const expected = [...journal.enrolled].filter(([, id]) => !gone(id));
  const searched = await searchFor(address, [...journal.enrolled.keys()]);
  const known = new Set(journal.enrolled.values());
  return {
    rounds,
    acknowledged: journal.enrolled.size,
    lost: expected.filter(([, id]) => !stored.has(id)).length,
    expunged: journal.expunged.size,
    resurrected: [...journal.enrolled].filter(
      ([person, id]) => journal.expunged.has(id) && (stored.has(id) || searched.get(person)?.includes(id)),
    ).length,
    torn: [...stored.values()].filter(({ references }) => references !== 3).length,
    notSearchable: expected.filter(([person, id]) => searched.get(person)?.[0] !== id).length,
    unansweredButStored: [...stored.keys()].filter((id) => !known.has(id)).length,
  };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
  });
  const result = await killRounds(Number(values.rounds), (round, acknowledged) =>
    console.error(`round ${round}: ${acknowledged} enrolments acknowledged so far`),
  );
  if (values.json) console.log(JSON.stringify(result));
  else console.table(result);
  process.exitCode = result.lost + result.resurrected + result.torn + result.notSearchable === 0 ? 0 : 1;
}
