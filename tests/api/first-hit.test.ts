/** Searches that may be answered early, in a whole service. */
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  IndexWay,
  SearchMode,
  type IdentifyRequest,
  type IdentifyResponse,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Band, Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { isStopped } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  callsOf,
  enrolPerson,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

const PEOPLE = 40;
const STRANGER = 900;
/** An index of a gallery that is small compared with its shortlist misses nobody, and is exact. */
const FEW = { min: 10, perCandidate: 0, share: 0, ranked: 1.5 };

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the pool that it was called on
const { encode, compare } = WorkerPool.prototype;
// eslint-disable-next-line @typescript-eslint/unbound-method -- put back
const { choose } = Planner.prototype;
// eslint-disable-next-line @typescript-eslint/unbound-method -- put back
const { note } = IndexAudit.prototype;
let cluster: TestCluster;
let running: RunningService;
let ids: string[];
/** Searches recorded for the audit. */
let noted = 0;
const calls = callsOf(() => running);
const identify = (person: number, changes: Partial<IdentifyRequest> = {}) =>
  calls.identify(samplesOf(person, 1), { firstHit: true, ...changes });

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), {
    RIDGEWATCH_HTTP_IDENTIFY: 'true',
    RIDGEWATCH_INDEX_AUDIT_SHARE: '1',
  });
  const people = Array.from({ length: PEOPLE }, (_, person) => enrolPerson(running, person));
  ids = (await Promise.all(people)).map(({ subject }) => subject?.subjectId ?? '');
  let pool: WorkerPool | undefined;
  WorkerPool.prototype.encode = function (templates) {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the pool of the service
    pool = this;
    return encode.call(this, templates);
  };
  IndexAudit.prototype.note = function (...given) {
    noted++;
    note.apply(this, given);
  };
  Planner.prototype.choose = function (...given) {
    return given[2] || pool === undefined ? choose.apply(this, given) : new IndexedScan(pool, FEW);
  };
});
const releases: (() => void)[] = [];
afterEach(() => {
  WorkerPool.prototype.compare = compare;
  // The audit repeats searches meanwhile, and is held as well.
  for (const release of releases.splice(0)) release();
});
afterAll(async () => {
  Object.assign(WorkerPool.prototype, { encode });
  Object.assign(Planner.prototype, { choose });
  Object.assign(IndexAudit.prototype, { note });
  await running.stop();
  await cluster.stop();
});

const subjectsOf = ({ candidates }: IdentifyResponse) => candidates.map(({ subjectId }) => subjectId);

/** Holds the comparisons that follow those with the most similar subjects. */
function holdTheRest() {
  const { promise, resolve } = Promise.withResolvers<void>();
  let held = 0;
  WorkerPool.prototype.compare = async function (task, segments) {
    if (task.minSupport !== undefined) {
      held++;
      // Ends with the search at the latest.
      while (!(task.stop && isStopped(task.stop)) && !(await Promise.race([promise.then(() => true), nextTurn()])));
    }
    return compare.call(this, task, segments);
  };
  releases.push(resolve);
  return { go: resolve, held: () => held };
}
const nextTurn = () => new Promise<false>((resolve) => setImmediate(() => resolve(false)));

