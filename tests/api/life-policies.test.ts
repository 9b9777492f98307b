/** Policies about minors and suspended records hold whether a caveat says so or the record's own fields do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { Provenance, type SubjectData } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { HandlingCode } from '../../src/contract/generated/ridgewatch/v1/handling.ts';
import { Purpose } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
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

/** Gates search minors and do not see them. Of hits on minors supervisors alone are told. */
const MINORS = `@id("unseen-by-gates")
forbid (principal, action == Ridgewatch::Action::"see-record", resource)
when { resource.minor && principal.roles.contains(Ridgewatch::Role::"checkpoint") };
@id("hits-for-supervisors")
forbid (principal, action == Ridgewatch::Action::"see-record", resource)
when { resource.minor && context.call == Ridgewatch::Call::"watch-hits" }
unless { principal.roles.contains(Ridgewatch::Role::"supervisor") };
@id("kept-by-the-owner-of-minors")
forbid (principal, action == Ridgewatch::Action::"change-record", resource)
when { resource.minor && resource.contributor == "no-minors" };`;

/** A suspension is lifted by a supervisor alone. */
const LIFTED = `@id("by-supervisors")
forbid (principal, action == Ridgewatch::Action::"change-record", resource)
when { resource.suspended && context.call == Ridgewatch::Call::"update" }
unless { principal.roles.contains(Ridgewatch::Role::"supervisor") };`;

let cluster: TestCluster;
let url: string;
let running: RunningService;
const clients = registeredClients(() => running);
let owner: ActingClient;
let supervisor: ActingClient;
let gate: ActingClient;
let examiner: ActingClient;

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  const policies = temporaryDirectory();
  writeFileSync(join(policies, 'minors.cedar'), MINORS);
  writeFileSync(join(policies, 'lifted.cedar'), LIFTED);
  running = await runService(url, { RIDGEWATCH_POLICIES: policies });
  owner = await clients.as({ agency: 'owner', roles: [Role.CONTRIBUTOR] });
  supervisor = await clients.as({ agency: 'owner', roles: [Role.CONTRIBUTOR, Role.SUPERVISOR] });
  gate = await clients.as({ agency: 'border' });
  examiner = await clients.as({ agency: 'border', roles: [Role.EXAMINER] });
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

let people = 0;

async function enrol(changes: Partial<SubjectData> = {}, by = owner) {
  const person = ++people;
  const plain = { contributor: 'owner', externalId: '', galleries: [`g-${person}`], caveats: [] };
  const data = { ...plain, provenance: Provenance.CONTROLLED, ...UNLIMITED, ...changes };
  const { subject } = await call(
    by.gallery,
    by.gallery.enroll.bind(by.gallery),
    enrolRequest(samplesOf(person, 0), { data }),
  );
  const subjectId = subject?.subjectId ?? '';
  const change = async (changed: Partial<SubjectData>, { gallery } = owner, mask?: string[]) => {
    const updateMask =
      mask ??
      Object.keys(changed).map((name) => `data.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`);
    const update = { subjectId, expectedVersion: 0, data: { ...data, ...changed }, samples: [], updateMask };
    return (await call(gallery, gallery.updateSubject.bind(gallery), update)).subject?.data;
  };
  return { person, subjectId, change };
}

function search(person: number, by = gate) {
  const { identification } = by;
  const request = identifyRequest(samplesOf(person, 1), { purpose: Purpose.BORDER_CHECK, galleries: [`g-${person}`] });
  return call(identification, identification.identify.bind(identification), request);
}

const PAST = new Date('2001-02-03T04:05:06Z');
const FUTURE = new Date('2901-02-03T04:05:06Z');

