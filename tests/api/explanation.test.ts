import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import { MinutiaType } from '../../src/contract/generated/ridgewatch/v1/explanation.ts';
import type {
  IdentifyStreamResponse,
  VerifyRequest,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Modality, type SampleScore } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  callsOf,
  enrolPerson,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;
let subjectId: string;
const { identify, verify } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  subjectId = (await enrolPerson(running, 1)).subject?.subjectId ?? '';
  await enrolPerson(running, 2);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

function expectExplained(scores: readonly SampleScore[]): void {
  expect(scores.map(({ modality }) => modality)).toEqual([Modality.FINGER, Modality.FINGER, Modality.FACE]);
  for (const { modality, score, explanation } of scores) {
    if (modality === Modality.FACE) {
      expect(explanation).toBeUndefined();
      continue;
    }
    expect(explanation?.score).toBe(score);
    const { pairs = [], alignment, terms = [] } = explanation ?? {};
    expect(alignment === undefined).toBe(pairs.length === 0);
    for (const { probe } of pairs) expect(Object.values(MinutiaType)).toContain(probe?.type);
    const sum = terms.reduce((total, { points }) => total + points, 0);
    if (score > 0) expect(Math.abs(sum - score)).toBeLessThanOrEqual(1);
  }
}

const withoutExplanations = (scores: readonly SampleScore[]) =>
  scores.map((score) => ({ ...score, explanation: undefined }));

it('explains the finger scores of the candidates on request', async () => {
  const plain = await identify(samplesOf(1, 1));
  const found = await identify(samplesOf(1, 1), { explain: true });
  expect(found.candidates[0]?.subjectId).toBe(subjectId);
  expectExplained(found.candidates[0]?.scores ?? []);
  const [itself] = (await identify(samplesOf(1, 0), { explain: true })).candidates;
  expectExplained(itself?.scores ?? []);
  for (const { explanation } of itself?.scores.slice(0, 2) ?? []) {
    expect(explanation?.pairs.length).toBeGreaterThan(10);
    for (const { probe, reference } of explanation?.pairs ?? []) expect(probe).toEqual(reference);
  }
  expect(plain.candidates[0]?.scores).toEqual(withoutExplanations(found.candidates[0]?.scores ?? []));
});

it('explains a comparison with a subject and with reference samples in the same way', async () => {
  const claim = { $case: 'subjectId', value: subjectId } as const;
  const enrolled = await verify(samplesOf(1, 1), claim, { explain: true });
  expectExplained(enrolled.scores);
  const sent = { $case: 'referenceSamples', value: { samples: samplesOf(1, 0) } } as const;
  const direct = await verify(samplesOf(1, 1), sent, { explain: true });
  expect(direct.scores.map(({ explanation }) => explanation)).toEqual(
    enrolled.scores.map(({ explanation }) => explanation),
  );
  expect((await verify(samplesOf(1, 1), sent)).scores).toEqual(withoutExplanations(direct.scores));
});

it('explains the candidates of a stream', async () => {
  const stream = running.identification.identifyStream();
  const answer = new Promise<IdentifyStreamResponse>((done, fail) => stream.on('data', done).on('error', fail));
  stream.write({ request: identifyRequest(samplesOf(1, 1), { clientRequestId: 'a', explain: true }) });
  const { outcome } = await answer;
  stream.end();
  expectExplained(outcome?.$case === 'response' ? (outcome.value.candidates[0]?.scores ?? []) : []);
});

it('refuses a finger with too few minutiae with the same reason as without an explanation', async () => {
  const record = createPerson(77, 900).fingerImpression(2, 0);
  const views = record.views.map((view) => ({ ...view, minutiae: view.minutiae.slice(0, 3) }));
  const faint = { ...samplesOf(900, 0)[0], data: Buffer.from(encodeIso197942({ ...record, views })) };
  const claim = { $case: 'subjectId', value: subjectId } as const;
  expect(await refused(verify([faint], claim, { explain: true }))).toMatchObject({ reason: 'NOT_COMPARABLE' });
  expect(await refused(identify([faint], { explain: true }))).toMatchObject({ reason: 'NOT_COMPARABLE' });
  const faintReference = { $case: 'referenceSamples', value: { samples: [faint] } } satisfies VerifyRequest['claim'];
  expect((await verify(samplesOf(1, 1), faintReference, { explain: true })).scores).toEqual([]);
});
