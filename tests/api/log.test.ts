import { afterAll, beforeAll, expect, it } from 'vitest';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { IdentifyStreamRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { frame, openSession, rawCall } from './raw-call.ts';
import {
  call,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  verifyRequest,
  type RunningService,
  metricsOf,
} from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
});
afterAll(() => cluster.stop());

/** Every scalar of an answer, as text. */
function leaves(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)];
  return Object.values(value).flatMap(leaves);
}

it('has a line for each call, and nothing that identifies a person', async () => {
  const { gallery, identification, operations } = running;
  const data = {
    contributor: 'agency',
    externalId: 'file-4711-kowalski',
    galleries: ['main'],
    caveats: ['X-EYES-ONLY'],
    provenance: Provenance.CONTROLLED,
    ...UNLIMITED,
  };
  const request = enrolRequest(samplesOf(1, 0), { data, clientRequestId: 'req-1' });
  const { subject } = await call(gallery, gallery.enroll.bind(gallery), request);
  const subjectId = subject?.subjectId ?? '';
  await refused(call(gallery, gallery.enroll.bind(gallery), { ...request, clientRequestId: 'req-2' }));
  const found = await call(
    identification,
    identification.identify.bind(identification),
    identifyRequest(samplesOf(1, 1), { clientRequestId: 'search-1', explain: true }),
  );
  const verified = await call(
    identification,
    identification.verify.bind(identification),
    verifyRequest(samplesOf(1, 1), { $case: 'subjectId', value: subjectId }, { explain: true }),
  );
  const broken = { ...samplesOf(1, 1)[0], data: Buffer.from('FMR\0 20\0 the data of Kowalski') };
  await refused(call(identification, identification.identify.bind(identification), identifyRequest([broken])));
  await call(operations, operations.getStatus.bind(operations), {});
  await call(gallery, gallery.expungeSubject.bind(gallery), { subjectId, reason: 'asked by Kowalski' });
  await running.stop();

  const text = running.log.join('');
  const lines = running.log.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(found.candidates).toHaveLength(1);
  expect(lines.filter(({ msg }) => msg === 'call').map(({ method, code, reason }) => [method, code, reason])).toEqual([
    ['Gallery/Enroll', 'OK', undefined],
    ['Gallery/Enroll', 'ALREADY_EXISTS', 'EXTERNAL_ID_TAKEN'],
    ['Identification/Identify', 'OK', undefined],
    ['Identification/Verify', 'OK', undefined],
    ['Identification/Identify', 'INVALID_ARGUMENT', expect.any(String)],
    ['Operations/GetStatus', 'OK', undefined],
    ['Gallery/ExpungeSubject', 'OK', undefined],
  ]);
  expect(lines.find(({ request_id }) => request_id === 'search-1')).toMatchObject({
    checkpoint_id: 'gate-1',
    purpose: 'test',
    sample_count: 3,
    candidate_count: 1,
  });

  // Ids, names and caveats; scores and rates of both answers; templates in the usual encodings.
  const scores = [...found.candidates, verified].flatMap(({ log10Fmr, scores: each }) => [
    log10Fmr,
    ...each.flatMap(({ score, log10Fmr: rate }) => [score, rate]),
  ]);
  const explained = [...found.candidates, verified].flatMap(({ scores: each }) =>
    each.flatMap(({ explanation }) => explanation ?? []),
  );
  expect(explained).toHaveLength(4);
  const points = explained
    .flatMap(({ alignment, terms }) => [...leaves(alignment), ...terms.map((term) => String(term.points))])
    .filter((number) => number.length > 5);
  const forbidden = [
    subjectId,
    ...leaves(subject?.references.map(({ referenceId }) => referenceId)),
    'kowalski',
    'Kowalski',
    '4711',
    'EYES-ONLY',
    ...['explanation', 'pairs', 'alignment', 'farther-edge'],
    ...points,
    ...scores.filter((score) => Math.abs(score) > 99).map(String),
    ...scores.filter((score) => !Number.isInteger(score)).map(String),
    ...samplesOf(1, 0).flatMap(({ data: bytes }) => [
      bytes.toString('base64').slice(40, 60),
      bytes.toString('hex').slice(60, 90),
      [...bytes.subarray(30, 40)].join(','),
    ]),
  ];
  for (const word of forbidden) expect(text).not.toContain(word);
});

it('limits the lines of equal refusals and answers; the metrics count each call', async () => {
  const busy = await runService(await cluster.createDatabase());
  const session = openSession(busy.service.grpcPort);
  const served = identifyRequest(samplesOf(1, 1), { clientRequestId: 'served' });
  const one = frame(IdentifyStreamRequest.encode({ request: served }).finish());
  const body = Buffer.concat([Buffer.alloc(5 * 1000), one, Buffer.alloc(5 * 1000), one]);
  await rawCall(session, '/ridgewatch.v1.Identification/IdentifyStream', body);
  for (let i = 0; i < 150; i++) await rawCall(session, '/ridgewatch.v1.Gallery/GetSubject', frame(Buffer.alloc(0)));
  for (let i = 0; i < 150; i++) await rawCall(session, '/ridgewatch.v1.Operations/GetStatus', frame(Buffer.alloc(0)));
  session.destroy();
  const metrics = await metricsOf(busy);
  await busy.stop();

  const lines = busy.log.map((line) => JSON.parse(line) as Record<string, unknown>);
  const about = (method: string, code: string) =>
    lines.filter((line) => line['method'] === method && line['code'] === code).length;
  const counted = (method: string, code: string) =>
    Number(new RegExp(`calls_total\\{method="${method}",code="${code}"\\} (\\d+)`).exec(metrics)?.[1]);
  for (const [method, code, count] of [
    ['Identification/IdentifyStream', 'INVALID_ARGUMENT', 2000],
    ['Gallery/GetSubject', 'INVALID_ARGUMENT', 150],
    ['Operations/GetStatus', 'OK', 150],
  ] as const) {
    expect(counted(method, code)).toBe(count);
    // A hundred in ten seconds.
    expect(about(method, code)).toBeGreaterThanOrEqual(100);
    expect(about(method, code)).toBeLessThan(150);
  }
  expect(about('Identification/IdentifyStream', 'OK')).toBe(2);
});
