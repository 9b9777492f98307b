/**
 * Unusual samples from devices: accepted, with warnings in every answer, counted, logged without data, and equal after
 * a restart.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syntheticOriginals } from '../../bench/mutations/originals.ts';
import { createPerson } from '../../fixtures/person.ts';
import { Provenance, type EnrollStreamResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Modality, TemplateFormat, type Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { call, callsOf, refused, runService, type RunningService, metricsOf } from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let database: string;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  database = await cluster.createDatabase();
  running = await runService(database);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const { identify, verify, enroll, update } = callsOf(() => running);
const contentHash = () => call(running.operations, running.operations.getContentHash.bind(running.operations), {});

const person = createPerson(42, 1);
const FINGER_QUALITY = 26;

function finger(data: Uint8Array, format: TemplateFormat = TemplateFormat.ISO_19794_2_2005): Sample {
  return {
    modality: Modality.FINGER,
    format,
    data: Buffer.from(data),
    fingerPosition: 0,
    quality: 0,
    modelId: '',
    dimension: 0,
    captureTime: undefined,
  };
}

/** Padded, and without a stated quality. */
function odd(capture: number): Sample {
  const record = person.fingerRecord(2, capture);
  record[FINGER_QUALITY] = 254;
  return finger(Buffer.concat([record, Buffer.alloc(40)]));
}

/** Four views of unequal resolution: angles are stretched, which rounds them. */
function unequal(): Sample {
  const [, , , several] = syntheticOriginals(43, 1);
  if (several === undefined) throw new Error('no record of several views');
  return finger(several.data, TemplateFormat.INCITS_378_2004);
}

it('unusual samples are enrolled, found, and reported in the warnings of every answer', async () => {
  const plain = finger(person.fingerRecord(7, 0));
  const { subject, warnings } = await enroll([plain, odd(0)]);
  const end = person.fingerRecord(2, 0).length;
  expect(warnings).toMatchObject([
    { sampleIndex: 1, viewIndex: 0, code: 'QUALITY_NOT_STATED', byteOffset: FINGER_QUALITY },
    { sampleIndex: 1, viewIndex: 0, code: 'PADDED', byteOffset: end },
  ]);
  const found = await identify([odd(1), plain]);
  expect(found.candidates[0]?.subjectId).toBe(subject?.subjectId);
  expect(found.samples.map((sample) => sample.warnings.map(({ code }) => code))).toEqual([
    ['QUALITY_NOT_STATED', 'PADDED'],
    [],
  ]);
  const verified = await verify([plain], {
    $case: 'referenceSamples',
    value: { samples: [plain, odd(0)] },
  });
  expect(verified.referenceWarnings.map(({ sampleIndex, code }) => [sampleIndex, code])).toEqual([
    [1, 'QUALITY_NOT_STATED'],
    [1, 'PADDED'],
  ]);
  const updated = await update({
    subjectId: subject?.subjectId ?? '',
    expectedVersion: 0,
    data: undefined,
    samples: [odd(2)],
    updateMask: ['samples'],
  });
  expect(updated.warnings).toHaveLength(2);
  const metrics = await metricsOf(running);
  expect(metrics).toContain('ridgewatch_sample_warnings_total{code="PADDED"} 4');
  expect(metrics).toContain('ridgewatch_sample_warnings_total{code="QUALITY_NOT_STATED"} 4');
  const lines = running.log.filter((entry) => entry.includes('Gallery/Enroll"'));
  expect(lines.join('')).toContain('"warnings":"PADDED QUALITY_NOT_STATED"');
});

