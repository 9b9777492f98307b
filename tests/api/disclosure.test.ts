/** What clients of different roles and agencies see of one gallery, and what they cannot add up. */
import { status as Code } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Purpose, type IdentifyRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
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
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let running: RunningService;
const clients = registeredClients(() => running);

/** Records of two agencies: person, contributor and caveats. */
const RECORDS = [
  [1, 'agency-a', []],
  [2, 'agency-b', []],
  [3, 'agency-b', ['ORCON']],
  [4, 'agency-b', ['REL-AGENCY-A']],
  [5, 'agency-b', ['REL-AGENCY-C']],
  [6, 'agency-b', ['POLICE-ONLY']],
  [7, 'agency-b', ['SECRET']],
  [8, 'agency-b', ['SUSPENDED']],
] as const;
const ids = new Map<number, string>();

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  for (const [person, contributor, caveats] of RECORDS) {
    const { subject } = await call(running.gallery, running.gallery.enroll.bind(running.gallery), {
      ...enrolRequest(samplesOf(person, 0)),
      data: {
        contributor,
        externalId: '',
        galleries: ['watchlist'],
        caveats: [...caveats],
        provenance: Provenance.CONTROLLED,
        ...UNLIMITED,
      },
    });
    ids.set(person, subject?.subjectId ?? '');
  }
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const gate = (agency = 'agency-a') => clients.as({ agency, galleries: ['watchlist'] });

function search(by: ActingClient, person: number, changes: Partial<IdentifyRequest> = {}) {
  const { identification } = by;
  const request = identifyRequest(samplesOf(person, 1), { purpose: Purpose.BORDER_CHECK, ...changes });
  return call(identification, identification.identify.bind(identification), request);
}

/** The people among the records that a client finds, each by a later capture. */
async function found(by: ActingClient, purpose: Purpose): Promise<number[]> {
  const people: number[] = [];
  for (const [person] of RECORDS) {
    const { candidates } = await search(by, person, { purpose });
    if (candidates.some(({ subjectId }) => subjectId === ids.get(person))) people.push(person);
  }
  return people;
}

