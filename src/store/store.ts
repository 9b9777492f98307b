import pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { ClientStore } from './client-store.ts';
import type { AuditLog, AuditReader } from '../audit/audit-log.ts';
import { StoreAuditLog } from './audit-log.ts';
import { readAudit } from './audit-reader.ts';
import { ChangeListener } from './change-listener.ts';
import type { Patience } from './cluster-claim.ts';
import { poolOptions } from './connection.ts';
import type { StoreLog } from './database-server.ts';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from './embedded-cluster.ts';
import { probeDatabase } from './external-database.ts';
import { HitStore } from './hit-store.ts';
import { Imports } from './imports.ts';
import { migrate, rowsUnsigned } from './migrations.ts';
import { withPlace } from './damaged-place.ts';
import { catalogueDamaged, isCatalogueLost } from './store-damage.ts';
import { StoreRepair } from './store-repair.ts';
import { StoreHealth } from './store-health.ts';
import { StoreCopy } from './store-copy.ts';
import { RowSigning } from './row-signing.ts';
import { TemplateKeys } from './template-keys.ts';
import { SubjectStore } from './subject-store.ts';

export type { StoreLog } from './database-server.ts';

/**
 * Connections in the pool. More would not help, since writers wait for each other at the change counter. Calls may use
 * ten.
 */
const POOL_SIZE = 12;
/**
 * Limits every wait on the database, unless its URL or its administrator has set another limit: for a statement, for a
 * lock, and for an idle transaction. Reads of whole tables disable the first limit for themselves.
 */
const TIME_LIMITS = `SELECT set_config(name, own, false)
  FROM (VALUES ('statement_timeout', '30s'), ('lock_timeout', '10s'), ('idle_in_transaction_session_timeout', '10min'))
    AS limits (name, own) WHERE current_setting(name) = '0'`;
/** Templates or subjects between two progress messages. */
const REPORTED_EVERY = 50_000;

export interface StoreSettings {
  /** undefined: an embedded database in the data directory. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  /** Template encryption keys; opened here. */
  readonly keys: Keys;
  readonly log: StoreLog;
  readonly mode?: StoreMode;
  /** Wait for another process that uses the embedded database; waits are logged in any case. */
  readonly patience?: Partial<Patience>;
  /**
   * Examines and possibly mends the database before anything else reads or changes it, because damage may keep the
   * store from opening.
   */
  readonly examine?: (repair: StoreRepair) => Promise<void>;
}

/**
 * `own`: an embedded database for this process alone, created if none exists. `filled`: as `own`, but to be filled from
 * a backup, whose keys may already be in place. `present`: an existing embedded database, shared with the service or
 * command that runs it, or started if none does. `either`: shared as well, and created if none exists. A shared
 * database keeps its schema, because the service that runs it knows no other schema.
 */
export type StoreMode = 'own' | 'filled' | 'present' | 'either';

/** An open store: the database, its schema and its contents. */
export interface Store {
  readonly kind: 'embedded' | 'external';
  readonly subjects: SubjectStore;
  readonly clients: ClientStore;
  readonly templateKeys: TemplateKeys;
  readonly imports: Imports;
  /** Appends audit records. Its connection is made at first use; to be closed before the store. */
  readonly auditLog: AuditLog;
  /** Hits of agencies. */
  readonly hits: HitStore;
  /** Reads audit records, all in one state. @throws Failure */
  readAudit<T>(work: (reader: AuditReader) => Promise<T>): Promise<T>;
  /** Reads and writes the whole store, for backups. */
  readonly copy: StoreCopy;
  /** Finds and removes damage. */
  readonly repair: StoreRepair;
  /** Listens for changes by other processes. */
  readonly listener: ChangeListener;
  /** Tracks whether the store can be reached and written. */
  readonly health: StoreHealth;
  close(): Promise<void>;
}

