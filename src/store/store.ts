import pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { ChangeListener } from './change-listener.ts';
import type { StoreLog } from './database-server.ts';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from './embedded-cluster.ts';
import { probeDatabase } from './external-database.ts';
import { migrate } from './migrations.ts';
import { StoreCopy } from './store-copy.ts';
import { TemplateKeys } from './template-keys.ts';
import { SubjectStore } from './subject-store.ts';

export type { StoreLog } from './database-server.ts';

/** Connections in the pool: writers wait for each other at the change counter anyway. */
const POOL_SIZE = 12;
const CONNECT_TIMEOUT_MS = 5000;
/** Templates. */
const REPORTED_EVERY = 50_000;

export interface StoreSettings {
  /** undefined: an embedded database in the data directory. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  /** That templates are encrypted with; opened here. */
  readonly keys: Keys;
  readonly log: StoreLog;
  /** Share an embedded database with a service that runs on it; one that does not run is started. */
  readonly beside?: boolean;
}

/** The store: a database, its schema and what is kept in it. */
export interface Store {
  readonly kind: 'embedded' | 'external';
  readonly subjects: SubjectStore;
  readonly templateKeys: TemplateKeys;
  /** Reads and writes all of it, for backups. */
  readonly copy: StoreCopy;
  /** Hears of changes that other processes make. */
  readonly listener: ChangeListener;
  close(): Promise<void>;
}

/**
 * Opens the database, starts an embedded one where none is configured, and brings its schema up to date.
 * @throws Failure that says in one sentence what is in the way
 */
export async function openStore({ databaseUrl, dataDir, keys, log, beside = false }: StoreSettings): Promise<Store> {
  if (databaseUrl !== undefined) await probeDatabase(databaseUrl);
  const cluster =
    databaseUrl === undefined ? await (beside ? joinEmbeddedCluster : startEmbeddedCluster)(dataDir, log) : undefined;
  try {
    return await openAt(databaseUrl ?? (cluster as EmbeddedCluster).url, cluster, keys, log);
  } catch (error) {
    await cluster?.stop();
    throw error;
  }
}

async function openAt(url: string, cluster: EmbeddedCluster | undefined, keys: Keys, log: StoreLog): Promise<Store> {
  await migrate(url);
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // An idle connection that breaks is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => log({ level: 'warn', message: 'a connection to the store was lost' }));
  // A new connection has nobody listening between its first answer and the turn in which it is lent; a refusal that comes
  // in the same packet as that answer would end the process, too. Whoever uses the connection finds it broken.
  const own = new Set<unknown>();
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
    own.add(backendOf(client));
  });
  pool.on('remove', (client) => own.delete(backendOf(client)));
  const listener = new ChangeListener(url, (backend) => own.has(backend));
  const templateKeys = new TemplateKeys(pool, keys);
  try {
    await sealEverything(templateKeys, keys, log);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    kind: cluster === undefined ? 'external' : 'embedded',
    subjects: new SubjectStore(pool, keys),
    templateKeys,
    copy: new StoreCopy(pool, keys),
    listener,
    close: async () => {
      await listener.stop();
      await pool.end();
      await cluster?.stop();
    },
  };
}

/** The process id of the backend that a connection leads to; pg has it, and does not say so in its types. */
function backendOf(client: pg.ClientBase): unknown {
  return (client as { processID?: unknown }).processID;
}

/** Opens the keys, and encrypts what an earlier version left in plain. */
async function sealEverything(templateKeys: TemplateKeys, keys: Keys, log: StoreLog): Promise<void> {
  if (await templateKeys.establish()) {
    const message = `made a first key in ${keys.file}; without it what is stored cannot be read: keep a copy elsewhere`;
    log({ level: 'warn', message });
  }
  const sealed = await templateKeys.sealStored('plain', (count) => {
    if (count % REPORTED_EVERY === 0) log({ level: 'info', message: `encrypted ${count} templates so far` });
  });
  if (sealed > 0) log({ level: 'info', message: `encrypted ${sealed} templates that an earlier version had stored` });
}
