import pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { ChangeListener } from './change-listener.ts';
import type { Patience } from './cluster-claim.ts';
import { poolOptions } from './connection.ts';
import type { StoreLog } from './database-server.ts';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from './embedded-cluster.ts';
import { probeDatabase } from './external-database.ts';
import { Imports } from './imports.ts';
import { migrate } from './migrations.ts';
import { withPlace } from './damaged-place.ts';
import { catalogueDamaged, isCatalogueLost } from './store-failure.ts';
import { StoreRepair } from './store-repair.ts';
import { StoreHealth } from './store-health.ts';
import { StoreCopy } from './store-copy.ts';
import { TemplateKeys } from './template-keys.ts';
import { SubjectStore } from './subject-store.ts';

export type { StoreLog } from './database-server.ts';

/** Connections in the pool: writers wait for each other at the change counter anyway. Calls may have ten of them. */
const POOL_SIZE = 12;
/**
 * Every wait for the database has an end, unless its URL or its administrator has set another one: of a statement, of a
 * lock, and of a transaction in which nothing happens. What reads whole tables lifts the first one for itself.
 */
const TIME_LIMITS = `SELECT set_config(name, own, false)
  FROM (VALUES ('statement_timeout', '30s'), ('lock_timeout', '10s'), ('idle_in_transaction_session_timeout', '10min'))
    AS limits (name, own) WHERE current_setting(name) = '0'`;
/** Templates. */
const REPORTED_EVERY = 50_000;

export interface StoreSettings {
  /** undefined: an embedded database in the data directory. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  /** That templates are encrypted with; opened here. */
  readonly keys: Keys;
  readonly log: StoreLog;
  readonly mode?: StoreMode;
  /** For a process that uses the embedded database; it is told to the log all the same. */
  readonly patience?: Partial<Patience>;
  /** Looks at the database, and may mend it, before anything is read or changed: the store may not open as it is. */
  readonly examine?: (repair: StoreRepair) => Promise<void>;
}

/**
 * `own`: an embedded database is for this process alone, and made where there is none. `present`: it is shared with a
 * service or command that runs it, and started where none does; there has to be one. `either`: shared, too, and made where there
 * is none. A shared database keeps its schema: a service that runs on it knows no other one. `filled`: as `own`, to be
 * filled from a backup, whose keys may lie where the database is made.
 */
export type StoreMode = 'own' | 'filled' | 'present' | 'either';

/** The store: a database, its schema and what is kept in it. */
export interface Store {
  readonly kind: 'embedded' | 'external';
  readonly subjects: SubjectStore;
  readonly templateKeys: TemplateKeys;
  readonly imports: Imports;
  /** Reads and writes all of it, for backups. */
  readonly copy: StoreCopy;
  /** Finds what is damaged, and takes it out. */
  readonly repair: StoreRepair;
  /** Hears of changes that other processes make. */
  readonly listener: ChangeListener;
  /** Knows whether it can be reached and written. */
  readonly health: StoreHealth;
  close(): Promise<void>;
}

/**
 * Opens the database, starts an embedded one where none is configured, and brings its schema up to date.
 * @throws Failure that says in one sentence what is in the way
 */
