/** Two examiners decide about the candidates of a search, independently; a supervisor where they disagree. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import { ClientKind, Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import {
  CandidateConclusion,
  CaseFinding,
  CaseState,
  ConclusionReason,
  ProbeValue,
  type CandidateDecision,
  type ReviewCase,
} from '../../src/contract/generated/ridgewatch/v1/cases.ts';
import { Provenance, type GalleryClient } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Purpose, type IdentifyRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Keys } from '../../src/security/keys.ts';
import { isOfProbe, ReceiptSigner, verifyReceipt } from '../../src/security/receipts.ts';
import { UNLIMITED } from '../../src/store/records.ts';
import { renewCases } from '../../src/store/renewed-cases.ts';
import { TemplateKeys } from '../../src/store/template-keys.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients, type ActingClient } from './registered-clients.ts';
import {
  call,
  dataDirectoryOf,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
let database: pg.Client;
let subjectId: string;
let secretId: string;
const clients = registeredClients(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
  database = new pg.Client({ connectionString: url });
  await database.connect();
  subjectId = await enrol(1, 'watched');
  secretId = await enrol(2, 'secret', ['SECRET']);
});
afterAll(async () => {
  clients.close();
  await database.end();
  await running.stop();
  await cluster.stop();
});

async function enrol(person: number, gallery: string, caveats: string[] = [], by?: GalleryClient): Promise<string> {
  const to = by ?? running.gallery;
  const { subject } = await call(to, to.enroll.bind(to), {
    ...enrolRequest(samplesOf(person, 0)),
    data: {
      ...{ contributor: 'owner', externalId: '', galleries: [gallery], caveats, provenance: Provenance.CONTROLLED },
      ...UNLIMITED,
    },
  });
  return subject?.subjectId ?? '';
}

const gate = (clearance = 0) => clients.as({ agency: 'border', clearance });
const examiner = (changes: Parameters<typeof clients.as>[0] = {}) =>
  clients.as({ kind: ClientKind.PERSON, agency: 'border', roles: [Role.EXAMINER], ...changes });
const supervisor = () => examiner({ roles: [Role.SUPERVISOR] });

async function search({ identification }: ActingClient, changes: Partial<IdentifyRequest> = {}, person = 1) {
  return call(
    identification,
    identification.identify.bind(identification),
    identifyRequest(samplesOf(person, 1), {
      ...{ purpose: Purpose.BORDER_CHECK, galleries: ['watched'], openCase: true },
      ...changes,
    }),
  );
}

/** A new case about the person of the gallery `watched`. */
const opened = async () => (await search(await gate())).caseId;

type Judged = Pick<CandidateDecision, 'conclusion' | 'reason'>;

const get = async ({ sharing }: ActingClient, caseId: string) =>
  shown(await call(sharing, sharing.getCase.bind(sharing), { caseId }));
const analyse = async ({ sharing }: ActingClient, caseId: string, text = 'a note') =>
  shown(
    await call(sharing, sharing.submitAnalysis.bind(sharing), {
      ...{ caseId, value: ProbeValue.SUFFICIENT, usableMinutiae: 30, text },
    }),
  );
const CONFIRMED: Judged = { conclusion: CandidateConclusion.CONFIRMED, reason: ConclusionReason.CORRESPONDING_DETAIL };
const EXCLUDED: Judged = { conclusion: CandidateConclusion.EXCLUDED, reason: ConclusionReason.DIFFERING_DETAIL };
const decide = async ({ sharing }: ActingClient, caseId: string, how = CONFIRMED, of = subjectId) =>
  shown(
    await call(sharing, sharing.decide.bind(sharing), { caseId, decisions: [{ subjectId: of, ...how, text: 'why' }] }),
  );
const escalate = async ({ sharing }: ActingClient, caseId: string) =>
  shown(await call(sharing, sharing.escalate.bind(sharing), { caseId, reason: 'a relative of mine' }));
const report = ({ sharing }: ActingClient, caseId: string, of = subjectId) =>
  call(sharing, sharing.reportOutcome.bind(sharing), {
    ...{ caseId, subjectId: of, finding: CaseFinding.SAME_PERSON, text: '' },
  });
const list = (
  { sharing }: ActingClient,
  changes: { state?: CaseState; pageSize?: number; afterCaseId?: string } = {},
) =>
  call(sharing, sharing.listCases.bind(sharing), {
    ...{ agency: '', state: CaseState.UNSPECIFIED, pageSize: 0, afterCaseId: '', ...changes },
  });

