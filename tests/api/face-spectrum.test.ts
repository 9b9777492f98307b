/** A service that has learned how the enrolled faces of a model lie. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { Provenance, type EnrollStreamResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Purpose, type IdentifyStreamResponse } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { SPECTRUM_FACES } from '../../src/matching/search/face-learning.ts';
import { Random } from '../../src/random.ts';
import { DEMO_FACE_MODEL } from '../../src/service/demo-gallery.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import {
  call,
  callsOf,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  verifyRequest,
  type RunningService,
} from './running-service.ts';
import { readStatus } from '../../src/api/status.ts';

let cluster: TestCluster;
let running: RunningService;
const clients = registeredClients(() => running);
const { status } = callsOf(() => running);
const [, , FACE] = samplesOf(1, 1);
if (FACE === undefined) throw new Error('there is no face');

/** A sample with other components. */
function faceWith(component: (k: number) => number): Sample {
  const data = Buffer.alloc(4 * (FACE?.dimension ?? 0));
  for (let k = 0; k < data.length / 4; k++) data.writeFloatLE(component(k), 4 * k);
  return { ...FACE, data };
}

const enrolled = (person: number) => {
  const values = createPerson(4711, person).faceEmbedding(0);
  return faceWith((k) => values[k]);
};
const random = new Random(3);
/** Passes for an embedding by itself, and lies as no enrolled face does. */
const noise = faceWith(() => random.normal());

async function enrolAll(): Promise<void> {
  const finished = new Promise<EnrollStreamResponse>((resolve, reject) => {
    const stream = running.gallery.enrollStream((error, response) =>
      error === null ? resolve(response) : reject(error),
    );
    void (async () => {
      for (let person = 0; person < SPECTRUM_FACES; person++) {
        const { data } = enrolRequest([]);
        const record = {
          ...enrolRequest([enrolled(person)]),
          data: data && { ...data, provenance: Provenance.CONTROLLED },
        };
        if (!stream.write({ record })) await once(stream, 'drain');
      }
      stream.end();
    })();
  });
  expect((await finished).enrolledCount).toBe(SPECTRUM_FACES);
}

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), { RIDGEWATCH_HTTP_IDENTIFY: 'true' });
  await enrolAll();
  const isLearned = async () => (await spectra())?.faceCount === SPECTRUM_FACES;
  await vi.waitUntil(isLearned, { timeout: 20_000, interval: 100 });
}, 90_000);
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const spectra = async () => (await status()).faceSpectra.find(({ modelId }) => modelId === DEMO_FACE_MODEL);
const isRefused = {
  reason: 'SAMPLE_IMPLAUSIBLE',
  violations: [expect.objectContaining({ field: 'samples[0].data' }) as unknown],
};

describe('a gallery with enough faces', () => {
  it('says so in its status and its log', async () => {
    expect(await spectra()).toMatchObject({ faceCount: SPECTRUM_FACES });
    expect(running.log.filter((line) => line.includes('held against its enrolled faces'))).toHaveLength(1);
  });

  it('refuses probes that lie as none of them: in a search, a comparison, a stream and over HTTP', async () => {
    const { identification, token } = await clients.as({ roles: [Role.EXAMINER] });
    const purpose = Purpose.INVESTIGATION;
    const search = identifyRequest([noise], { purpose });
    expect(await refused(call(identification, identification.identify.bind(identification), search))).toMatchObject(
      isRefused,
    );
    const { subjects } = await call(running.gallery, running.gallery.listSubjects.bind(running.gallery), {
      gallery: '',
      contributor: '',
      pageSize: 1,
      pageToken: '',
    });
    const claim = { $case: 'subjectId', value: subjects[0]?.subjectId ?? '' } as const;
    const comparison = verifyRequest([noise], claim, { purpose });
    expect(await refused(call(identification, identification.verify.bind(identification), comparison))).toMatchObject(
      isRefused,
    );
    const stream = identification.identifyStream();
    stream.write({ request: { ...search, clientRequestId: 'a' } });
    const [{ outcome }] = (await once(stream, 'data')) as [IdentifyStreamResponse];
    stream.end();
    expect(outcome?.$case === 'error' && readStatus(outcome.value)).toMatchObject({ reason: 'SAMPLE_IMPLAUSIBLE' });
    const response = await fetch(`http://127.0.0.1:${running.service.httpPort}/v1/identify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ samples: [Sample.toJSON(noise)], purpose: 'PURPOSE_INVESTIGATION', checkpoint_id: 'g' }),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { reason: 'SAMPLE_IMPLAUSIBLE' } });
  });

  it('takes faces of other people, and anything in a test on synthetic records', async () => {
    const { identification } = await clients.as({ roles: [Role.EXAMINER] });
    const search = (samples: Sample[], purpose: Purpose) =>
      call(identification, identification.identify.bind(identification), identifyRequest(samples, { purpose }));
    for (let person = 5000; person < 5020; person++)
      expect(await search([enrolled(person)], Purpose.INVESTIGATION)).toMatchObject({
        subjectsSearched: SPECTRUM_FACES,
      });
    await search([noise], Purpose.TEST);
  });

  it('enrols faces that lie otherwise: an enrolment tells nothing, and a person must not be left out', async () => {
    const { gallery } = running;
    const request = enrolRequest([noise]);
    const { subject } = await call(gallery, gallery.enroll.bind(gallery), request);
    const subjectId = subject?.subjectId ?? '';
    expect(subjectId).not.toBe('');
    // Other tests count the subjects.
    await call(gallery, gallery.expungeSubject.bind(gallery), { subjectId, reason: 'test' });
  });
});
