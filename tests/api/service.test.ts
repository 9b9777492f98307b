import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { status as Code, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import type { EnrollStreamResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  SearchMode,
  type IdentifyResponse,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { CandidateListsState, Readiness } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { Band, Modality, SampleOutcome, type Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { readStatus } from '../../src/api/status.ts';
import { encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  enrolPerson,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

const newestSchema = readdirSync(join(import.meta.dirname, '../../src/store/migrations'))
  .sort()
  .at(-1)
  ?.replace('.sql', '');

let cluster: TestCluster;
let url: string;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const { identify, verify, enroll, update, expunge, status } = callsOf(() => running);
const first = ({ candidates }: IdentifyResponse) => candidates[0]?.subjectId;

/** A finger with too few minutiae to be compared. */
function faintFinger(): Sample {
  const record = createPerson(77, 900).fingerImpression(2, 0);
  const [view] = record.views;
  if (view === undefined) throw new Error('no view');
  const data = encodeIso197942({ ...record, views: [{ ...view, minutiae: view.minutiae.slice(0, 3) }] });
  return { ...samplesOf(900, 0)[0], data: Buffer.from(data) };
}

const EVERYBODY = { threshold: { $case: 'maxLog10Fmr', value: 0 } } as const;

describe('a subject', () => {
  it('is enrolled, found by searches, and expunged', async () => {
    const { subject, galleryVersion, repeatedRequest } = await enrolPerson(running, 1);
    const subjectId = subject?.subjectId ?? '';
    expect(repeatedRequest).toBe(false);
    expect(subject).toMatchObject({ version: 1, data: { contributor: 'agency', galleries: ['main'] } });
    expect(
      subject?.references.map(({ modality, fingerPosition, comparable }) => [modality, fingerPosition, comparable]),
    ).toEqual([
      [Modality.FINGER, 2, true],
      [Modality.FINGER, 7, true],
      [Modality.FACE, 0, true],
    ]);

    const found = await identify(samplesOf(1, 1), { clientRequestId: 'search-1', exact: true });
    expect(found).toMatchObject({
      requestId: 'search-1',
      searchMode: SearchMode.EXACT,
      searchedFraction: 1,
      band: Band.STRONG_CANDIDATE,
    });
    expect(found.galleryVersion).toBeGreaterThanOrEqual(galleryVersion);
    expect(found.candidates[0]).toMatchObject({
      subjectId,
      rank: 1,
      contributor: 'agency',
      provenance: 'synthetic',
      band: Band.STRONG_CANDIDATE,
    });
    expect(found.candidates[0]?.scores).toHaveLength(3);
    expect(found.samples.map(({ outcome }) => outcome)).toEqual([
      SampleOutcome.COMPARED,
      SampleOutcome.COMPARED,
      SampleOutcome.COMPARED,
    ]);
    expect(found.modelVersions.map(({ modality }) => modality)).toEqual([Modality.FINGER, Modality.FACE]);

    const verified = await verify(samplesOf(1, 1), { $case: 'subjectId', value: subjectId });
    expect(verified.log10Fmr).toBe(found.candidates[0]?.log10Fmr);
    expect(verified.scores).toEqual(found.candidates[0]?.scores);

    expect((await expunge(subjectId)).referencesRemoved).toBe(3);
    // The enrolled template itself finds no subject any more.
    expect(
      (await identify(samplesOf(1, 0), EVERYBODY)).candidates.map((candidate) => candidate.subjectId),
    ).not.toContain(subjectId);
    expect(await refused(verify(samplesOf(1, 1), { $case: 'subjectId', value: subjectId }))).toMatchObject({
      code: Code.NOT_FOUND,
      reason: 'SUBJECT_NOT_FOUND',
    });
  });

  it('is found with the same answer every time, in any order of samples', async () => {
    await enrolPerson(running, 2);
    await enrolPerson(running, 3);
    const samples = samplesOf(2, 1);
    const strip = ({ candidates }: IdentifyResponse) =>
      candidates.map(({ subjectId, log10Fmr, scores }) => ({
        subjectId,
        log10Fmr,
        scores: scores.map(({ score }) => score).sort(),
      }));
    const [a, b, c] = [
      await identify(samples, EVERYBODY),
      await identify(samples, EVERYBODY),
      await identify([...samples].reverse(), EVERYBODY),
    ];
    expect(strip(b)).toEqual(strip(a));
    expect(strip(c)).toEqual(strip(a));
  });

  it('is found by its new references after an update, and no longer by the old ones', async () => {
    const { subject } = await enrolPerson(running, 20);
    const subjectId = subject?.subjectId ?? '';
    await update({
      subjectId,
      expectedVersion: 0,
      data: undefined,
      samples: samplesOf(21, 0),
      updateMask: ['samples'],
    });
    expect(first(await identify(samplesOf(21, 1)))).toBe(subjectId);
    expect((await identify(samplesOf(20, 1))).candidates.map((candidate) => candidate.subjectId)).not.toContain(
      subjectId,
    );
  });

  it('is found by a finger of unknown position, and by a face alone', async () => {
    const { subject } = await enrolPerson(running, 40);
    const record = createPerson(77, 40).fingerImpression(7, 1, 0.5);
    const data = encodeIso197942({ ...record, views: record.views.map((view) => ({ ...view, position: 0 as const })) });
    const [finger, , face] = samplesOf(40, 1) as [Sample, Sample, Sample];
    expect(
      first(
        await identify([{ ...finger, data: Buffer.from(data) }], { threshold: { $case: 'targetFpir', value: 0.1 } }),
      ),
    ).toBe(subject?.subjectId);
    expect(first(await identify([face], { threshold: { $case: 'targetFpir', value: 0.5 } }))).toBe(subject?.subjectId);
  });

  it('is not found with more certainty when one finger is sent several times', async () => {
    const { subject } = await enrolPerson(running, 45);
    const [finger, other] = samplesOf(45, 1) as [Sample, Sample];
    const rate = async (samples: Sample[]) => {
      const { candidates } = await identify(samples, EVERYBODY);
      return candidates.find(({ subjectId }) => subjectId === subject?.subjectId)?.log10Fmr ?? 0;
    };
    const once = await rate([finger]);
    expect(await rate(Array.from({ length: 10 }, () => finger))).toBeGreaterThanOrEqual(once);
    expect(await rate([finger, other])).toBeLessThan(once);
  });

  it('is compared with samples that are not enrolled', async () => {
    const same = await verify(samplesOf(50, 1), { $case: 'referenceSamples', value: { samples: samplesOf(50, 0) } });
    const other = await verify(samplesOf(50, 1), { $case: 'referenceSamples', value: { samples: samplesOf(51, 0) } });
    expect(same.log10Fmr).toBeLessThan(-6);
    expect(other.log10Fmr).toBeGreaterThan(-3);
    expect(same.scores.every(({ referenceId }) => referenceId === '')).toBe(true);
  });
});

describe('a sample that cannot be compared', () => {
  it('does not affect the other samples', async () => {
    const { subject } = await enroll([faintFinger(), ...samplesOf(60, 0)]);
    expect(subject?.references.map(({ comparable }) => comparable)).toEqual([false, true, true, true]);
    const found = await identify([faintFinger(), ...samplesOf(60, 1)]);
    expect(first(found)).toBe(subject?.subjectId);
    expect(found.samples[0]).toMatchObject({ outcome: SampleOutcome.NOT_COMPARABLE, minutiaCount: 3 });
  });

  it('is refused when it is the only one', async () => {
    expect(await refused(identify([faintFinger()]))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      reason: 'NOT_COMPARABLE',
    });
    expect(await refused(enroll([faintFinger()]))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      reason: 'NOT_COMPARABLE',
    });
  });
});

describe('a repeated enrolment', () => {
  it('returns the subject enrolled before, and is refused with other content', async () => {
    const { subject } = await enrolPerson(running, 70, { clientRequestId: 'req-70' });
    expect(await enrolPerson(running, 70, { clientRequestId: 'req-70' })).toMatchObject({
      repeatedRequest: true,
      subject: { subjectId: subject?.subjectId },
    });
    expect(await refused(enrolPerson(running, 71, { clientRequestId: 'req-70' }))).toMatchObject({
      code: Code.ALREADY_EXISTS,
      reason: 'CLIENT_REQUEST_ID_REUSED',
    });
  });
});

describe('streams', () => {
  it('enrol record by record and report an outcome for each', async () => {
    const records = [
      enrolRequest(samplesOf(80, 0), { clientRequestId: 's-0' }),
      enrolRequest([{ ...samplesOf(81, 0)[0], data: Buffer.from('FMR') }], { clientRequestId: 's-1' }),
      enrolRequest(samplesOf(82, 0), { clientRequestId: 's-2' }),
      enrolRequest([], { clientRequestId: 's-3' }),
    ];
    const response = await new Promise<EnrollStreamResponse>((resolve, reject) => {
      const stream = running.gallery.enrollStream(new Metadata(), (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
      for (const record of records) stream.write({ record });
      stream.end();
    });
    expect([response.enrolledCount, response.refusedCount]).toEqual([2, 2]);
    const outcomes = response.outcomes.map(({ recordIndex, clientRequestId, outcome }) => [
      recordIndex,
      clientRequestId,
      outcome?.$case === 'error' ? readStatus(outcome.value).reason : outcome?.$case,
    ]);
    expect(outcomes).toEqual([
      [0, 's-0', 'subjectId'],
      [1, 's-1', 'TRUNCATED'],
      [2, 's-2', 'subjectId'],
      [3, 's-3', 'INVALID_REQUEST'],
    ]);
    expect((await identify(samplesOf(82, 1))).candidates).toHaveLength(1);
  });

  it('run searches concurrently, and continue after an error', async () => {
    const { subject } = await enrolPerson(running, 90);
    const requests = [
      ...Array.from({ length: 20 }, (_, i) =>
        identifyRequest(samplesOf(90, 1 + (i % 3)), { clientRequestId: `q-${i}` }),
      ),
      identifyRequest([], { clientRequestId: 'bad' }),
    ];
    const answers = await new Promise<Map<string, IdentifyStreamResponse['outcome']>>((resolve, reject) => {
      const received = new Map<string, IdentifyStreamResponse['outcome']>();
      const stream = running.identification.identifyStream();
      stream.on('data', ({ requestId, outcome }: IdentifyStreamResponse) => received.set(requestId, outcome));
      stream.on('error', reject);
      stream.on('end', () => resolve(received));
      for (const request of requests) stream.write({ request });
      stream.end();
    });
    expect(answers.size).toBe(21);
    const bad = answers.get('bad');
    expect(bad?.$case === 'error' && readStatus(bad.value)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      reason: 'INVALID_REQUEST',
    });
    const q = answers.get('q-0');
    expect(q?.$case === 'response' && first(q.value)).toBe(subject?.subjectId);
  });
});

describe('listing', () => {
  const list = async (filter: { gallery?: string; contributor?: string }, pageSize: number) => {
    const pages: string[][] = [];
    let pageToken = '';
    do {
      const page = await call(running.gallery, running.gallery.listSubjects.bind(running.gallery), {
        gallery: '',
        contributor: '',
        ...filter,
        pageSize,
        pageToken,
      });
      pages.push(page.subjects.map(({ subjectId }) => subjectId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return pages;
  };

  it('returns every subject once, page by page', async () => {
    const ids: string[] = [];
    for (const person of [100, 101, 102, 103, 104, 105, 106]) {
      const { data } = enrolRequest([]);
      if (data === undefined) throw new Error('no data');
      const galleries = person < 103 ? ['listed', 'listed-too'] : ['listed'];
      const contributor = person === 106 ? 'other-agency' : 'listing-agency';
      const { subject } = await enroll(samplesOf(person, 0), { data: { ...data, galleries, contributor } });
      ids.push(subject?.subjectId ?? '');
    }
    const sorted = [...ids].sort();
    expect(await list({ gallery: 'listed' }, 3)).toEqual([sorted.slice(0, 3), sorted.slice(3, 6), sorted.slice(6)]);
    expect((await list({ gallery: 'listed' }, 7)).flat()).toEqual(sorted);
    expect((await list({ gallery: 'listed-too' }, 2)).flat()).toEqual(ids.slice(0, 3).sort());
    expect((await list({ contributor: 'listing-agency' }, 4)).flat()).toEqual(ids.slice(0, 6).sort());
    expect((await list({ gallery: 'listed-too', contributor: 'other-agency' }, 4)).flat()).toEqual([]);
    const everybody = (await list({}, 5)).flat();
    expect(everybody).toEqual([...new Set(everybody)].sort());
    expect(everybody).toEqual(expect.arrayContaining(ids));
    // Expired subjects are still stored and listed, but not searched.
    expect(everybody.length).toBeGreaterThanOrEqual((await status()).subjectCount);
  });
});

describe('the service', () => {
  it('reports what it holds', async () => {
    await enrolPerson(running, 110);
    const found = await status();
    expect(found).toMatchObject({ readiness: Readiness.READY, workerCount: 2, schemaVersion: newestSchema });
    expect(found.storeVersion).toBe(found.galleryVersion);
    expect(
      found.partitions.map(({ modality, fingerPosition, modelId }) => [modality, fingerPosition, modelId]),
    ).toEqual([
      [1, 2, ''],
      [1, 7, ''],
      [2, 0, 'synthetic-512'],
    ]);
    expect(found.partitions.reduce((sum, { liveCount }) => sum + liveCount, 0)).toBe(found.referenceCount);
    // Reserved capacity is not counted as used: that would be megabytes.
    for (const { liveCount, removedCount, memoryBytes } of found.partitions) {
      expect(memoryBytes / (liveCount + removedCount)).toBeGreaterThan(100);
      expect(memoryBytes / (liveCount + removedCount)).toBeLessThan(2000);
    }
    expect(found.targetHitRate).toBe(0.999);
    expect(found.candidateLists.map(({ probes, state }) => [probes, state])).toEqual(
      ['finger', 'fingers', 'face', 'finger+face'].map((probes) => [probes, CandidateListsState.FIXED]),
    );
  });

  it('aborts at the deadline', async () => {
    const outcome = call(
      running.identification,
      running.identification.identify.bind(running.identification),
      identifyRequest(samplesOf(120, 1)),
      { deadline: Date.now() - 1 },
    );
    expect(await refused(outcome)).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  });

  it('searches everything when a partial answer is allowed but there is time', async () => {
    const { subject } = await enrolPerson(running, 130);
    const request = { ...identifyRequest(samplesOf(130, 1)), allowPartial: true };
    const answer = await call(
      running.identification,
      running.identification.identify.bind(running.identification),
      request,
      { deadline: Date.now() + 20_000 },
    );
    expect(answer).toMatchObject({ searchedFraction: 1, searchMode: SearchMode.EXACT, index: undefined });
    expect(first(answer)).toBe(subject?.subjectId);
  });

  it('serves health checks and Prometheus metrics', async () => {
    const at = `http://127.0.0.1:${running.service.httpPort}`;
    expect((await fetch(`${at}/livez`)).status).toBe(200);
    expect(await (await fetch(`${at}/readyz`)).json()).toEqual({ readiness: 'ready', detail: '' });
    expect((await fetch(`${at}/nowhere`)).status).toBe(404);
    expect((await fetch(`${at}/livez`, { method: 'POST' })).status).toBe(405);
  });

  it('counts calls, refusals and its contents', async () => {
    const names = [
      'ridgewatch_grpc_calls_total{method="Identification/Identify",code="OK"}',
      'ridgewatch_refused_total{reason="TRUNCATED"}',
      'ridgewatch_subjects',
      'ridgewatch_references{partition="finger:2"}',
      'ridgewatch_references{partition="face:synthetic-512:512"}',
      'ridgewatch_ready',
    ];
    const figures = async () => {
      const text = await metricsOf(running);
      const lines = text.split('\n');
      return names.map((name) => Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length) ?? 0));
    };
    const [calls, refusals, subjects, fingers, faces, ready] = await figures();
    expect(ready).toBe(1);
    await enrolPerson(running, 140);
    await identify(samplesOf(140, 1));
    const cut = { ...samplesOf(141, 0)[0], data: Buffer.from('FMR') };
    expect(await refused(enroll([cut]))).toMatchObject({ reason: 'TRUNCATED' });
    expect(await figures()).toEqual([calls + 1, refusals + 1, subjects + 1, fingers + 1, faces + 1, 1]);
  });

  it('holds the same gallery after a restart', async () => {
    const { subject } = await enrolPerson(running, 150);
    const before = await status();
    const found = await identify(samplesOf(150, 1), EVERYBODY);
    expect(first(found)).toBe(subject?.subjectId);
    await running.stop();
    running = await runService(url);
    const after = await status();
    expect([after.galleryVersion, after.subjectCount, after.referenceCount]).toEqual([
      before.galleryVersion,
      before.subjectCount,
      before.referenceCount,
    ]);
    const again = await identify(samplesOf(150, 1), EVERYBODY);
    expect(again.candidates.map(({ subjectId, log10Fmr, scores }) => ({ subjectId, log10Fmr, scores }))).toEqual(
      found.candidates.map(({ subjectId, log10Fmr, scores }) => ({ subjectId, log10Fmr, scores })),
    );
  });
});
