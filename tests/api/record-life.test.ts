/** Records whose owners limit them, over the wire. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { Provenance, type SubjectData } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { HandlingCode } from '../../src/contract/generated/ridgewatch/v1/handling.ts';
import {
  EmptyScope,
  Purpose,
  type IdentifyRequest,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Band, Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { UNLIMITED } from '../../src/store/records.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { watch } from './hit-watching.ts';
import { registeredClients, type ActingClient } from './registered-clients.ts';
import {
  call,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  verifyRequest,
  type RunningService,
} from './running-service.ts';

/** Minors are searched by examiners. */
const MINORS = `@id("by-examiners")
forbid (principal, action == Ridgewatch::Action::"search-record", resource)
when { resource.minor }
unless { principal.roles.contains(Ridgewatch::Role::"examiner") };`;

let cluster: TestCluster;
let url: string;
let running: RunningService;
const clients = registeredClients(() => running);
let owner: ActingClient;
let gate: ActingClient;
let examiner: ActingClient;

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  const policies = temporaryDirectory();
  writeFileSync(join(policies, 'minors.cedar'), MINORS);
  running = await runService(url, { RIDGEWATCH_POLICIES: policies, RIDGEWATCH_HTTP_IDENTIFY: 'true' });
  owner = await clients.as({ agency: 'owner', roles: [Role.CONTRIBUTOR] });
  gate = await clients.as({ agency: 'border' });
  examiner = await clients.as({ agency: 'border', roles: [Role.EXAMINER] });
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

/** Each test has a person of its own, in a gallery of its own. */
let people = 0;

interface Enrolled {
  readonly person: number;
  readonly subjectId: string;
  readonly change: (changes: Partial<SubjectData>, by?: ActingClient) => Promise<SubjectData | undefined>;
}