describe('which client finds which subjects', () => {
  it('follows from contributor, caveats and purpose, and what is masked is not counted', async () => {
    const [ofA, ofB] = [await gate('agency-a'), await gate('agency-b')];
    expect(await found(ofA, Purpose.BORDER_CHECK)).toEqual([1, 2, 4]);
    expect(await found(ofB, Purpose.BORDER_CHECK)).toEqual([1, 2, 3, 4, 5]);
    const police = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER], clearance: 3 });
    expect(await found(police, Purpose.INVESTIGATION)).toEqual([1, 2, 4, 6, 7]);
    expect(await search(ofA, 1)).toMatchObject({ subjectsSearched: 3 });
    expect(await search(ofB, 1)).toMatchObject({ subjectsSearched: 5 });
  });

  it('answers about a masked subject as about none', async () => {
    const examiner = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER] });
    const { identification, gallery } = examiner;
    const ask = (subjectId: string) => {
      const request = verifyRequest(samplesOf(3, 1), { $case: 'subjectId', value: subjectId });
      return refused(
        call(identification, identification.verify.bind(identification), {
          ...request,
          purpose: Purpose.INVESTIGATION,
        }),
      );
    };
    const nobody = '00000000-0000-7000-8000-000000000000';
    const [masked, absent] = [await ask(ids.get(3) ?? ''), await ask(nobody)];
    expect(masked).toEqual(absent);
    expect(masked).toMatchObject({ code: Code.NOT_FOUND, reason: 'SUBJECT_NOT_FOUND' });
    const read = (subjectId: string) => refused(call(gallery, gallery.getSubject.bind(gallery), { subjectId }));
    expect(await read(ids.get(3) ?? '')).toEqual(await read(nobody));
  });

  it('has no other refusal, price or limit for a comparison with a masked subject than for one with none', async () => {
    const nobody = '00000000-0000-7000-8000-000000000001';
    const outcomes = async (subjectId: string, explain: boolean) => {
      const examiner = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER], verificationsPerDay: 7 });
      const { identification } = examiner;
      const claim = { $case: 'subjectId', value: subjectId } as const;
      const request = { ...verifyRequest(samplesOf(3, 1), claim, { explain }), purpose: Purpose.INVESTIGATION };
      const ask = () => refused(call(identification, identification.verify.bind(identification), request));
      return [await ask(), await ask(), await ask()].map(({ reason, violations }) => ({ reason, violations }));
    };
    for (const explain of [false, true])
      expect(await outcomes(ids.get(3) ?? '', explain)).toEqual(await outcomes(nobody, explain));
    // Others may spend as much as they like on a subject that they cannot find.
    for (let client = 0; client < 8; client++) {
      const { identification } = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER] });
      const face = samplesOf(3, 1).slice(2);
      const request = verifyRequest(face, { $case: 'subjectId', value: ids.get(3) ?? '' });
      const ask = () =>
        call(identification, identification.verify.bind(identification), {
          ...request,
          purpose: Purpose.INVESTIGATION,
        });
      for (let i = 0; i < 15; i++) await refused(ask());
    }
    const { identification } = await clients.as({ agency: 'agency-b', roles: [Role.EXAMINER] });
    const request = verifyRequest(samplesOf(3, 1), { $case: 'subjectId', value: ids.get(3) ?? '' });
    const own = { ...request, purpose: Purpose.INVESTIGATION };
    const answer = await call(identification, identification.verify.bind(identification), own);
    expect(answer.log10Fmr).toBeLessThan(-5);
  });

  it('answers a repeated enrolment with the subject only while the client may see it', async () => {
    const { gallery } = await clients.as({ agency: 'agency-d', roles: [Role.CONTRIBUTOR] });
    const request = enrolRequest(samplesOf(20, 0), { clientRequestId: 'once' });
    const data = { ...request.data, contributor: 'agency-d', galleries: ['other'] } as typeof request.data;
    const repeat = () => call(gallery, gallery.enroll.bind(gallery), { ...request, data });
    const { subject } = await repeat();
    const subjectId = subject?.subjectId ?? '';
    expect(await repeat()).toMatchObject({ repeatedRequest: true, subject: { subjectId } });
    await call(running.gallery, running.gallery.updateSubject.bind(running.gallery), {
      subjectId,
      data: { ...data, caveats: ['SECRET'] } as typeof request.data,
      samples: [],
      updateMask: ['data.caveats'],
      expectedVersion: 0,
    });
    expect(await refused(repeat())).toMatchObject({ reason: 'SUBJECT_NOT_FOUND' });
  });

  it('shows no further page where only masked subjects follow', async () => {
    const { gallery } = await clients.as({ agency: 'agency-a', roles: [Role.CONTRIBUTOR] });
    const request = { gallery: '', contributor: '', pageSize: 1, pageToken: '' };
    const page = await call(gallery, gallery.listSubjects.bind(gallery), request);
    expect(page.subjects.map(({ subjectId }) => subjectId)).toEqual([ids.get(1)]);
    expect(page.nextPageToken).toBe('');
  });

  it('leaves records to their owner', async () => {
    const owner = await clients.as({ agency: 'agency-b', roles: [Role.CONTRIBUTOR] });
    const other = await clients.as({ agency: 'agency-a', roles: [Role.CONTRIBUTOR] });
    const expunge = ({ gallery }: ActingClient, person: number) =>
      call(gallery, gallery.expungeSubject.bind(gallery), { subjectId: ids.get(person) ?? '', reason: 'test' });
    expect(await refused(expunge(other, 2))).toMatchObject({ reason: 'SUBJECT_NOT_FOUND' });
    const list = ({ gallery }: ActingClient) =>
      call(gallery, gallery.listSubjects.bind(gallery), { gallery: '', contributor: '', pageSize: 100, pageToken: '' });
    expect((await list(owner)).subjects).toHaveLength(6);
    expect((await list(other)).subjects).toHaveLength(1);
    const forged = enrolRequest(samplesOf(9, 0));
    expect(await refused(call(other.gallery, other.gallery.enroll.bind(other.gallery), forged))).toMatchObject({
      code: Code.PERMISSION_DENIED,
      reason: 'CONTRIBUTOR_NOT_PERMITTED',
    });
  });

  it('keeps clients to their galleries and purposes', async () => {
    const client = await clients.as({ agency: 'agency-a', galleries: ['watchlist'], purposes: [Purpose.BORDER_CHECK] });
    for (const galleries of [['demo'], ['watchlist', 'nowhere']])
      expect(await refused(search(client, 1, { galleries }))).toMatchObject({
        code: Code.PERMISSION_DENIED,
        reason: 'GALLERY_NOT_PERMITTED',
      });
    expect(await refused(search(client, 1, { purpose: Purpose.APPLICATION }))).toMatchObject({
      reason: 'PURPOSE_NOT_PERMITTED',
    });
  });
});

