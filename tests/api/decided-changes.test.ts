/** A change is decided about the record as it is when it is changed, whatever it was when the call began. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import { call, callsOf, enrolPerson, refused, runService, type RunningService } from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
const { update } = callsOf(() => running);
const clients = registeredClients(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const changed = (subjectId: string, changes: { caveats?: string[]; galleries?: string[] }) => ({
  subjectId,
  expectedVersion: 0,
  data: {
    contributor: '',
    externalId: '',
    galleries: [],
    caveats: [],
    provenance: Provenance.UNSPECIFIED,
    ...UNLIMITED,
    ...changes,
  },
  samples: [],
  updateMask: Object.keys(changes).map((field) => `data.${field}`),
});

/** Starts works one after the other while a row is locked: they queue for it in this order. */
async function queueFor(subjectId: string, works: readonly (() => Promise<unknown>)[]): Promise<Promise<unknown>[]> {
  const blocker = new pg.Client({ connectionString: url });
  await blocker.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM subject WHERE subject_id = $1 FOR UPDATE', [subjectId]);
    const waiting = async () => {
      const { rows } = await blocker.query<{ count: number }>(
        `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
           AND query LIKE '%FROM subject%FOR UPDATE%'`,
      );
      return rows[0]?.count;
    };
    const begun: Promise<unknown>[] = [];
    for (const work of works) {
      const outcome = work();
      outcome.catch(() => undefined);
      begun.push(outcome);
      // Statistics of activity are kept for a transaction unless they are cleared.
      await expect
        .poll(() => blocker.query('SELECT pg_stat_clear_snapshot()').then(waiting), { interval: 5 })
        .toBe(begun.length);
    }
    return begun;
  } finally {
    await blocker.end();
  }
}

it.each(['update', 'expunge'] as const)(
  'refuses an %s by a client that lost its permission after the call had begun',
  async (kind) => {
    const { subject } = await enrolPerson(running, 1);
    const id = subject?.subjectId ?? '';
    const { gallery } = await clients.as({ roles: [Role.CONTRIBUTOR], clearance: 0 });
    const orders = {
      update: () => call(gallery, gallery.updateSubject.bind(gallery), changed(id, { galleries: ['elsewhere'] })),
      expunge: () => call(gallery, gallery.expungeSubject.bind(gallery), { subjectId: id, reason: 'a test' }),
    };
    const [classified, late] = await queueFor(id, [() => update(changed(id, { caveats: ['SECRET'] })), orders[kind]]);
    await classified;
    expect(await refused(late)).toMatchObject({ code: Code.NOT_FOUND, reason: 'SUBJECT_NOT_FOUND' });
    const { gallery: local } = running;
    const { subject: present } = await call(local, local.getSubject.bind(local), { subjectId: id });
    expect(present).toMatchObject({ version: 2, data: { caveats: ['SECRET'], galleries: ['main'] } });
  },
);

it('decides about the caveats that a change of other fields leaves', async () => {
  const { subject } = await enrolPerson(running, 2);
  const id = subject?.subjectId ?? '';
  const { gallery } = await clients.as({ roles: [Role.CONTRIBUTOR], clearance: 1 });
  const move = () => call(gallery, gallery.updateSubject.bind(gallery), changed(id, { galleries: ['elsewhere'] }));
  const [restricted, moved] = await queueFor(id, [() => update(changed(id, { caveats: ['RESTRICTED'] })), move]);
  await restricted;
  await expect(moved).resolves.toMatchObject({
    subject: { version: 3, data: { caveats: ['RESTRICTED'], galleries: ['elsewhere'] } },
  });
});
