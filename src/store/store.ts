import pg from 'pg';
import { startEmbeddedCluster, type EmbeddedCluster, type StoreLog } from './embedded-cluster.ts';
import { probeDatabase } from './external-database.ts';
import { migrate } from './migrations.ts';
import { SubjectStore } from './subject-store.ts';

export type { StoreLog } from './embedded-cluster.ts';

/** Connections in the pool: writers wait for each other at the change counter anyway. */
const POOL_SIZE = 12;
const CONNECT_TIMEOUT_MS = 5000;

export interface StoreSettings {
  /** undefined: an embedded database in the data directory. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  readonly log: StoreLog;
}

/** The store: a database, its schema and what is kept in it. */
export interface Store {
  readonly kind: 'embedded' | 'external';
  readonly subjects: SubjectStore;
  close(): Promise<void>;
}

/**
 * Opens the database, starts an embedded one where none is configured, and brings its schema up to date.
 * @throws Failure that says in one sentence what is in the way
 */
export async function openStore({ databaseUrl, dataDir, log }: StoreSettings): Promise<Store> {
  if (databaseUrl !== undefined) await probeDatabase(databaseUrl);
  const cluster = databaseUrl === undefined ? await startEmbeddedCluster(dataDir, log) : undefined;
  try {
    return await openAt(databaseUrl ?? (cluster as EmbeddedCluster).url, cluster, log);
  } catch (error) {
    await cluster?.stop();
    throw error;
  }
}

async function openAt(url: string, cluster: EmbeddedCluster | undefined, log: StoreLog): Promise<Store> {
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
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    kind: cluster === undefined ? 'external' : 'embedded',
    subjects: new SubjectStore(pool),
    close: async () => {
      await pool.end();
      await cluster?.stop();
    },
  };
}