async function enrol(changes: Partial<SubjectData> = {}): Promise<Enrolled> {
  const person = ++people;
  const plain = { contributor: 'owner', externalId: '', galleries: [`g-${person}`], caveats: [] };
  const data = { ...plain, provenance: Provenance.CONTROLLED, ...UNLIMITED, ...changes };
  const request = enrolRequest(samplesOf(person, 0), { data });
  const { subject } = await call(owner.gallery, owner.gallery.enroll.bind(owner.gallery), request);
  const subjectId = subject?.subjectId ?? '';
  const change = async (changed: Partial<SubjectData>, { gallery } = owner) => {
    const updateMask = Object.keys(changed).map(
      (name) => `data.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
    );
    const update = { subjectId, expectedVersion: 0, data: { ...data, ...changed }, samples: [], updateMask };
    return (await call(gallery, gallery.updateSubject.bind(gallery), update)).subject?.data;
  };
  return { person, subjectId, change };
}

function search(person: number, by = gate, changes: Partial<IdentifyRequest> = {}) {
  const { identification } = by;
  const purpose = Purpose.BORDER_CHECK;
  const request = identifyRequest(samplesOf(person, 1), { purpose, galleries: [`g-${person}`], ...changes });
  return call(identification, identification.identify.bind(identification), request);
}

function verify(person: number, subjectId: string, { identification } = examiner) {
  const request = verifyRequest(samplesOf(person, 1), { $case: 'subjectId', value: subjectId });
  const purposed = { ...request, purpose: Purpose.INVESTIGATION };
  return call(identification, identification.verify.bind(identification), purposed);
}

const seenBy = ({ gallery }: ActingClient, subjectId: string) =>
  call(gallery, gallery.getSubject.bind(gallery), { subjectId });

const PAST = new Date('2001-02-03T04:05:06Z');
const FUTURE = new Date('2901-02-03T04:05:06Z');

describe('a record', () => {
  it.each([
    ['that is suspended', { suspended: true }, { suspended: false }],
    ['whose review is overdue', { reviewTime: PAST }, { reviewTime: FUTURE }],
  ] as const)('%s is kept and found by no search, until its owner decides otherwise', async (_, limit, lifted) => {
    const { person, subjectId, change } = await enrol(limit);
    for (const changes of [{}, { exact: true }, { firstHit: true }])
      expect(await search(person, gate, changes)).toMatchObject({
        candidates: [],
        emptyScope: EmptyScope.NO_SUBJECT,
        subjectsSearched: 0,
      });
    expect((await refused(verify(person, subjectId))).reason).toBe('SUBJECT_NOT_FOUND');
    expect((await seenBy(owner, subjectId)).subject?.data).toMatchObject(limit);
    expect(await change(lifted)).toMatchObject(lifted);
    expect((await search(person)).candidates.map((one) => one.subjectId)).toEqual([subjectId]);
    expect((await verify(person, subjectId)).log10Fmr).toBeLessThan(-5);
    await change(limit);
    expect((await search(person)).candidates).toEqual([]);
  });

  it('that is suspended is seen by its owner alone', async () => {
    const { subjectId, change } = await enrol();
    expect((await seenBy(examiner, subjectId)).subject?.subjectId).toBe(subjectId);
    await change({ suspended: true });
    expect((await refused(seenBy(examiner, subjectId))).reason).toBe('SUBJECT_NOT_FOUND');
    expect((await seenBy(owner, subjectId)).subject?.data?.suspended).toBe(true);
  });

  it('is suspended and limited by its owner alone', async () => {
    const { person, subjectId, change } = await enrol();
    const other = await clients.as({ agency: 'other', roles: [Role.CONTRIBUTOR] });
    const administrator = await clients.as({ agency: 'owner', roles: [Role.ADMINISTRATOR] });
    for (const changes of [
      { suspended: true },
      { reviewTime: PAST },
      { minorUntil: FUTURE },
      { handling: undefined },
    ]) {
      expect((await refused(change(changes, other))).reason).toBe('SUBJECT_NOT_FOUND');
      expect((await refused(change(changes, administrator))).reason).toBe('ACTION_NOT_PERMITTED');
    }
    expect((await search(person)).candidates.map((one) => one.subjectId)).toEqual([subjectId]);
  });
});

describe('a minor', () => {
  it('is found by those alone that policies permit, until it comes of age', async () => {
    const { person, subjectId, change } = await enrol({ minorUntil: FUTURE });
    expect(await search(person)).toMatchObject({ candidates: [], emptyScope: EmptyScope.NO_SUBJECT });
    const investigation = { purpose: Purpose.INVESTIGATION };
    const { candidates } = await search(person, examiner, investigation);
    expect(candidates).toMatchObject([{ subjectId, minor: true, band: Band.STRONG_CANDIDATE }]);
    expect((await verify(person, subjectId)).log10Fmr).toBeLessThan(-5);
    await change({ minorUntil: PAST });
    expect((await search(person)).candidates).toMatchObject([{ subjectId, minor: false }]);
  });

  it('is a duplicate only for those that may search minors', async () => {
    const { person, subjectId } = await enrol({ minorUntil: FUTURE });
    const { gallery } = owner;
    const request = {
      ...{ galleries: [`g-${person}`], afterSubjectId: '', maxSubjects: 0, maxDuplicates: 0, threshold: undefined },
    };
    const twin = enrolRequest(samplesOf(person, 1), {
      data: {
        ...{ contributor: 'owner', externalId: '', galleries: [`g-${person}`], caveats: [] },
        ...{ provenance: Provenance.CONTROLLED, ...UNLIMITED },
      },
    });
    await call(gallery, gallery.enroll.bind(gallery), twin);
    const found = await call(gallery, gallery.findDuplicates.bind(gallery), request);
    expect(found).toMatchObject({ pairs: [], subjectsCovered: 1 });
    expect(JSON.stringify(found)).not.toContain(subjectId);
  });
});

describe('a record from the field', () => {
  it.each([Provenance.FIELD, Provenance.LATENT])('of provenance %s is never a strong candidate', async (provenance) => {
    const { person, subjectId, change } = await enrol({ provenance });
    const watching = watch(owner.sharing);
    await watching.caughtUp();
    const before = watching.hits.length;
    const review = { band: Band.REVIEW, candidates: [{ subjectId, band: Band.REVIEW }] };
    expect(await search(person)).toMatchObject(review);
    // There is nothing to answer early with.
    expect(await search(person, gate, { firstHit: true })).toMatchObject({ ...review, early: false });
    expect(await search(person, examiner, { purpose: Purpose.INVESTIGATION })).toMatchObject(review);
    expect(await streamed(person)).toMatchObject({ outcome: { value: review } });
    expect(await overHttp(person)).toMatchObject({ band: 'BAND_REVIEW', candidates: [{ band: 'BAND_REVIEW' }] });
    await watching.until(before + 5);
    expect(watching.hits.slice(before).map(({ band }) => band)).toEqual(Array(5).fill(Band.REVIEW));
    watching.stop();
    await change({ provenance: Provenance.CONTROLLED });
    expect((await search(person)).band).toBe(Band.STRONG_CANDIDATE);
  });
});

describe('what the owner asks for', () => {
  const handling = {
    code: HandlingCode.DISCREET_CHECK,
    instructions: 'Note the vehicle and the company; tell nobody else. Zażółć 4711.',
    contact: 'duty desk, +00 555 0100',
  };

  it('is shown beside the candidate to those who may see the record, and changed and taken away by its owner', async () => {
    const { person, subjectId, change } = await enrol({ handling });
    expect((await search(person)).candidates).toMatchObject([{ subjectId, handling }]);
    expect((await streamed(person)).outcome).toMatchObject({ value: { candidates: [{ handling }] } });
    expect(await overHttp(person)).toMatchObject({
      candidates: [{ handling: { code: 'HANDLING_CODE_DISCREET_CHECK', contact: handling.contact } }],
    });
    for (const by of [owner, examiner]) expect((await seenBy(by, subjectId)).subject?.data?.handling).toEqual(handling);
    const other = { code: HandlingCode.NOTIFY_ONLY, instructions: '', contact: '' };
    expect((await change({ handling: other }))?.handling).toEqual(other);
    expect((await search(person)).candidates).toMatchObject([{ handling: other }]);
    expect((await change({ handling: undefined }))?.handling).toBeUndefined();
    expect((await search(person)).candidates[0]?.handling).toBeUndefined();
  });

  it('is in no line of the log, and in no record of the audit', async () => {
    const { person, subjectId, change } = await enrol({ handling });
    await search(person);
    await change({ handling: { ...handling, code: HandlingCode.LOCATE } });
    await refused(change({ handling: { ...handling, code: HandlingCode.UNSPECIFIED } }));
    await seenBy(owner, subjectId);
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    const { rows } = await database.query<{ record: string }>('SELECT a::text AS record FROM audit_record a');
    await database.end();
    expect(rows.some(({ record }) => record.includes(subjectId))).toBe(true);
    for (const text of [...running.log, ...rows.map(({ record }) => record)])
      for (const secret of ['vehicle', 'Zażółć', 'duty desk', '555 0100', 'discreet'])
        expect(text).not.toContain(secret);
  });
});

async function streamed(person: number): Promise<IdentifyStreamResponse> {
  const stream = gate.identification.identifyStream();
  const request = identifyRequest(samplesOf(person, 1), {
    ...{ purpose: Purpose.BORDER_CHECK, galleries: [`g-${person}`], clientRequestId: 'one' },
  });
  const answer = new Promise<IdentifyStreamResponse>((resolve, reject) => {
    stream.once('data', resolve).once('error', reject);
  });
  stream.write({ request });
  stream.end();
  return answer;
}

async function overHttp(person: number): Promise<unknown> {
  const body = {
    ...{ samples: samplesOf(person, 1).map((sample) => Sample.toJSON(sample)), galleries: [`g-${person}`] },
    ...{ purpose: 'PURPOSE_BORDER_CHECK', checkpoint_id: 'gate-1' },
  };
  const response = await fetch(`http://127.0.0.1:${running.service.httpPort}/v1/identify`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...running.headers },
  });
  return response.json();
}
