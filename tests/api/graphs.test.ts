/** Graphs in a whole service: built by the rule `graph`, beside its searches. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { callsOf, enrolPerson, runService, samplesOf, type RunningService, metricsOf } from './running-service.ts';

/** Above the smallest partition that gets a graph. */
const PEOPLE = 530;

let cluster: TestCluster;
let running: RunningService;
beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), {
    RIDGEWATCH_CANDIDATES: 'graph',
    RIDGEWATCH_DEMO: 'always',
    RIDGEWATCH_DEMO_SUBJECTS: String(PEOPLE),
  });
}, 60_000);
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

async function metric(name: string): Promise<number | undefined> {
  const text = await metricsOf(running);
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

it('every partition that is not small gets a graph, which follows the changes of the gallery', async () => {
  const of = (name: string) => metric(`ridgewatch_graph_${name}{partition="finger:2"}`);
  await expect.poll(() => of('ready'), { timeout: 60_000 }).toBe(1);
  await expect.poll(() => of('references'), { timeout: 30_000 }).toBe(PEOPLE);
  expect(await of('bytes')).toBeGreaterThan(PEOPLE * 500);
  const { subject } = await enrolPerson(running, 1);
  await expect.poll(() => of('references'), { timeout: 30_000 }).toBe(PEOPLE + 1);
  const { identify, expunge } = callsOf(() => running);
  const found = await identify(samplesOf(1, 1));
  expect(found.candidates[0]?.subjectId).toBe(subject?.subjectId);
  await expunge(subject?.subjectId ?? '');
  expect((await identify(samplesOf(1, 1))).candidates).toEqual([]);
  await expect.poll(() => of('references'), { timeout: 30_000 }).toBe(PEOPLE);
}, 150_000);
