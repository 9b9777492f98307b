/** The removal of any contributor's record by two administrators. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import { AccessClient, ClientKind, Role, type Client } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { GalleryClient, Provenance, type ExpungeProposal } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Keys } from '../../src/security/keys.ts';
import { insertProposal } from '../../src/store/expunge-proposal-rows.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients, type ActingClient } from './registered-clients.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let running: RunningService;
let keys: Keys;
let database: pg.Client;
let local: AccessClient;
const clients = registeredClients(() => running);
const { identify } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  const url = await cluster.createDatabase();
  running = await runService(url);
  keys = new Keys({ keyFile: undefined, dataDir: dataDirectoryOf(url) });
  keys.read();
  database = new pg.Client({ connectionString: url });
  await database.connect();
  local = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
});
afterAll(async () => {
  clients.close();
  await database.end();
  await running.stop();
  await cluster.stop();
});

const administrator = (changes: Partial<Client> = {}) =>
  clients.as({ kind: ClientKind.PERSON, agency: 'authority', roles: [Role.ADMINISTRATOR], purposes: [], ...changes });
const enrolOne = async (person: number, caveats: string[] = []) => {
  const data = {
    contributor: 'agency',
    externalId: '',
    galleries: ['main'],
    caveats,
    provenance: Provenance.CONTROLLED,
  };
  const { subject } = await enrolPerson(running, person, { data: { ...data, ...UNLIMITED } });
  return subject?.subjectId ?? '';
};
type Acting = Pick<ActingClient, 'clientId' | 'token' | 'gallery'>;
const propose = ({ gallery }: Acting, subjectId: string, reason = 'court order 12/26') =>
  call(gallery, gallery.proposeExpunge.bind(gallery), { subjectId, reason });
const proposed = async (by: Acting, subjectId: string): Promise<ExpungeProposal> => {
  const { proposal } = await propose(by, subjectId);
  if (proposal === undefined) throw new Error('an answer without a proposal');
  return proposal;
};
const approve = ({ gallery }: Acting, { proposalId }: Pick<ExpungeProposal, 'proposalId'>) =>
  call(gallery, gallery.approveExpunge.bind(gallery), { proposalId });
const list = ({ gallery }: Acting, afterProposalId = '', pageSize = 1000) =>
  call(gallery, gallery.listExpungeProposals.bind(gallery), { pageSize, afterProposalId });
const isStored = async (subjectId: string) =>
  (await database.query('SELECT FROM subject WHERE subject_id = $1', [subjectId])).rowCount === 1;
/** Registers a client, as another one than `local`. */
const addBy = async (by: Acting, clientId: string): Promise<Acting> => {
  const access = clients.clientOf(AccessClient, by.token);
  const { client } = await clients.add();
  if (client?.client === undefined) throw new Error('no client');
  const added = { ...client.client, clientId, kind: ClientKind.PERSON, roles: [Role.ADMINISTRATOR] };
  const credential = { how: { $case: 'token' as const, value: true }, ...UNLIMITED };
  const { token } = await call(access, access.addClient.bind(access), { client: added, credential });
  return { clientId, token, gallery: clients.clientOf(GalleryClient, token) };
};
const disable = (clientId: string) => call(local, local.disableClient.bind(local), { clientId, reason: 'a test' });

