import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { enrolment } from './records.ts';

let cluster: TestCluster;
let url: string;
let stores: readonly Store[];
const keys = temporaryKeys();

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  const open = () => openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  stores = [await open(), await open()];
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await cluster.stop();
});

const enrol = async (store: Store) => {
  const { subject, references } = enrolment();
  return (await store.subjects.enroll(subject, references)).seq;
};

/** `until` resolves when the change has been notified. */
function hearing() {
  const heard: number[] = [];
  let notify: () => void = () => undefined;
  const on = (seq: number) => {
    heard.push(seq);
    notify();
  };
  const until = async (seq: number) => {
    while (!heard.includes(seq)) await new Promise<void>((resolve) => (notify = resolve));
  };
  return { heard, on, until };
}

it('notifies of changes by other stores, even after a lost connection, but not of its own', async () => {
  const [here, there] = stores;
  const { heard, on, until } = hearing();
  await here.listener.ensure({ onChange: on, onClients: () => undefined, onHits: () => undefined });
  const own = await enrol(here);
  const first = await enrol(there);
  await until(first);
  // Its own change came first, so a notification of it would have arrived by now.
  expect(heard).not.toContain(own);

  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()`,
  );
  await admin.end();
  let again = await enrol(there);
  // The operating system reports the lost connection at some later moment.
  while (!heard.includes(again)) {
    await here.listener.ensure({ onChange: on, onClients: () => undefined, onHits: () => undefined });
    again = await enrol(there);
    await Promise.race([until(again), delay(20)]);
  }
  expect(heard.at(-1)).toBe(again);
});
