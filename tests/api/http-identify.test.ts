/** Searches in JSON over HTTP return the same as searches over gRPC. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { callsOf, enrolPerson, runService, samplesOf, type RunningService, metricsOf } from './running-service.ts';

const JSON_BODY = { 'content-type': 'application/json' };
let cluster: TestCluster;
let running: RunningService;
const { identify } = callsOf(() => running);
const request = (person: number, changes: object = {}) => ({
  samples: samplesOf(person, 1).map((sample) => Sample.toJSON(sample)),
  purpose: 'PURPOSE_TEST',
  checkpoint_id: 'gate-1',
  ...changes,
});

async function post(body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const url = `http://127.0.0.1:${running.service.httpPort}/v1/identify`;
  const response = await fetch(url, {
    method: 'POST',
    body: text,
    headers: { ...JSON_BODY, ...running.headers, ...headers },
  });
  return { status: response.status, document: (await response.json()) as Record<string, unknown> };
}

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), {
    RIDGEWATCH_HTTP_IDENTIFY: 'true',
    RIDGEWATCH_MAX_MESSAGE_BYTES: '65536',
  });
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

describe('a search over HTTP', () => {
  it('finds the same subject as over gRPC with the same rate, and counts as the same method', async () => {
    for (const person of [1, 2, 3]) await enrolPerson(running, person);
    const counted = async () => {
      const text = await metricsOf(running);
      return Number(
        /^ridgewatch_grpc_calls_total\{method="Identification\/Identify",code="OK"\} (\d+)$/m.exec(text)?.[1],
      );
    };
    const { candidates } = await identify(samplesOf(2, 1), { checkpointId: 'both-ways' });
    const before = await counted();
    const { status, document } = await post(request(2, { target_fpir: 0.01, checkpoint_id: 'both-ways' }));
    expect(status).toBe(200);
    expect(document.candidates).toMatchObject([
      { rank: 1, subject_id: candidates[0]?.subjectId, log10_fmr: candidates[0]?.log10Fmr },
    ]);
    expect(await counted()).toBe(before + 1);
    expect(running.log.filter((line) => line.includes('"both-ways"'))).toHaveLength(2);
  });

  it.each([
    ['no JSON', '{"samples":', 400, 'REQUEST_UNREADABLE'],
    ['an unknown field', request(1, { target_fpr: 0.1 }), 400, 'INVALID_REQUEST'],
    ['two thresholds', request(1, { targetFpir: 0.1, maxLog10Fmr: -3 }), 400, 'INVALID_REQUEST'],
    ['no purpose', request(1, { purpose: null }), 400, 'INVALID_REQUEST'],
    ['no sample', request(1, { samples: [] }), 400, 'INVALID_REQUEST'],
    ['a list', [], 400, 'INVALID_REQUEST'],
  ])('refuses %s with the reason', async (_, body, status, reason) => {
    expect(await post(body)).toMatchObject({ status, document: { error: { reason } } });
  });

  it('counts and logs requests refused before a search begins, without their content', async () => {
    const before = running.log.length;
    expect((await post('{"samples":[],"samples":[]}')).document).toMatchObject({ error: { reason: 'FIELD_REPEATED' } });
    expect((await post({ 'Jane Kowalski': 1 })).status).toBe(400);
    expect((await post('{}', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post('{}', { origin: 'http://kowalski.example' })).status).toBe(403);
    const metrics = await metricsOf(running);
    for (const reason of ['FIELD_REPEATED', 'CONTENT_TYPE_UNSUPPORTED', 'ORIGIN_REFUSED'])
      expect(metrics).toContain(`ridgewatch_refused_total{reason="${reason}"} 1`);
    const lines = running.log.slice(before);
    expect(lines.map((line) => (JSON.parse(line) as { reason: string }).reason)).toEqual([
      'FIELD_REPEATED',
      'INVALID_REQUEST',
      'CONTENT_TYPE_UNSUPPORTED',
      'ORIGIN_REFUSED',
    ]);
    expect(lines.join('').toLowerCase()).not.toContain('kowalski');
  });

  it('limits its answer to the size of a gRPC answer, or fails with ANSWER_TOO_LARGE', async () => {
    for (let i = 0; i < 12; i++) await enrolPerson(running, 50);
    const all = { max_candidates: 500, explain: true, max_log10_fmr: 0 };
    const { status, document } = await post(request(50, all));
    expect([status, document.error]).toMatchObject([429, { code: 'RESOURCE_EXHAUSTED', reason: 'ANSWER_TOO_LARGE' }]);
    expect((await post(request(50, { ...all, max_candidates: 1 }))).status).toBe(200);
    const line = running.log.find((text) => text.includes('ANSWER_TOO_LARGE'));
    expect(JSON.parse(line ?? '{}')).toMatchObject({ code: 'RESOURCE_EXHAUSTED', method: 'Identification/Identify' });
  });

  it('enforces the limits on size, time and method', async () => {
    expect((await post(`{"x": "${'y'.repeat(70_000)}"}`)).status).toBe(413);
    expect(await post(request(1), { 'x-timeout-ms': '0.001' })).toMatchObject({
      status: 504,
      document: { error: { reason: 'DEADLINE_EXCEEDED' } },
    });
    expect((await post(request(1), { 'x-timeout-ms': 'soon' })).status).toBe(400);
    const url = `http://127.0.0.1:${running.service.httpPort}/v1/identify`;
    expect((await fetch(url)).status).toBe(405);
  });

  it('is disabled by default, and refused on any address but loopback', async () => {
    const url = await cluster.createDatabase();
    const plain = await runService(url);
    const refused = await fetch(`http://127.0.0.1:${plain.service.httpPort}/v1/identify`, {
      method: 'POST',
      body: '{}',
    });
    expect(refused.status).toBe(404);
    await plain.stop();
    for (const changes of [{ RIDGEWATCH_HTTP_HOST: '0.0.0.0' }, { RIDGEWATCH_HTTP_HOST: '192.0.2.7' }])
      await expect(runService(url, { RIDGEWATCH_HTTP_IDENTIFY: 'true', ...changes })).rejects.toMatchObject({
        reason: 'PLAINTEXT_REFUSED',
      });
  });
});
