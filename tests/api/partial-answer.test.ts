/** Partial answers when the deadline nears, over gRPC. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SearchMode, type IdentifyRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { isStopped } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  enrolPerson,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the pool that it was called on
const { scan } = WorkerPool.prototype;
let cluster: TestCluster;
let running: RunningService;
let subjectId: string;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  subjectId = (await enrolPerson(running, 1)).subject?.subjectId ?? '';
  for (const person of [2, 3]) await enrolPerson(running, person);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

/**
 * Searches while the threads are slow: before the time is up, only the references of the first finger are scanned. All
 * other tasks begin only after the service itself has stopped the scan.
 */
async function searchSlowly<T>(search: () => Promise<T>): Promise<T> {
  let tasks = 0;
  WorkerPool.prototype.scan = async function (task, segment) {
    const isFirst = tasks++ === 0;
    // Ends with the search at the latest: an aborted search is stopped in the same way.
    while (!isFirst && !isStopped(task.stop)) await new Promise((next) => setTimeout(next, 1));
    return scan.call(this, task, segment);
  };
  return search().finally(() => (WorkerPool.prototype.scan = scan));
}

function identifyWithin(milliseconds: number, changes: Partial<IdentifyRequest>) {
  const { identification } = running;
  const request = identifyRequest(samplesOf(1, 1), changes);
  const deadline = Date.now() + milliseconds;
  return call(identification, identification.identify.bind(identification), request, { deadline });
}

// Repeated when the machine stalled for half a second, the time reserved for the answer.
it('a partial answer returns the searched fraction and the candidates found in it', { retry: 2 }, async () => {
  const answer = await searchSlowly(() => identifyWithin(2000, { allowPartial: true, clientRequestId: 'partly' }));
  // One of three parts: the first finger of all subjects, without the second finger and the face.
  expect(answer.searchedFraction).toBeCloseTo(1 / 3, 9);
  expect(answer).toMatchObject({ requestId: 'partly', searchMode: SearchMode.EXACT, subjectsSearched: 3 });
  // A candidate found by one finger is scored with all samples.
  expect(answer.candidates[0]).toMatchObject({ subjectId, rank: 1 });
  expect(answer.candidates[0]?.scores).toHaveLength(3);
  const lines = running.log.map((line) => JSON.parse(line) as { request_id?: string; searched_fraction?: number });
  const line = lines.find(({ request_id }) => request_id === 'partly');
  expect(line?.searched_fraction).toBeCloseTo(1 / 3, 9);
});

it('is only given when the request allows it: otherwise the deadline ends the search', async () => {
  const refusal = await refused(searchSlowly(() => identifyWithin(500, { allowPartial: false })));
  expect(refusal).toMatchObject({ code: 4 });
});

it('is complete when there is time', async () => {
  expect(await identifyWithin(20_000, { allowPartial: true })).toMatchObject({ searchedFraction: 1 });
});