export async function openStore(settings: StoreSettings): Promise<Store> {
  const { databaseUrl, mode = 'own' } = settings;
  if (databaseUrl !== undefined) {
    await probeDatabase(databaseUrl);
    return openAt(databaseUrl, undefined, settings, isForOneProcess(mode) ? 'upgrade' : 'keep');
  }
  const cluster = await openCluster(settings);
  try {
    return await openAt(cluster.url, cluster, settings, cluster.isShared ? 'keep' : 'upgrade');
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function openCluster({ dataDir, log, patience, mode = 'own' }: StoreSettings): Promise<EmbeddedCluster> {
  if (isForOneProcess(mode)) return startEmbeddedCluster(dataDir, log, patience, mode === 'own' ? 'begin' : 'fill');
  return joinEmbeddedCluster(dataDir, log, patience, mode === 'either' ? 'begin' : 'refuse');
}

function isForOneProcess(mode: StoreMode): boolean {
  return mode === 'own' || mode === 'filled';
}

async function openAt(
  url: string,
  cluster: EmbeddedCluster | undefined,
  { keys, log, examine, mode = 'own' }: StoreSettings,
  schema: 'upgrade' | 'keep',
): Promise<Store> {
  const pool = new pg.Pool({
    ...poolOptions(url, POOL_SIZE),
    keepAliveInitialDelayMillis: 10_000,
    // Awaited, whatever the types say: nobody is lent a connection without limits.
    onConnect: ((client: pg.ClientBase) => client.query(TIME_LIMITS)) as unknown as (client: pg.ClientBase) => void,
  });
  // An idle connection that breaks is replaced at the next query; without a listener it would end the process. Those that
  // break while all are closed are no news.
  let isClosing = false;
  pool.on('error', () => {
    if (!isClosing) log({ level: 'warn', message: 'a connection to the store was lost' });
  });
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
  const repair = new StoreRepair(pool, keys);
  const subjects = new SubjectStore(pool, keys);
  try {
    if (examine !== undefined) await examine(repair);
    else if (isForOneProcess(mode)) await mendIndexes(repair, log);
    await migrate(url, schema);
    await sealEverything(templateKeys, keys, log);
    // Without it nothing can be served or changed.
    await subjects.headSequence();
  } catch (error) {
    const isRefused = error instanceof Failure && error.reason === 'STORE_UNAVAILABLE';
    const isLost = cluster !== undefined && isRefused && isCatalogueLost(error, true);
    const failure = isLost ? catalogueDamaged(error) : await withPlace(pool, error);
    isClosing = true;
    await pool.end();
    throw failure;
  }
  return {
    kind: cluster === undefined ? 'external' : 'embedded',
    subjects,
    templateKeys,
    imports: new Imports(pool, keys),
    copy: new StoreCopy(pool, keys),
    repair,
    listener,
    health: new StoreHealth(url),
    close: async () => {
      isClosing = true;
      await listener.stop();
      await pool.end();
      await cluster?.stop();
    },
  };
}

/**
 * Builds damaged indexes anew, which stand in the way of everything and hold nothing of their own. What cannot be built is
 * read around, as far as that is possible.
 */
async function mendIndexes(repair: StoreRepair, log: StoreLog): Promise<void> {
  const damaged = await repair.damagedIndexes('blocks');
  if (damaged.length === 0) return;
  // Of a table that lacks rows an index may be all that still knows of them: that one is left as it is.
  for (const { index, table, outcome } of await repair.rebuildIndexes(damaged)) {
    if (outcome === 'rebuilt') {
      const message = `the index ${index} of the table ${table} was damaged, and was built anew from the table`;
      log({ level: 'warn', message });
    } else {
      const message = `the index ${index} of the table ${table} is damaged, and could not be built anew (${outcome}): ridgewatch store check says what to do`;
      log({ level: 'error', message });
    }
  }
}

/** The process id of the backend that a connection leads to; pg has it, and does not say so in its types. */
function backendOf(client: pg.ClientBase): unknown {
  return (client as { processID?: unknown }).processID;
}

/** Opens the keys, and encrypts what an earlier version left in plain. */
async function sealEverything(templateKeys: TemplateKeys, keys: Keys, log: StoreLog): Promise<void> {
  const { made, missing } = await templateKeys.establish();
  for (const id of missing) {
    const message = `key ${id}, of which the store knows, is not in ${keys.file}, or is another one there; no template is encrypted with it: ridgewatch keys forget ${id} ends this warning`;
    log({ level: 'warn', message });
  }
  if (made) {
    const message = `made a first key in ${keys.file}; without it what is stored cannot be read: keep a copy elsewhere`;
    log({ level: 'warn', message });
  }
  const sealed = await templateKeys.sealStored('plain', (count) => {
    if (count % REPORTED_EVERY === 0) log({ level: 'info', message: `encrypted ${count} templates so far` });
  });
  if (sealed > 0) log({ level: 'info', message: `encrypted ${sealed} templates that an earlier version had stored` });
}