describe('an expire time', () => {
  const plain = finger(person.fingerRecord(7, 0));
  const PAST = new Date('2001-02-03T04:05:06Z');
  const dataUntil = (expireTime: Date | undefined) => ({ ...base, ...UNLIMITED, expireTime });
  const base = {
    contributor: 'agency',
    externalId: '',
    galleries: ['main'],
    caveats: [],
    provenance: Provenance.SYNTHETIC,
  };
  const counted = async () => {
    const metrics = await metricsOf(running);
    return Number(/ridgewatch_sample_warnings_total\{code="EXPIRED_ALREADY"\} (\d+)/.exec(metrics)?.[1] ?? 0);
  };
  const stream = (expireTime: Date) =>
    new Promise<EnrollStreamResponse>((resolve, reject) => {
      const open = running.gallery.enrollStream((error, response) =>
        error === null ? resolve(response) : reject(error),
      );
      open.end({ record: { data: dataUntil(expireTime), samples: [plain], clientRequestId: '' } });
    });
  const updated = async (subjectId: string, expireTime: Date | undefined, path = 'data.expire_time') =>
    (await update({ subjectId, expectedVersion: 0, data: dataUntil(expireTime), samples: [], updateMask: [path] }))
      .warnings;

  it('in the past returns a warning, is counted and logged, however it is set', async () => {
    const before = await counted();
    const { subject, warnings } = await enroll([plain], { data: dataUntil(PAST) });
    const told = [expect.objectContaining({ code: 'EXPIRED_ALREADY', field: 'data.expire_time', sampleIndex: 0 })];
    expect(warnings).toEqual(told);
    expect((await stream(PAST)).outcomes).toMatchObject([{ warnings: ['EXPIRED_ALREADY'] }]);
    const id = subject?.subjectId ?? '';
    expect(await updated(id, new Date(Date.now() - 1000))).toEqual(told);
    expect(await counted()).toBe(before + 3);
    for (const method of ['Gallery/Enroll', 'Gallery/UpdateSubject'])
      expect(running.log.filter((line) => line.includes(`"${method}"`)).at(-1)).toContain('EXPIRED_ALREADY');
    // A field outside the update mask is not checked.
    expect(await updated(id, PAST, 'data.caveats')).toEqual([]);
  });

  it('in the future, or none, returns no warning', async () => {
    const before = await counted();
    const { subject, warnings } = await enroll([plain], { data: dataUntil(new Date(Date.now() + 3_600_000)) });
    expect(warnings).toEqual([]);
    expect(await updated(subject?.subjectId ?? '', undefined)).toEqual([]);
    expect(await counted()).toBe(before);
  });

  it('for a review returns a warning of its own', async () => {
    const data = { ...base, ...UNLIMITED, reviewTime: PAST };
    const told = [expect.objectContaining({ code: 'REVIEW_OVERDUE', field: 'data.review_time', sampleIndex: 0 })];
    const { subject, warnings } = await enroll([plain], { data });
    expect(warnings).toEqual(told);
    const change = (reviewTime: Date | undefined) => ({
      subjectId: subject?.subjectId ?? '',
      expectedVersion: 0,
      data: { ...data, reviewTime },
      samples: [],
      updateMask: ['data.review_time'],
    });
    expect((await update(change(PAST))).warnings).toEqual(told);
    expect((await update(change(undefined))).warnings).toEqual([]);
  });

  it('before the year 1900 is refused', async () => {
    for (const time of ['0001-01-01T00:00:00Z', '1899-12-31T23:59:59Z']) {
      const status = await refused(enroll([plain], { data: dataUntil(new Date(time)) }));
      expect(status).toMatchObject({
        reason: 'INVALID_REQUEST',
        violations: [{ field: 'data.expire_time', description: 'must not be before the year 1900' }],
      });
      const { outcomes } = await stream(new Date(time));
      expect(outcomes[0]?.outcome?.$case).toBe('error');
    }
    expect((await enroll([plain], { data: dataUntil(new Date('1900-01-01T00:00:00Z')) })).warnings).toHaveLength(1);
  });
});

it('a record labelled with another standard is refused', async () => {
  const sample = { ...unequal(), format: TemplateFormat.ISO_19794_2_2005 };
  const status = await refused(enroll([sample]));
  expect(status).toMatchObject({ reason: 'FORMAT_CONTRADICTS_RECORD' });
  expect(status.violations[0]?.field).toBe('samples[0].format');
});

it('records of several views of unequal resolution are equal before and after a restart', async () => {
  await enroll([unequal()]);
  const before = await contentHash();
  await running.stop();
  running = await runService(database);
  expect(await contentHash()).toEqual(before);
});
