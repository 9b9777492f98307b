import { status as Code } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EnrollStreamResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Modality, TemplateFormat, type Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { readStatus } from '../../src/api/status.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  enrolRequest,
  type identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

const { identify, verify, enroll, update, expunge, status } = callsOf(() => running);

describe('bad input', () => {
  const finger = () => samplesOf(99, 0)[0];
  const face = () => samplesOf(99, 0)[2];

  it.each<[string, Partial<Parameters<typeof identifyRequest>[1]>, string, string]>([
    ['no purpose', { purpose: 0 }, 'INVALID_REQUEST', 'purpose'],
    ['unknown purpose', { purpose: 99 as 1 }, 'INVALID_REQUEST', 'purpose'],
    ['no checkpoint', { checkpointId: '' }, 'INVALID_REQUEST', 'checkpoint_id'],
    ['checkpoint with a space', { checkpointId: 'gate 1' }, 'INVALID_REQUEST', 'checkpoint_id'],
    ['too many candidates', { maxCandidates: 501 }, 'INVALID_REQUEST', 'max_candidates'],
    ['FPIR above its range', { threshold: { $case: 'targetFpir', value: 0.9 } }, 'INVALID_REQUEST', 'target_fpir'],
    ['FPIR that is no number', { threshold: { $case: 'targetFpir', value: NaN } }, 'INVALID_REQUEST', 'target_fpir'],
    ['gallery named twice', { galleries: ['a', 'a'] }, 'INVALID_REQUEST', 'galleries'],
  ])('in the request is refused with its field: %s', async (_, changes, reason, field) => {
    const status = await refused(identify([finger()], changes));
    expect(status).toMatchObject({ code: Code.INVALID_ARGUMENT, reason });
    expect(status.violations[0]?.field).toBe(field);
  });

  it.each<[string, () => Sample, number, string, string]>([
    ['no format', () => ({ ...finger(), format: 0 }), Code.INVALID_ARGUMENT, 'UNKNOWN_FORMAT', 'samples[0].format'],
    [
      'unknown format',
      () => ({ ...finger(), format: 77 as 1 }),
      Code.INVALID_ARGUMENT,
      'UNKNOWN_FORMAT',
      'samples[0].format',
    ],
    [
      'wrong modality',
      () => ({ ...finger(), modality: Modality.FACE }),
      Code.INVALID_ARGUMENT,
      'MODALITY_MISMATCH',
      'samples[0].modality',
    ],
    [
      'empty template',
      () => ({ ...finger(), data: Buffer.alloc(0) }),
      Code.INVALID_ARGUMENT,
      'DATA_MISSING',
      'samples[0].data',
    ],
    [
      'cut template',
      () => ({ ...finger(), data: finger().data.subarray(0, 50) }),
      Code.INVALID_ARGUMENT,
      'TRUNCATED',
      'samples[0].data',
    ],
    [
      'wrong position',
      () => ({ ...finger(), fingerPosition: 9 }),
      Code.INVALID_ARGUMENT,
      'POSITION_CONTRADICTS_RECORD',
      'samples[0].finger_position',
    ],
    [
      'unknown model',
      () => ({ ...face(), modelId: 'other' }),
      Code.FAILED_PRECONDITION,
      'UNKNOWN_MODEL',
      'samples[0].model_id',
    ],
    [
      'wrong dimension',
      () => ({ ...face(), dimension: 256, data: face().data.subarray(0, 1024) }),
      Code.INVALID_ARGUMENT,
      'WRONG_DIMENSION',
      'samples[0].dimension',
    ],
    [
      'NaN',
      () => ({ ...face(), data: Buffer.concat([Buffer.from([0, 0, 192, 127]), face().data.subarray(4)]) }),
      Code.INVALID_ARGUMENT,
      'NOT_FINITE',
      'samples[0].data',
    ],
    [
      'captured tomorrow',
      () => ({ ...finger(), captureTime: new Date(Date.now() + 86_400_000) }),
      Code.INVALID_ARGUMENT,
      'CAPTURE_TIME_INVALID',
      'samples[0].capture_time',
    ],
    [
      'ISO bytes as INCITS',
      () => ({ ...finger(), format: TemplateFormat.INCITS_378_2004 }),
      Code.INVALID_ARGUMENT,
      'FORMAT_CONTRADICTS_RECORD',
      'samples[0].format',
    ],
  ])('in a sample is refused with the path of its field: %s', async (_, sample, code, reason, field) => {
    for (const ask of [identify, enroll]) {
      const status = await refused(ask([sample()]));
      expect(status).toMatchObject({ code, reason });
      expect(status.violations[0]?.field).toBe(field);
      if (field.endsWith('data') && reason !== 'DATA_MISSING')
        expect(Number(status.metadata.byte_offset)).toBeGreaterThanOrEqual(0);
    }
  });

  it('with an expiry after the year 9999 is refused', async () => {
    const { data } = enrolRequest([]);
    const expireTime = new Date(Date.UTC(12_000, 0));
    const status = await refused(enroll([finger()], { data: data && { ...data, expireTime } }));
    expect(status.violations[0]?.field).toBe('data.expire_time');
  });

  it('leaves the store unchanged', async () => {
    const before = await status();
    await refused(enroll([finger(), { ...face(), modelId: 'other' }]));
    const after = await status();
    expect([after.storeVersion, after.subjectCount, after.referenceCount]).toEqual([
      before.storeVersion,
      before.subjectCount,
      before.referenceCount,
    ]);
  });

  it('in other calls is refused as well', async () => {
    expect(await refused(expunge('nobody'))).toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(await refused(expunge('00000000-0000-4000-8000-000000000000'))).toMatchObject({ code: Code.NOT_FOUND });
    expect(await refused(verify([finger()], undefined))).toMatchObject({ code: Code.INVALID_ARGUMENT });
    const list = (request: Parameters<typeof running.gallery.listSubjects>[0]) =>
      call(running.gallery, running.gallery.listSubjects.bind(running.gallery), request);
    expect(await refused(list({ gallery: '', contributor: '', pageSize: 5000, pageToken: '' }))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    expect(await refused(list({ gallery: '', contributor: '', pageSize: 5, pageToken: 'made-up' }))).toMatchObject({
      reason: 'PAGE_TOKEN_INVALID',
    });
    expect(
      await refused(
        update({
          subjectId: '00000000-0000-4000-8000-000000000000',
          expectedVersion: 0,
          data: undefined,
          samples: [],
          updateMask: ['data.contributor'],
        }),
      ),
    ).toMatchObject({ code: Code.INVALID_ARGUMENT });
  });
});

describe('the limits that an operator sets', () => {
  it('are enforced: quality of a sample, length of a stream', async () => {
    const strict = await runService(await cluster.createDatabase(), {
      RIDGEWATCH_MINIMUM_QUALITY: '100',
      RIDGEWATCH_MAX_STREAM_RECORDS: '2',
    });
    const { gallery } = strict;
    const good = samplesOf(1, 0);
    const outcome = call(gallery, gallery.enroll.bind(gallery), enrolRequest(good));
    expect(await refused(outcome)).toMatchObject({ code: Code.FAILED_PRECONDITION, reason: 'QUALITY_TOO_LOW' });
    const answer = await new Promise<EnrollStreamResponse>((resolve, reject) => {
      const call = gallery.enrollStream((error, response) => (error === null ? resolve(response) : reject(error)));
      for (let i = 0; i < 4; i++) call.write({ record: enrolRequest(good.slice(2), { clientRequestId: `r-${i}` }) });
      call.end();
    });
    // The answer has an outcome for each processed record; the last outcome says why the others were not read.
    expect(answer).toMatchObject({ enrolledCount: 2, refusedCount: 1, endedEarly: true });
    expect(
      answer.outcomes.map(({ clientRequestId, outcome }) => [
        clientRequestId,
        outcome?.$case === 'error' ? readStatus(outcome.value).reason : outcome?.$case,
      ]),
    ).toEqual([
      ['r-0', 'subjectId'],
      ['r-1', 'subjectId'],
      ['', 'TOO_MANY_RECORDS'],
    ]);
    await strict.stop();
  });
});