function shown({ reviewCase }: { reviewCase?: ReviewCase | undefined }): ReviewCase {
  if (reviewCase === undefined) throw new Error('an answer without a case');
  return reviewCase;
}

const stored = async (caseId: string) => {
  const { rows } = await database.query<{ probe: Buffer | null; probe_key: Buffer | null; state: string }>(
    'SELECT probe, probe_key, state FROM review_case WHERE case_id = $1',
    [caseId],
  );
  return rows[0];
};

describe('a search', () => {
  it('opens a case about its candidates, with the probe encrypted', async () => {
    const caseId = await opened();
    expect(caseId).toMatch(/^[0-9a-f-]{36}$/);
    const row = await stored(caseId);
    expect(row?.state).toBe('open');
    for (const { data } of samplesOf(1, 1)) expect(row?.probe?.includes(data.subarray(0, 64))).toBe(false);
  });

  it('opens none where it is not asked to, where there is no candidate, and where the client may not', async () => {
    const at = await gate();
    expect((await search(at, { openCase: false })).caseId).toBe('');
    expect((await search(at, {}, 40)).caseId).toBe('');
    const engineer = await clients.as({ roles: [Role.ENGINEER] });
    expect(await refused(search(engineer, { purpose: Purpose.TEST }))).toMatchObject({
      reason: 'ACTION_NOT_PERMITTED',
    });
    expect(await refused(search(at, { maxCandidates: 51 }))).toMatchObject({ reason: 'INVALID_REQUEST' });
  });
});

describe('two examiners', () => {
  it('see the probe alone first, and nothing of each other before both have decided', async () => {
    const caseId = await opened();
    const [one, two] = [await examiner(), await examiner()];
    const first = await get(one, caseId);
    expect(first).toMatchObject({ state: CaseState.OPEN, candidateCount: 1, candidates: [], examinerCount: 0 });
    expect(first.probe.map(({ data }) => Buffer.from(data))).toEqual(
      samplesOf(1, 1).map(({ data }) => Buffer.from(data)),
    );
    expect(await refused(decide(one, caseId))).toMatchObject({ reason: 'ANALYSIS_REQUIRED' });

    expect(await analyse(one, caseId)).toMatchObject({ candidates: [{ subjectId, rank: 1, contributor: 'owner' }] });
    await decide(one, caseId);
    for (const seen of [await get(two, caseId), await analyse(two, caseId, 'another note')]) {
      expect(seen).toMatchObject({ state: CaseState.OPEN, reviews: [] });
      expect(JSON.stringify(seen)).not.toContain(one.clientId);
    }
    expect(await get(one, caseId)).toMatchObject({ analyses: [{ text: 'a note' }], reviews: [{}] });

    const closed = await decide(two, caseId);
    expect(closed).toMatchObject({ state: CaseState.CLOSED, probe: [], analyses: [{}, {}] });
    expect(closed.reviews.map(({ clientId }) => clientId)).toEqual([one.clientId, two.clientId]);
    expect(await stored(caseId)).toMatchObject({ probe: null, probe_key: null });
    const signer = ReceiptSigner.read(undefined, dataDirectoryOf(url));
    const content = verifyReceipt(closed.probeReceipt, signer.publicKey);
    expect(isOfProbe(content) && content.state).toBe('closed');
    expect(running.log.join()).not.toContain(subjectId);
  });

  it('decide once, and a third one not at all, also when all come at once', async () => {
    const caseId = await opened();
    const all = [await examiner(), await examiner(), await examiner()];
    const outcomes = await Promise.allSettled(all.map((one) => analyse(one, caseId)));
    const lost = outcomes.findIndex(({ status }) => status === 'rejected');
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    const [late] = all.splice(lost, 1);
    if (late === undefined) throw new Error('none was refused');
    expect(await refused(analyse(late, caseId))).toMatchObject({ reason: 'CASE_TAKEN' });
    expect(await refused(decide(late, caseId))).toMatchObject({ reason: 'CASE_TAKEN' });
    expect(await get(late, caseId)).toMatchObject({ probe: [], candidates: [] });
    const [one, two] = all as [ActingClient, ActingClient];
    const twice = await Promise.allSettled([decide(one, caseId), decide(one, caseId, EXCLUDED)]);
    expect(twice.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await refused(decide(one, caseId))).toMatchObject({ reason: 'CASE_STEP_REPEATED' });
    expect(await refused(decide(two, caseId, CONFIRMED, secretId))).toMatchObject({ reason: 'DECISIONS_INCOMPLETE' });
  });

  it('are neither the client that searched nor one that enrolled a candidate', async () => {
    const searching = await examiner();
    const { caseId } = await search(searching, { purpose: Purpose.INVESTIGATION });
    const denied = { code: Code.PERMISSION_DENIED, reason: 'CASE_NOT_INDEPENDENT' };
    expect(await refused(analyse(searching, caseId))).toMatchObject(denied);
    expect((await get(searching, caseId)).probe).toEqual([]);
    const enrolling = await examiner({ agency: 'owner', roles: [Role.EXAMINER, Role.CONTRIBUTOR] });
    await enrol(3, 'enrolled', [], enrolling.gallery);
    const { caseId: other } = await search(await clients.as({ agency: 'owner' }), { galleries: ['enrolled'] }, 3);
    expect(await refused(analyse(enrolling, other))).toMatchObject(denied);
  });

  it('are persons of the agency that may see all candidates', async () => {
    const caseId = await opened();
    const unknown = { code: Code.NOT_FOUND, reason: 'CASE_NOT_FOUND' };
    const foreign = await examiner({ agency: 'elsewhere' });
    expect(await refused(get(foreign, caseId))).toMatchObject(unknown);
    expect(await refused(analyse(foreign, caseId))).toMatchObject(unknown);
    expect(await refused(analyse(await examiner({ kind: ClientKind.MACHINE }), caseId))).toMatchObject({
      reason: 'ACTION_NOT_PERMITTED',
    });
    const { caseId: ofSecret } = await search(await gate(3), { galleries: ['secret'] }, 2);
    const uncleared = await examiner();
    expect(await refused(analyse(uncleared, ofSecret))).toMatchObject({ reason: 'CASE_RECORDS_WITHHELD' });
    expect(await get(uncleared, ofSecret)).toMatchObject({ withheldCount: 1, probe: [], candidates: [] });
    expect(await analyse(await examiner({ clearance: 3 }), ofSecret)).toMatchObject({
      candidates: [{ subjectId: secretId }],
    });
  });
});