describe('two administrators', () => {
  it('remove a record of another agency, with a receipt and records in the audit that name both', async () => {
    const subjectId = await enrolOne(1);
    const [first, second] = [await administrator(), await administrator()];
    const proposal = await proposed(first, subjectId);
    expect(proposal).toMatchObject({ subjectId, subjectVersion: 1, contributor: 'agency', proposedBy: first.clientId });
    const life = (proposal.expireTime?.getTime() ?? 0) - (proposal.createTime?.getTime() ?? 0);
    expect(life).toBe(72 * 3_600_000);
    expect(await isStored(subjectId)).toBe(true);
    expect((await list(second)).proposals).toContainEqual(proposal);

    const answer = await approve(second, proposal);
    expect(answer).toMatchObject({ proposal, referencesRemoved: 3 });
    expect(await isStored(subjectId)).toBe(false);
    expect((await identify(samplesOf(1, 1))).candidates.map((one) => one.subjectId)).not.toContain(subjectId);
    const { rows: receipts } = await database.query<{ document: string }>(
      'SELECT r.document FROM receipt r JOIN change USING (seq) WHERE subject_id = $1',
      [subjectId],
    );
    expect(receipts.map(({ document }) => document)).toEqual([answer.receipt]);
    expect(JSON.parse(answer.receipt)).toMatchObject({
      content: { requested_by: first.clientId, approved_by: second.clientId, reason: 'court order 12/26' },
    });
    const { rows } = await database.query<{ entry: string }>(
      "SELECT entry FROM audit_record WHERE entry::json->'facts'->>'proposal_id' = $1 ORDER BY writer, seq",
      [proposal.proposalId],
    );
    const common = { kind: 'administration', subject_id: subjectId, outcome: 'OK' };
    expect(rows.map(({ entry }) => JSON.parse(entry) as AuditRecord)).toMatchObject([
      { ...common, method: 'Gallery/ProposeExpunge', client_id: first.clientId },
      {
        ...common,
        method: 'Gallery/ApproveExpunge',
        client_id: second.clientId,
        gallery_version: answer.galleryVersion,
        facts: { proposed_by: first.clientId },
      },
    ]);
    expect(await refused(approve(second, proposal))).toMatchObject({ reason: 'PROPOSAL_NOT_FOUND' });
    expect(running.log.join()).not.toContain(subjectId);
  });

  it('who approve at once remove it once', async () => {
    const subjectId = await enrolOne(2);
    const [first, second, third] = [await administrator(), await administrator(), await administrator()];
    const proposal = await proposed(first, subjectId);
    const outcomes = await Promise.allSettled([second, third, second, third].map((by) => approve(by, proposal)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const reasons = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as { reason: string }] : []));
    expect(reasons.map(({ reason }) => reason)).toEqual(Array(3).fill('PROPOSAL_NOT_FOUND'));
    const { rowCount } = await database.query(
      "SELECT FROM change JOIN receipt USING (seq) WHERE subject_id = $1 AND kind = 'expunge'",
      [subjectId],
    );
    expect(rowCount).toBe(1);
  });
});

describe('one person does not suffice', () => {
  const notIndependent = { code: Code.PERMISSION_DENIED, reason: 'APPROVER_NOT_INDEPENDENT' };

  it('to approve its own proposal, nor by a client that it registered or that registered it', async () => {
    const subjectId = await enrolOne(3);
    const first = await administrator();
    const puppet = await addBy(first, `${first.clientId}-puppet`);
    const own = await proposed(first, subjectId);
    const ofPuppet = await proposed(puppet, subjectId);
    for (const [by, proposal] of [[first, own] as const, [puppet, own] as const, [first, ofPuppet] as const])
      expect(await refused(approve(by, proposal))).toMatchObject(notIndependent);
    expect(await isStored(subjectId)).toBe(true);
  });

  it('by two clients behind which it stands, directly or through others', async () => {
    const subjectId = await enrolOne(4);
    const first = await administrator();
    const [left, right] = [await addBy(first, `${first.clientId}-l`), await addBy(first, `${first.clientId}-r`)];
    const further = await addBy(right, `${first.clientId}-rr`);
    const proposal = await proposed(left, subjectId);
    for (const by of [right, further]) expect(await refused(approve(by, proposal))).toMatchObject(notIndependent);
    expect(await refused(approve(further, await proposed(first, subjectId)))).toMatchObject(notIndependent);
    expect(await isStored(subjectId)).toBe(true);
  });

  it('by a credential that it gave the other one, also after it was revoked', async () => {
    const subjectId = await enrolOne(5);
    const [first, second] = [await administrator(), await administrator()];
    const access = clients.clientOf(AccessClient, first.token);
    const { client } = await call(access, access.rotateCredential.bind(access), {
      clientId: second.clientId,
      credential: { how: { $case: 'token', value: true }, ...UNLIMITED },
      overlapSeconds: 3600,
    });
    const proposal = await proposed(first, subjectId);
    expect(await refused(approve(second, proposal))).toMatchObject(notIndependent);
    const given = client?.credentials.find(({ createdBy }) => createdBy === first.clientId);
    await call(local, local.revokeCredential.bind(local), {
      clientId: second.clientId,
      credentialId: given?.credentialId ?? '',
    });
    expect(await refused(approve(second, proposal))).toMatchObject(notIndependent);
  });

  it('by editing a proposal in the database, or adding one', async () => {
    const subjectId = await enrolOne(6);
    const [first, second] = [await administrator(), await administrator()];
    const edits = {
      proposed_by: second.clientId,
      subject_id: await enrolOne(7),
      reason: 'another one',
      expire_time: new Date(Date.now() + 1e9),
      contributor: 'other',
      subject_version: 2,
      mac_key_id: 'none',
      mac: Buffer.alloc(32),
    };
    for (const [column, value] of Object.entries(edits)) {
      const proposal = await proposed(first, subjectId);
      const sql = `UPDATE expunge_proposal SET ${column} = $2 WHERE proposal_id = $1`;
      await database.query(sql, [proposal.proposalId, value]);
      const outcomes = [await refused(approve(first, proposal)), await refused(approve(second, proposal))];
      expect(outcomes, column).toMatchObject(Array(2).fill({ reason: 'PROPOSAL_DAMAGED' }));
      const page = await list(first);
      expect(page.damagedProposalIds).toContain(proposal.proposalId);
      expect(page.proposals.map(({ proposalId }) => proposalId)).not.toContain(proposal.proposalId);
    }
    const genuine = await proposed(first, subjectId);
    const copied = '0198c0de-0000-7000-8000-000000000001';
    await database.query(
      `INSERT INTO expunge_proposal SELECT $2, subject_id, subject_version, contributor, $3, reason, create_time,
         expire_time, mac, mac_key_id FROM expunge_proposal WHERE proposal_id = $1`,
      [genuine.proposalId, copied, second.clientId],
    );
    expect(await refused(approve(first, { proposalId: copied }))).toMatchObject({ reason: 'PROPOSAL_DAMAGED' });
    expect(await isStored(subjectId)).toBe(true);
  });
});

