import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { ClientChanges } from './client-changes.ts';
import { ClientStore } from './client-store.ts';
import type { AuditLog, AuditPages, AuditReader } from '../audit/audit-log.ts';
import type { RecordReader } from '../audit/safeguard-records.ts';
import { StoreAuditLog } from './audit-log.ts';
import { StoreAuditPages } from './audit-pages.ts';
import { readAudit } from './audit-reader.ts';
import { safeguardRecords } from './safeguard-records.ts';
import { CaseStore } from './case-store.ts';
import { ChangeListener } from './change-listener.ts';
import type { Patience } from './cluster-claim.ts';
import { SERVICE_USER } from './cluster-credentials.ts';
import type { StoreLog } from './database-server.ts';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from './embedded-cluster.ts';
import { ExpungeProposals } from './expunge-proposals.ts';
import { probeDatabase } from './external-database.ts';
import { HitStore } from './hit-store.ts';
import { Imports } from './imports.ts';
import { migrate } from './migrations.ts';
import { establishKeys, mendIndexes, sealPlain } from './opening.ts';
import { withPlace } from './damaged-place.ts';
import { excessRights, requireTwoRoles, separateRoles } from './role-separation.ts';
import { ensureServiceRole } from './service-role.ts';
import { catalogueDamaged, isCatalogueLost } from './store-damage.ts';
import { StoreRepair } from './store-repair.ts';
import { StoreHealth } from './store-health.ts';
import { StoreTurns } from './store-turns.ts';
import { StoreCopy } from './store-copy.ts';
import { makePool, type StorePool } from './store-pool.ts';
import { signStore } from './store-signing.ts';
import { TemplateKeys } from './template-keys.ts';
import { SubjectHistories } from './subject-histories.ts';
import { SubjectStore } from './subject-store.ts';

export type { StoreLog } from './database-server.ts';

/**
 * Connections in the pool. More would not help, since writers wait for each other at the change counter. Calls may use
 * ten.
 */
const POOL_SIZE = 12;
/** Connections of the owner's pool: its work is one thing at a time, with a look aside. */
const OWNER_POOL_SIZE = 4;