describe('a supervisor', () => {
  it('decides where examiners disagree, and sees both', async () => {
    const caseId = await opened();
    const [one, two, third] = [await examiner(), await examiner(), await supervisor()];
    for (const by of [one, two]) await analyse(by, caseId);
    await decide(one, caseId);
    expect(await get(third, caseId)).toMatchObject({ probe: [], candidates: [], reviews: [] });
    expect(await decide(two, caseId, EXCLUDED)).toMatchObject({ state: CaseState.CONFLICT, reviews: [{}, {}] });
    const seen = await get(third, caseId);
    expect(seen.probe).not.toEqual([]);
    expect(seen.reviews.map(({ clientId }) => clientId)).toEqual([one.clientId, two.clientId]);
    expect(await refused(decide(await examiner(), caseId))).toMatchObject({ reason: 'ACTION_NOT_PERMITTED' });
    expect(await decide(third, caseId, EXCLUDED)).toMatchObject({
      state: CaseState.CLOSED,
      resolution: { clientId: third.clientId, decisions: [{ conclusion: CandidateConclusion.EXCLUDED }] },
    });
    const { rows } = await database.query<{ entry: string }>(
      "SELECT entry FROM audit_record WHERE client_id = $1 AND entry::json->'facts'->>'case_id' = $2 ORDER BY seq",
      [third.clientId, caseId],
    );
    expect(rows.map(({ entry }) => JSON.parse(entry) as AuditRecord)).toMatchObject([
      { method: 'Sharing/GetCase', subjects: [] },
      { method: 'Sharing/GetCase', subjects: [subjectId] },
      { method: 'Sharing/Decide', action: 'decide-conflict', subjects: [subjectId], outcome: 'OK' },
    ]);
  });

  it('decides what an examiner hands over, and is none of the examiners', async () => {
    const caseId = await opened();
    const both = await examiner({ roles: [Role.EXAMINER, Role.SUPERVISOR] });
    expect(await refused(escalate(both, caseId))).toMatchObject({ reason: 'ANALYSIS_REQUIRED' });
    await analyse(both, caseId);
    expect(await escalate(both, caseId)).toMatchObject({ state: CaseState.ESCALATED });
    expect(await refused(decide(both, caseId))).toMatchObject({ reason: 'CASE_NOT_INDEPENDENT' });
    expect(await decide(await supervisor(), caseId)).toMatchObject({
      state: CaseState.CLOSED,
      escalation: { reason: 'a relative of mine' },
    });
  });
});

