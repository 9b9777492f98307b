/** A service that loses its database, and gets it back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { startLine, type Line } from '../line.ts';
import {
  callsOf,
  enrolPerson,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

let cluster: TestCluster;
let line: Line;
let running: RunningService;
const { identify, verify, expunge, status } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  line = await startLine(await cluster.createDatabase());
  running = await runService(line.url);
});
afterAll(async () => {
  await running.stop();
  line.close();
  await cluster.stop();
});

describe('while its database is unreachable', () => {
  it('a service searches from memory, refuses writes, and recovers by itself afterwards', async () => {
    const id = (await enrolPerson(running, 1)).subject?.subjectId ?? '';
    line.cut();
    const { candidates } = await identify(samplesOf(1, 1));
    expect(candidates[0]?.subjectId).toBe(id);
    expect(await verify(samplesOf(1, 1), { $case: 'subjectId', value: id })).toMatchObject({ scores: [{}, {}, {}] });
    for (const write of [() => enrolPerson(running, 2), () => expunge(id)]) {
      const refusal = await refused(write());
      expect(refusal).toMatchObject({ reason: 'STORE_UNAVAILABLE', code: 14 });
      expect(refusal.retryAfterMs).toBeGreaterThan(0);
    }
    // Refused writes have no effect.
    expect(await status()).toMatchObject({ subjectCount: 1 });
    expect((await identify(samplesOf(2, 1))).candidates).toEqual([]);
    expect((await identify(samplesOf(1, 1))).candidates[0]?.subjectId).toBe(id);

    const at = `http://127.0.0.1:${running.service.httpPort}`;
    const readiness = async () => (await fetch(`${at}/readyz`)).json() as Promise<object>;
    const metrics = () => metricsOf(running);
    await expect.poll(readiness, { timeout: 15_000 }).toMatchObject({
      readiness: 'ready',
      writing: false,
      detail: expect.stringContaining('Searching, not writing') as string,
    });
    await expect.poll(metrics).toContain('ridgewatch_store_writable 0');
    expect(await status()).toMatchObject({ storeReachable: false, storeWritable: false });
    expect(running.log.some((line) => line.includes('the store takes no changes'))).toBe(true);

    line.mend();
    const enrolled = await enrolPerson(running, 2);
    expect(enrolled.galleryVersion).toBe(2);
    expect((await identify(samplesOf(2, 1))).candidates[0]?.subjectId).toBe(enrolled.subject?.subjectId);
    await expunge(id);
    expect((await identify(samplesOf(1, 1))).candidates).toEqual([]);
    await expect.poll(readiness, { timeout: 15_000 }).toEqual({ readiness: 'ready', detail: '' });
    expect(await status()).toMatchObject({ storeReachable: true, storeWritable: true });
  });
});