export interface StoreSettings {
  /** undefined: an embedded database in the data directory. */
  readonly databaseUrl: string | undefined;
  /** Of the role that owns the tables of an external database; undefined: that of `databaseUrl` does. */
  readonly databaseOwnerUrl?: string | undefined;
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

/**
 * An open store: the database, its schema and its contents. `templateKeys`, `copy` and `repair` use the connections of
 * the tables' owner, all others those of the service's role.
 */
export interface Store {
  readonly kind: 'embedded' | 'external';
  /**
   * What the service's database role may do beyond what the service needs, one predicate each; empty: the roles are
   * separated.
   */
  readonly excessRights: readonly string[];
  readonly subjects: SubjectStore;
  readonly clients: ClientStore;
  readonly clientChanges: ClientChanges;
  /** What was changed of subjects, and by whom. */
  readonly histories: SubjectHistories;
  /** Removals by two administrators. */
  readonly proposals: ExpungeProposals;
  readonly templateKeys: TemplateKeys;
  readonly imports: Imports;
  /** Appends audit records. Its connection is made at first use; to be closed before the store. */
  readonly auditLog: AuditLog;
  readonly auditPages: AuditPages;
  /** Hits of agencies. */
  readonly hits: HitStore;
  /** Cases about the candidates of searches. */
  readonly cases: CaseStore;
  /** Reads audit records, all in one state. @throws Failure */
  readAudit<T>(work: (reader: AuditReader) => Promise<T>): Promise<T>;
  /** Reads the audit records that safeguards need. */
  readonly safeguardRecords: RecordReader;
  /** Reads and writes the whole store, for backups. */
  readonly copy: StoreCopy;
  /** Finds and removes damage. */
  readonly repair: StoreRepair;
  /** Listens for changes by other processes. */
  readonly listener: ChangeListener;
  /** Tracks whether the store can be reached and written. */
  readonly health: StoreHealth;
  /**
   * Closes the owner's connections for good; what uses them is refused from now on. No effect where one role does
   * everything.
   */
  endOwnership(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the database, starts an embedded one when none is configured, upgrades its schema, and separates the roles of
 * the owner and the service.
 * @throws Failure that states the obstacle in one sentence
 */
export async function openStore(settings: StoreSettings): Promise<Store> {
  const { databaseUrl, databaseOwnerUrl, mode = 'own' } = settings;
  if (databaseUrl !== undefined) {
    await probeDatabase(databaseUrl);
    if (databaseOwnerUrl !== undefined) await probeDatabase(databaseOwnerUrl, 'RIDGEWATCH_DATABASE_OWNER_URL');
    const urls = { service: databaseUrl, owner: databaseOwnerUrl };
    return openAt(urls, undefined, settings, isForOneProcess(mode) ? 'upgrade' : 'keep');
  }
  const cluster = await openCluster(settings);
  try {
    const urls = { service: cluster.serviceUrl, owner: cluster.url };
    return await openAt(urls, cluster, settings, cluster.isShared ? 'keep' : 'upgrade');
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

/** URLs of the two roles; without an owner's, the service's role does everything that it may. */
interface RoleUrls {
  readonly service: string;
  readonly owner: string | undefined;
}

async function openAt(
  urls: RoleUrls,
  cluster: EmbeddedCluster | undefined,
  settings: StoreSettings,
  schema: 'upgrade' | 'keep',
): Promise<Store> {
  const { keys, log, examine, mode = 'own' } = settings;
  const service = makePool(urls.service, POOL_SIZE, log);
  const owner = urls.owner === undefined ? service : makePool(urls.owner, OWNER_POOL_SIZE, log);
  let isOwned = true;
  const templateKeys = new TemplateKeys(owner.pool, keys);
  const repair = new StoreRepair(owner.pool, keys);
  const turns = new StoreTurns();
  const subjects = new SubjectStore(service.pool, keys, () => (isOwned ? owner : service).pool, turns);
  // A check reports what it finds.
  const how = schema === 'upgrade' && examine === undefined ? 'require' : 'complete';
  const pools = { owner: owner.pool, service: service.pool, called: calledOf(cluster) };
  let excess: readonly string[];
  try {
    if (cluster === undefined && urls.owner !== undefined) await requireTwoRoles(pools, how);
    if (examine !== undefined) await examine(repair);
    else if (isForOneProcess(mode)) await mendIndexes(repair, log);
    await migrate(urls.owner ?? urls.service, schema);
    if (cluster !== undefined) await ensureServiceRole(owner.pool, urls.service);
    excess = urls.owner === undefined ? await sharedExcess(service, settings) : await separateRoles(pools, how);
    await establishKeys(templateKeys, keys, log);
    await signStore(owner.pool, keys, log, schema, () => sealPlain(templateKeys, log));
    // The service cannot work without the change counter.
    await subjects.headSequence();
  } catch (error) {
    const isRefused = error instanceof Failure && error.reason === 'STORE_UNAVAILABLE';
    const isLost = cluster !== undefined && isRefused && isCatalogueLost(error, true);
    const failure = isLost ? catalogueDamaged(error) : await withPlace(owner.pool, error);
    await Promise.all([owner.end(), service.end()]);
    throw failure;
  }
  const listener = new ChangeListener(urls.service, (backend) => service.isOwn(backend) || owner.isOwn(backend));
  return {
    kind: cluster === undefined ? 'external' : 'embedded',
    excessRights: excess,
    subjects,
    clients: new ClientStore(service.pool, keys),
    clientChanges: new ClientChanges(service.pool, keys),
    histories: new SubjectHistories(service.pool, keys, turns),
    proposals: new ExpungeProposals(service.pool, keys, turns),
    templateKeys,
    imports: new Imports(service.pool, keys),
    auditLog: new StoreAuditLog(urls.service),
    hits: new HitStore(service.pool),
    cases: new CaseStore(service.pool, keys, turns),
    readAudit: (work) => readAudit(service.pool, work),
    auditPages: new StoreAuditPages(service.pool),
    safeguardRecords: safeguardRecords(service.pool),
    copy: new StoreCopy(owner.pool, keys),
    repair,
    listener,
    health: new StoreHealth(urls.service),
    endOwnership: async () => {
      isOwned = false;
      if (owner !== service) await owner.end();
    },
    close: async () => {
      await Promise.all([listener.stop(), owner.end(), service.end()]);
      await cluster?.stop();
    },
  };
}

/** Of a role that does everything: commands say nothing of it. */
async function sharedExcess({ pool }: StorePool, { log, mode = 'own' }: StoreSettings): Promise<readonly string[]> {
  const excess = await excessRights(pool);
  if (excess.length > 0 && mode === 'own') {
    const message =
      'the database user of the service may do more than it needs, such as rewrite the audit: set RIDGEWATCH_DATABASE_OWNER_URL (docs/operating.md)';
    log({ level: 'warn', message });
  }
  return excess;
}

function calledOf(cluster: EmbeddedCluster | undefined): string {
  return cluster === undefined ? 'The user of DATABASE_URL' : `The embedded database's role ${SERVICE_USER}`;
}