describe('a proposal', () => {
  it('is void after the subject was changed or removed', async () => {
    const [changed, removed] = [await enrolOne(8), await enrolOne(9)];
    const [first, second] = [await administrator(), await administrator()];
    const proposals = [await proposed(first, changed), await proposed(first, removed)];
    const { gallery } = running;
    await call(gallery, gallery.updateSubject.bind(gallery), {
      subjectId: changed,
      expectedVersion: 1,
      data: undefined,
      samples: samplesOf(8, 2),
      updateMask: ['samples'],
    });
    await callsOf(() => running).expunge(removed);
    for (const proposal of proposals)
      expect(await refused(approve(second, proposal))).toMatchObject({
        code: Code.FAILED_PRECONDITION,
        reason: 'PROPOSAL_OUTDATED',
      });
    expect(await isStored(changed)).toBe(true);
    // About the subject as it is now.
    await approve(second, await proposed(first, changed));
    expect(await isStored(changed)).toBe(false);
  });

  it('is void after its time', async () => {
    const subjectId = await enrolOne(10);
    const [first, second] = [await administrator(), await administrator()];
    const { createTime, expireTime, ...rest } = await proposed(first, subjectId);
    const earlier = (time: Date | undefined) => new Date((time?.getTime() ?? 0) - 72 * 3_600_000);
    const times = { createTime: earlier(createTime), expireTime: earlier(expireTime) };
    const proposal = { ...rest, ...times, proposalId: '00000000-0000-7000-8000-000000000001' };
    await insertProposal(database, keys, proposal);
    expect(await refused(approve(second, proposal))).toMatchObject({ reason: 'PROPOSAL_EXPIRED' });
    expect((await list(second)).proposals.map(({ proposalId }) => proposalId)).not.toContain(proposal.proposalId);
    // The next proposal removes its row.
    await propose(first, subjectId);
    expect(await refused(approve(second, proposal))).toMatchObject({ reason: 'PROPOSAL_NOT_FOUND' });
    expect(await isStored(subjectId)).toBe(true);
  });

  it('is void when its proposer was disabled or is no administrator any more, also while it is being approved', async () => {
    const subjectId = await enrolOne(11);
    const [first, second, third] = [await administrator(), await administrator(), await administrator()];
    const [ofFirst, ofThird] = [await proposed(first, subjectId), await proposed(third, subjectId)];
    // Both wait for the row of the proposer; the disabling is first.
    await database.query('BEGIN');
    await database.query('SELECT FROM client WHERE client_id = $1 FOR UPDATE', [first.clientId]);
    const disabling = disable(first.clientId);
    await waiting(1);
    const approval = refused(approve(second, ofFirst));
    await waiting(2);
    await database.query('COMMIT');
    await disabling;
    expect(await approval).toMatchObject({ code: Code.FAILED_PRECONDITION, reason: 'PROPOSER_NOT_ENTITLED' });
    const { clients: all } = await call(local, local.listClients.bind(local), { pageSize: 1000, pageToken: '' });
    const registered = all.find(({ client }) => client?.clientId === third.clientId);
    await call(local, local.updateClient.bind(local), {
      client: registered?.client && { ...registered.client, roles: [Role.OPERATOR] },
      updateMask: ['roles'],
      etag: registered?.etag ?? '',
    });
    expect(await refused(approve(second, ofThird))).toMatchObject({ reason: 'PROPOSER_NOT_ENTITLED' });
    expect(await isStored(subjectId)).toBe(true);
  });

  it('is for administrators that are persons and no auditors, and may see no record', async () => {
    const subjectId = await enrolOne(12);
    const [first, second] = [await administrator(), await administrator()];
    const proposal = await proposed(first, subjectId);
    const others = [
      await administrator({ kind: ClientKind.MACHINE }),
      await administrator({ roles: [Role.ADMINISTRATOR, Role.AUDITOR] }),
      await clients.as({ kind: ClientKind.PERSON, roles: [Role.SUPERVISOR, Role.CONTRIBUTOR, Role.OPERATOR] }),
    ];
    for (const other of others) {
      expect(await refused(propose(other, subjectId))).toMatchObject({ reason: 'ACTION_NOT_PERMITTED' });
      expect(await refused(approve(other, proposal))).toMatchObject({ reason: 'ACTION_NOT_PERMITTED' });
    }
    const unknown = { code: Code.NOT_FOUND, reason: 'SUBJECT_NOT_FOUND' };
    const secret = await enrolOne(13, ['SECRET']);
    expect(await refused(propose(first, secret))).toMatchObject(unknown);
    expect(await refused(propose(first, '00000000-0000-7000-8000-000000000000'))).toMatchObject(unknown);
    const cleared = await administrator({ clearance: 3 });
    const ofSecret = await proposed(cleared, secret);
    expect(await refused(approve(second, ofSecret))).toMatchObject({ reason: 'RECORD_NOT_PERMITTED' });
    expect(Object.keys((await list(second)).proposals[0] ?? {}).sort()).toEqual(Object.keys(proposal).sort());
  });

  it('is one of at most a hundred open ones of its proposer, listed in pages', async () => {
    const subjectId = await enrolOne(14);
    const first = await administrator({ callsPerSecond: 10_000 });
    const outcomes = await Promise.allSettled(Array.from({ length: 103 }, () => propose(first, subjectId)));
    const lost = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    const full = { code: Code.RESOURCE_EXHAUSTED, reason: 'TOO_MANY_PROPOSALS' };
    expect(lost).toMatchObject(Array(3).fill(full));
    const all = (await list(first)).proposals.map(({ proposalId }) => proposalId);
    const paged: string[] = [];
    for (let after = ''; ;) {
      const page = await list(first, after, 40);
      paged.push(...page.proposals.map(({ proposalId }) => proposalId));
      after = page.nextAfterProposalId;
      if (after === '') break;
    }
    expect(paged).toEqual(all);
    expect(all.length).toBeGreaterThanOrEqual(100);
  });
});

/** Number of transactions that wait for the row of a client. */
const waiting = (count: number) =>
  expect
    .poll(
      async () => {
        await database.query('SELECT pg_stat_clear_snapshot()');
        const { rows } = await database.query<{ count: number }>(
          `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
             AND query LIKE '%FROM client c%FOR UPDATE%'`,
        );
        return rows[0]?.count;
      },
      { interval: 5 },
    )
    .toBe(count);