describe('a minor', () => {
  it.each([
    ['by caveat', { caveats: ['MINOR'] }],
    ['by time', { minorUntil: FUTURE }],
  ])('%s that policies let gates search unseen is a silent hit', async (_, limit) => {
    const { person, subjectId } = await enrol(limit);
    const watching = watch(supervisor.sharing);
    await watching.caughtUp();
    const before = watching.hits.length;
    expect((await search(person)).candidates).toEqual([]);
    await watching.until(before + 1);
    expect(watching.hits.slice(before)).toMatchObject([{ subjectId, silent: true }]);
    watching.stop();
  });

  it.each([
    ['by caveat', { caveats: ['MINOR'] }, { caveats: [] }],
    ['by time', { minorUntil: FUTURE }, { minorUntil: PAST }],
  ])(
    '%s when it was found is no hit for those who may not see one, although it has come of age',
    async (_, limit, later) => {
      const { person, subjectId, change } = await enrol(limit);
      await search(person, examiner);
      await change(later);
      const told = watch(supervisor.sharing, 0);
      await told.caughtUp();
      expect(told.hits.map((hit) => hit.subjectId)).toContain(subjectId);
      const untold = watch(owner.sharing, 0);
      await untold.caughtUp();
      expect(untold.hits.map((hit) => hit.subjectId)).not.toContain(subjectId);
      told.stop();
      untold.stop();
    },
  );
});

describe('policies about changes', () => {
  it.each([
    ['by caveat', { caveats: ['SUSPENDED'] }, { caveats: [] }],
    ['by its field', { suspended: true }, { suspended: false }],
  ])('of suspended records hold for one that is suspended %s', async (_, limit, lifted) => {
    const { change } = await enrol(limit);
    expect((await refused(change(lifted))).reason).toBe('RECORD_NOT_PERMITTED');
    expect((await refused(change({ reviewTime: FUTURE }))).reason).toBe('RECORD_NOT_PERMITTED');
    expect(await change(lifted, supervisor)).toMatchObject(lifted);
    expect((await refused(change(limit))).reason).toBe('CONTRIBUTOR_NOT_PERMITTED');
  });

  it.each([
    ['by caveat', { caveats: ['MINOR'] }],
    ['by time', { minorUntil: FUTURE }],
  ])('of minors hold for one that is a minor %s', async (_, limit) => {
    const other = await clients.as({ agency: 'no-minors', roles: [Role.CONTRIBUTOR] });
    const contributor = 'no-minors';
    expect((await refused(enrol({ contributor, ...limit }, other))).reason).toBe('CONTRIBUTOR_NOT_PERMITTED');
    const { change } = await enrol({ contributor }, other);
    expect((await refused(change(limit, other))).reason).toBe('CONTRIBUTOR_NOT_PERMITTED');
  });
});

describe('a suspended record', () => {
  it('with a damaged reference is unknown to other agencies', async () => {
    const { person, subjectId, change } = await enrol({ suspended: true });
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    await database.query('UPDATE reference SET template = $2 WHERE subject_id = $1', [subjectId, Buffer.alloc(64)]);
    await database.end();
    const { gallery } = owner;
    await call(gallery, gallery.getSubject.bind(gallery), { subjectId });
    const { identification } = examiner;
    const request = verifyRequest(samplesOf(person, 1), { $case: 'subjectId', value: subjectId });
    const verified = () =>
      call(identification, identification.verify.bind(identification), { ...request, purpose: Purpose.INVESTIGATION });
    expect((await refused(verified())).reason).toBe('SUBJECT_NOT_FOUND');
    expect(await change({ suspended: false }, supervisor)).toMatchObject({ suspended: false });
    // What was loaded before the damage is still compared.
    expect((await verified()).log10Fmr).toBeLessThan(-5);
  });
});

describe('an update', () => {
  it('ignores limits and handling that its mask does not name, whatever they are', async () => {
    const { change } = await enrol();
    const handling = { code: 99 as HandlingCode, instructions: '\u202e'.repeat(500), contact: '' };
    const minorUntil = new Date('1812-01-01T00:00:00Z');
    const changes = { reviewTime: FUTURE, suspended: true, handling, minorUntil };
    expect(await change(changes, owner, ['data.review_time'])).toMatchObject({
      ...{ reviewTime: FUTURE, suspended: false, handling: undefined, minorUntil: undefined },
    });
  });

  it.each(['\u{1f600}'.repeat(500), '\u20ac'.repeat(1000)])('keeps the longest texts, in any script', async (text) => {
    const { person, change } = await enrol();
    const handling = { code: HandlingCode.LOCATE, instructions: text, contact: text.slice(0, 200) };
    expect((await change({ handling }))?.handling).toEqual(handling);
    expect((await search(person)).candidates[0]?.handling).toEqual(handling);
  });
});