async function metric(name: string): Promise<number> {
  const text = await metricsOf(running);
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

describe('a search with first_hit', () => {
  it('is answered early with a strong candidate, as a candidate list like any other', async () => {
    const rest = holdTheRest();
    const early = await identify(7, { explain: true });
    expect(early).toMatchObject({ early: true, band: Band.STRONG_CANDIDATE, searchMode: SearchMode.INDEXED });
    expect(early).toMatchObject({ subjectsSearched: PEOPLE, truncated: false });
    expect(subjectsOf(early)).toEqual([ids[7]]);
    // Two of forty subjects were compared, one fifth of the shortlist.
    expect(early.searchedFraction).toBeCloseTo(2 / PEOPLE, 9);
    expect(early.index).toMatchObject({ way: IndexWay.CODES, audit: undefined });
    expect(early.index?.penetration).toBe(early.searchedFraction);
    expect(early.candidates[0]?.scores[0]?.explanation?.pairs.length).toBeGreaterThan(5);
    rest.go();
    const complete = await identify(7, { firstHit: false, explain: true });
    expect(complete).toMatchObject({ early: false, searchedFraction: 1, index: { way: IndexWay.CODES } });
    expect(complete.index?.audit).toBeDefined();
    expect(complete.candidates[0]).toEqual(early.candidates[0]);
    expect([complete.thresholdLog10Fmr, complete.fpir]).toEqual([early.thresholdLog10Fmr, early.fpir]);
  });

  it('is answered completely where nobody is strong', async () => {
    const answer = await identify(STRANGER);
    expect(answer).toMatchObject({ early: false, searchedFraction: 1, candidates: [], band: Band.NO_CANDIDATE });
  });

  it('over HTTP has the same answer', async () => {
    const body = { samples: samplesOf(7, 1).map((sample) => Sample.toJSON(sample)), first_hit: true };
    const answer = await fetch(`http://127.0.0.1:${running.service.httpPort}/v1/identify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...running.headers },
      body: JSON.stringify({ ...body, purpose: 'PURPOSE_TEST', checkpoint_id: 'gate-1' }),
    });
    expect(answer.status).toBe(200);
    const document = (await answer.json()) as object;
    expect(document).toMatchObject({ early: true, index: { way: 'INDEX_WAY_CODES' } });
    expect(document).toMatchObject({ candidates: [{ subject_id: ids[7] }] });
  });

  it('is refused together with exact', async () => {
    const refusal = await refused(identify(7, { exact: true }));
    expect(refusal).toMatchObject({ reason: 'INVALID_REQUEST', violations: [{ field: 'first_hit' }] });
    expect(await identify(7, { exact: true, firstHit: false })).toMatchObject({ early: false });
  });

  it('is counted by the time to its first answer, logged, and audited like any other: as a complete search', async () => {
    const counts = () =>
      Promise.all([
        metric('ridgewatch_first_hit_seconds_count{outcome="early"}'),
        metric('ridgewatch_first_hit_seconds_count{outcome="complete"}'),
        metric('ridgewatch_searches_total{way="codes"}'),
      ]);
    const auditedSearches = async () => (await calls.status()).indexAudit?.searches ?? 0;
    await identify(STRANGER, { firstHit: false });
    await expect.poll(auditedSearches).toBe(noted);
    const [before, audited] = [await counts(), noted];
    const auditedMates = (await calls.status()).indexAudit?.candidates ?? 0;
    await identify(8, { clientRequestId: 'counted-early' });
    await identify(9, { clientRequestId: 'counted-early-too' });
    await identify(STRANGER, { clientRequestId: 'counted-complete' });
    // Were only those without an early answer repeated, the audit would count few mates but the difficult ones.
    expect(noted).toBe(audited + 3);
    await expect.poll(auditedSearches).toBe(noted);
    expect((await calls.status()).indexAudit?.candidates).toBe(auditedMates + 2);
    expect((await counts()).map((count, i) => count - (before[i] ?? 0))).toEqual([2, 1, 3]);
    const { indexAudits } = await calls.status();
    expect(indexAudits).toMatchObject([{ modalities: [1, 2], way: IndexWay.CODES, missesTarget: false }]);
    const lines = running.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    const lineOf = (id: string) => lines.find(({ request_id }) => request_id === id);
    expect(lineOf('counted-early')).toMatchObject({ early: true, search_way: 'codes' });
    expect(lineOf('counted-complete')).toMatchObject({ early: false, search_way: 'codes' });
    expect(lineOf('counted-early')?.first_hit_ms).toBeGreaterThanOrEqual(0);
  });
});

describe('a search with first_hit in a stream', () => {
  const openStream = () => {
    const stream = running.identification.identifyStream();
    const answers: { id: string; response: IdentifyResponse | undefined }[] = [];
    stream.on('data', ({ requestId: id, outcome }: IdentifyStreamResponse) =>
      answers.push({ id, response: outcome?.$case === 'response' ? outcome.value : undefined }),
    );
    const ask = (person: number, id: string) =>
      void stream.write({ request: identifyRequest(samplesOf(person, 1), { clientRequestId: id, firstHit: true }) });
    return { stream, answers, ask };
  };

  it('has an early answer while it is still searching, and then the complete one', async () => {
    const rest = holdTheRest();
    const { stream, answers, ask } = openStream();
    ask(11, 'a');
    stream.end();
    await expect.poll(() => answers.length).toBe(1);
    await expect.poll(rest.held).toBeGreaterThan(0);
    expect(answers).toMatchObject([{ id: 'a', response: { requestId: 'a', early: true } }]);
    rest.go();
    await once(stream, 'end');
    expect(answers).toHaveLength(2);
    const [early, final] = answers.map(({ response }) => response);
    expect(final).toMatchObject({ requestId: 'a', early: false, searchedFraction: 1 });
    expect(final?.candidates).toEqual(early?.candidates);
  });

  it('has one answer where nobody is strong', async () => {
    const { stream, answers, ask } = openStream();
    ask(STRANGER, 'a');
    stream.end();
    await once(stream, 'end');
    expect(answers).toMatchObject([{ id: 'a', response: { early: false, candidates: [] } }]);
  });

  it('does not have a subject in its complete answer that was expunged after the early one', async () => {
    const person = PEOPLE - 1;
    const rest = holdTheRest();
    const { stream, answers, ask } = openStream();
    ask(person, 'a');
    await expect.poll(() => answers.length).toBe(1);
    expect(answers[0]?.response?.candidates[0]?.subjectId).toBe(ids[person]);
    await calls.expunge(ids[person] ?? '');
    rest.go();
    await expect.poll(() => answers.length).toBe(2);
    stream.end();
    expect(answers[1]).toMatchObject({ id: 'a', response: { early: false, candidates: [] } });
    await enrolPerson(running, person);
  });

  it('ends when the caller cancels after the early answer', async () => {
    const rest = holdTheRest();
    const { stream, answers, ask } = openStream();
    stream.on('error', () => undefined);
    ask(12, 'cancelled-after-early');
    await expect.poll(() => answers.length).toBe(1);
    await expect.poll(rest.held).toBeGreaterThan(0);
    stream.cancel();
    const lines = () => running.log.filter((line) => line.includes('"cancelled-after-early"'));
    await expect.poll(lines).toHaveLength(1);
    expect(JSON.parse(lines()[0] ?? '')).toMatchObject({ code: 'CANCELLED' });
    expect(answers).toHaveLength(1);
    rest.go();
  });
});