describe('afterwards', () => {
  it('the agency and the owner report what was found out, and no one does before', async () => {
    const caseId = await opened();
    const [one, two] = [await examiner(), await examiner()];
    await analyse(one, caseId);
    expect(await refused(report(one, caseId))).toMatchObject({ reason: 'CASE_STATE_WRONG' });
    await analyse(two, caseId);
    for (const by of [one, two]) await decide(by, caseId);
    await report(one, caseId);
    await report(await clients.as({ agency: 'owner', roles: [Role.CONTRIBUTOR] }), caseId);
    const foreign = await clients.as({ agency: 'elsewhere', roles: [Role.CONTRIBUTOR] });
    expect(await refused(report(foreign, caseId))).toMatchObject({ reason: 'CASE_NOT_FOUND' });
    expect(await refused(report(one, caseId, secretId))).toMatchObject({ reason: 'CANDIDATE_UNKNOWN' });
    const { outcomes } = await get(two, caseId);
    expect(outcomes.map(({ agency }) => agency)).toEqual(['border', 'owner']);
  });

  it('a case whose time is up has expired, and its probe is destroyed', async () => {
    const caseId = await opened();
    const one = await examiner();
    await analyse(one, caseId);
    // An early end is a change of the row: it takes the probe, and the case stays unusable.
    await database.query("UPDATE review_case SET expire_time = now() - interval '1 hour' WHERE case_id = $1", [caseId]);
    await expect.poll(() => stored(caseId), { timeout: 10_000 }).toMatchObject({ probe: null, state: 'expired' });
    expect(await refused(get(one, caseId))).toMatchObject({ reason: 'CASE_DAMAGED' });
  });
});

describe('in the database', () => {
  it('what was changed decides nothing', async () => {
    const one = await examiner();
    const edits = [
      "state = 'conflict'",
      "agency = 'border2'",
      "facts = replace(facts, 'gate-1', 'gate-2')",
      "mac = ''",
    ];
    for (const edit of edits) {
      const caseId = await opened();
      await database.query(`UPDATE review_case SET ${edit} WHERE case_id = $1`, [caseId]);
      expect(await refused(analyse(one, caseId)), edit).toMatchObject({ reason: 'CASE_DAMAGED' });
    }
    const caseId = await opened();
    await analyse(one, caseId);
    await database.query("INSERT INTO case_step VALUES ($1, 1, '{}')", [caseId]);
    expect(await refused(decide(one, caseId))).toMatchObject({ reason: 'CASE_DAMAGED' });
    await expect(database.query('DELETE FROM case_step WHERE case_id = $1', [caseId])).rejects.toThrow('append-only');
    const page = await list(one, { pageSize: 100 });
    expect(page.damagedCaseIds).toContain(caseId);
  });

  it('a rotation of the keys leaves cases as they are', async () => {
    const caseId = await opened();
    const one = await examiner();
    const before = await get(one, caseId);
    const keys = new Keys({ keyFile: undefined, dataDir: dataDirectoryOf(url) });
    keys.read();
    const pool = new pg.Pool({ connectionString: url });
    const keyId = await new TemplateKeys(pool, keys).rotate(new Date());
    await renewCases(pool, keys);
    await pool.end();
    const sql = 'SELECT mac_key_id, probe_key_id FROM review_case WHERE case_id = $1';
    const { rows } = await database.query(sql, [caseId]);
    expect(rows).toEqual([{ mac_key_id: keyId, probe_key_id: keyId }]);
    expect(await get(one, caseId)).toEqual(before);
  });
});

it('cases are listed in pages and by state, without what is blind', async () => {
  const agency = 'listing';
  const at = await clients.as({ agency });
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) ids.push((await search(at)).caseId);
  const [one, two] = [await examiner({ agency }), await examiner({ agency })];
  for (const by of [one, two]) {
    await analyse(by, ids[1] ?? '');
    await decide(by, ids[1] ?? '');
  }
  await analyse(one, ids[2] ?? '');
  const paged: ReviewCase[] = [];
  for (let afterCaseId = ''; ;) {
    const page = await list(two, { pageSize: 1, afterCaseId });
    paged.push(...page.cases);
    afterCaseId = page.nextAfterCaseId;
    if (afterCaseId === '') break;
  }
  expect(paged.map(({ caseId }) => caseId)).toEqual(ids);
  expect(paged.every((one) => one.analyses.length + one.reviews.length + one.candidates.length === 0)).toBe(true);
  const closed = await list(two, { state: CaseState.CLOSED });
  expect(closed.cases.map(({ caseId }) => caseId)).toEqual([ids[1]]);
});