/**
 * Opens the database, starts an embedded one when none is configured, and upgrades its schema.
 * @throws Failure that states the obstacle in one sentence
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
    // pg awaits it, despite its types: no connection is lent without limits.
    onConnect: ((client: pg.ClientBase) => client.query(TIME_LIMITS)) as unknown as (client: pg.ClientBase) => void,
  });
  // A broken idle connection is replaced at the next query; without a listener its error would end the process. During
  // closing, broken connections are not worth a warning.
  let isClosing = false;
  pool.on('error', () => {
    if (!isClosing) log({ level: 'warn', message: 'a connection to the store was lost' });
  });
  // A new connection has no error listener between its first answer and its first use. An error in the same packet as
  // that answer would end the process, too. The first use reports the broken connection.
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
    await establishKeys(templateKeys, keys, log);
    await signRows(new RowSigning(pool, keys), templateKeys, log, schema);
    // The service cannot work without the change counter.
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
    clients: new ClientStore(pool),
    templateKeys,
    imports: new Imports(pool, keys),
    auditLog: new StoreAuditLog(url),
    hits: new HitStore(pool),
    readAudit: (work) => readAudit(pool, work),
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
 * Rebuilds damaged indexes, which block every operation and hold no data of their own. Other damage is read around, as
 * far as possible.
 */
async function mendIndexes(repair: StoreRepair, log: StoreLog): Promise<void> {
  const damaged = await repair.damagedIndexes('blocks');
  if (damaged.length === 0) return;
  // If a table lacks rows, an index may be the only record of them: it is left unchanged.
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

/** The process id of a connection's backend, which pg's types omit. */
function backendOf(client: pg.ClientBase): unknown {
  return (client as { processID?: unknown }).processID;
}

/** Opens the keys. */
async function establishKeys(templateKeys: TemplateKeys, keys: Keys, log: StoreLog): Promise<void> {
  const { made, missing } = await templateKeys.establish();
  for (const id of missing) {
    const message = `key ${id}, of which the store knows, is not in ${keys.file}, or is another one there; no template is encrypted with it: ridgewatch keys forget ${id} ends this warning`;
    log({ level: 'warn', message });
  }
  if (made) {
    const message = `made a first key in ${keys.file}; without it what is stored cannot be read: keep a copy elsewhere`;
    log({ level: 'warn', message });
  }
}

/**
 * Encrypts and signs what an earlier version stored in plain or without MACs. In a store that was signed already, such
 * rows are none of an earlier version: they stay as they are, and are damaged.
 * @throws Failure SCHEMA_TOO_OLD: another process may be signing them now
 */
async function signRows(
  signing: RowSigning,
  templateKeys: TemplateKeys,
  log: StoreLog,
  schema: 'upgrade' | 'keep',
): Promise<void> {
  const state = await signing.state();
  if (state === 'mark-removed') {
    const message =
      'the database no longer says that its rows were signed, and the data directory does: its mark was removed from the database; rows without a MAC are damaged';
    log({ level: 'error', message });
  }
  if (state === 'unsigned' && (await signing.hasUnsigned())) {
    if (schema === 'keep') throw rowsUnsigned();
    await sealPlain(templateKeys, log);
    log({ level: 'info', message: 'signing the rows that an earlier version stored' });
    let told = 0;
    const signed = await signing.signAll((count) => {
      if (count < told + REPORTED_EVERY) return;
      told = count;
      log({ level: 'info', message: `signed the rows of ${count} subjects so far` });
    });
    log({ level: 'info', message: `signed the rows of ${signed} subjects that an earlier version had stored` });
  } else await signing.mark();
}

async function sealPlain(templateKeys: TemplateKeys, log: StoreLog): Promise<void> {
  const sealed = await templateKeys.sealStored('plain', (count) => {
    if (count % REPORTED_EVERY === 0) log({ level: 'info', message: `encrypted ${count} templates so far` });
  });
  if (sealed > 0) log({ level: 'info', message: `encrypted ${sealed} templates that an earlier version had stored` });
}