describe('a checkpoint', () => {
  it('gets bands and powers of ten, and no scores', async () => {
    const { candidates, thresholdLog10Fmr } = await search(await gate(), 1);
    expect(candidates[0]).toMatchObject({ subjectId: ids.get(1), rank: 1, scores: [] });
    for (const rate of [candidates[0]?.log10Fmr, thresholdLog10Fmr]) expect(Number.isInteger(rate)).toBe(true);
    expect(Math.log10(candidates[0]?.fpir ?? 0)).toBeCloseTo(Math.round(Math.log10(candidates[0]?.fpir ?? 0)), 9);
    expect(await refused(search(await gate(), 1, { explain: true }))).toMatchObject({
      reason: 'EXPLANATION_NOT_PERMITTED',
    });
    const police = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER] });
    const exact = await search(police, 1, { purpose: Purpose.INVESTIGATION, explain: true });
    expect(exact.candidates[0]?.scores.length).toBeGreaterThan(0);
    expect(exact.candidates[0]?.log10Fmr).toBeLessThanOrEqual(candidates[0]?.log10Fmr ?? 0);
  });

  it('does not move candidates by its threshold, nor does an examiner', async () => {
    const threshold = { $case: 'maxLog10Fmr', value: 0 } as const;
    const police = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER], clearance: 3 });
    // A face alone would have weak candidates.
    const samples = samplesOf(1, 1).slice(2);
    for (const [by, purpose] of [
      [await gate(), Purpose.BORDER_CHECK],
      [police, Purpose.INVESTIGATION],
    ] as const) {
      const usual = await search(by, 1, { purpose, samples });
      const lax = await search(by, 1, { purpose, samples, threshold, maxCandidates: 500 });
      expect(lax.candidates).toEqual(usual.candidates);
      expect(lax.thresholdLog10Fmr).toBe(usual.thresholdLog10Fmr);
    }
    const { identification } = running;
    const request = identifyRequest(samples, { threshold, maxCandidates: 500 });
    const all = await call(identification, identification.identify.bind(identification), request);
    expect(all.candidates.length).toBeGreaterThan(1);
  });

  it('may not compare with a subject that it names', async () => {
    const { identification } = await gate();
    const request = verifyRequest(samplesOf(1, 1), { $case: 'subjectId', value: ids.get(1) ?? '' });
    expect(await refused(call(identification, identification.verify.bind(identification), request))).toMatchObject({
      reason: 'ACTION_NOT_PERMITTED',
    });
  });

  it('sends probes that a model makes', async () => {
    const face = samplesOf(1, 1)[2];
    if (face === undefined) throw new Error('there is no face');
    const data = Buffer.alloc(4 * face.dimension);
    data.writeFloatLE(1, 0);
    const { identification } = await gate();
    const request = identifyRequest([{ ...face, data }], { purpose: Purpose.BORDER_CHECK });
    expect(await refused(call(identification, identification.identify.bind(identification), request))).toMatchObject({
      reason: 'SAMPLE_IMPLAUSIBLE',
      violations: [expect.objectContaining({ field: 'samples[0].data' })],
    });
  });
});

describe('a caller that asks again and again', () => {
  it('spends the budget of comparisons with one subject', async () => {
    const { identification } = await clients.as({ agency: 'agency-a', roles: [Role.EXAMINER], callsPerSecond: 1000 });
    const face = samplesOf(2, 1).slice(2);
    const request = verifyRequest(face, { $case: 'subjectId', value: ids.get(2) ?? '' });
    const ask = () =>
      call(identification, identification.verify.bind(identification), { ...request, purpose: Purpose.INVESTIGATION });
    let answered = 0;
    let end: unknown;
    while (end === undefined && answered < 100)
      await ask().then(
        () => answered++,
        (status: unknown) => (end = status),
      );
    expect(answered).toBeLessThanOrEqual(20);
    expect(end).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: 'VERIFY_BUDGET_SPENT' });
  });

  it('is slowed down, and disabled, where its probes feel their way', async () => {
    const by = await clients.as({ agency: 'climbers', galleries: ['watchlist'], callsPerSecond: 1000 });
    const face = samplesOf(1, 1)[2];
    if (face === undefined) throw new Error('there is no face');
    const reasons: string[] = [];
    for (let step = 0; step < 300 && reasons.at(-1) !== 'CLIENT_DISABLED'; step++) {
      const data = Buffer.from(face.data);
      for (let at = 0; at < 20; at++) {
        const place = 4 * ((step * 20 + at) % face.dimension);
        data.writeFloatLE(1.05 * data.readFloatLE(place), place);
      }
      const request = identifyRequest([{ ...face, data }], { purpose: Purpose.BORDER_CHECK });
      const { identification } = by;
      await call(identification, identification.identify.bind(identification), request).catch((status: unknown) =>
        reasons.push((status as { reason: string }).reason),
      );
    }
    expect(new Set(reasons)).toEqual(new Set(['PROBES_ALIKE', 'CLIENT_DISABLED']));
    expect(running.log.some((line) => line.includes('it may be rebuilding a template'))).toBe(true);
  });

  it('keeps to its rate', async () => {
    const by = await clients.as({ agency: 'agency-a', galleries: ['watchlist'], callsPerSecond: 1 });
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        search(by, 100 + i).then(
          () => 'OK',
          (status: unknown) => status,
        ),
      ),
    );
    expect(outcomes.filter((one) => one === 'OK').length).toBeLessThanOrEqual(7);
    expect(outcomes.find((one) => one !== 'OK')).toMatchObject({ reason: 'RATE_LIMITED' });
  });
});

describe('a supervisor who has probes enrolled', () => {
  it('learns no more of a pair than a search with the probe tells', async () => {
    const agency = 'agency-p';
    const contributor = await clients.as({ agency, roles: [Role.CONTRIBUTOR], callsPerSecond: 1000 });
    const supervisor = await clients.as({ agency, roles: [Role.SUPERVISOR], callsPerSecond: 1000 });
    const [target, stranger] = [samplesOf(2, 0)[2], samplesOf(30, 0)[2]];
    if (target === undefined || stranger === undefined) throw new Error('there is no face');
    // From the stranger to the target.
    const blend = (share: number) => {
      const data = Buffer.alloc(target.data.length);
      for (let at = 0; at < data.length; at += 4)
        data.writeFloatLE(
          share * Buffer.from(target.data).readFloatLE(at) + (1 - share) * Buffer.from(stranger.data).readFloatLE(at),
          at,
        );
      return { ...target, data };
    };
    const request = enrolRequest([blend(0)]);
    const data = { ...request.data, contributor: agency, galleries: ['watchlist'] } as typeof request.data;
    const { subject } = await call(contributor.gallery, contributor.gallery.enroll.bind(contributor.gallery), {
      ...request,
      data,
    });
    const subjectId = subject?.subjectId ?? '';
    const [shown, searched]: (number | undefined)[][] = [[], []];
    for (const share of [0.2, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 1]) {
      const samples = [blend(share)];
      await call(contributor.gallery, contributor.gallery.updateSubject.bind(contributor.gallery), {
        subjectId,
        data: undefined,
        samples,
        updateMask: ['samples'],
        expectedVersion: 0,
      });
      const { pairs } = await call(supervisor.gallery, supervisor.gallery.findDuplicates.bind(supervisor.gallery), {
        galleries: ['watchlist'],
        afterSubjectId: '',
        maxSubjects: 0,
        maxDuplicates: 0,
        threshold: { $case: 'maxLog10Fmr', value: 0 },
      });
      const pair = pairs.find((own) => own.subjectId === subjectId && own.otherSubjectId === ids.get(2));
      const threshold = { $case: 'maxLog10Fmr', value: 0 } as const;
      const { candidates } = await search(supervisor, 2, { samples, threshold });
      shown.push(pair?.log10Fmr);
      searched.push(candidates.find((own) => own.subjectId === ids.get(2))?.log10Fmr);
    }
    // Other tests count the records.
    const { gallery } = contributor;
    await call(gallery, gallery.expungeSubject.bind(gallery), { subjectId, reason: 'test' });
    expect(shown).toEqual(searched);
    expect(shown[0]).toBeUndefined();
    expect(Number.isInteger(shown.at(-1))).toBe(true);
  });
});
