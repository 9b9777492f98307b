/** One gallery behind several servers of one process: without guards, and with more and more of them. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { ACTIONS, PURPOSES } from '../../src/access/actions.ts';
import { VerifyBudgets } from '../../src/access/budgets.ts';
import { CallRates } from '../../src/access/call-rates.ts';
import { ClientDirectory } from '../../src/access/client-directory.ts';
import { Decisions } from '../../src/access/decisions.ts';
import { Gatekeeper } from '../../src/access/gatekeeper.ts';
import type { Decider, Grant } from '../../src/access/grant.ts';
import { PoliciesInForce } from '../../src/access/policy-set.ts';
import { ROLES, type Client, type Principal } from '../../src/access/principal.ts';
import { ProbeWindow } from '../../src/access/probe-window.ts';
import { CallsUnderWay } from '../../src/api/calls-under-way.ts';
import type { CallSettings } from '../../src/api/call.ts';
import { identificationService, type IdentificationDependencies } from '../../src/api/identification-service.ts';
import { ApiServer } from '../../src/api/server.ts';
import type { AuditSink } from '../../src/audit/audit-entry.ts';
import { ProbeDigest } from '../../src/audit/probe-digest.ts';
import type { AccessServer } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import type { AuditServer } from '../../src/contract/generated/ridgewatch/v1/audit.ts';
import type { SharingServer } from '../../src/contract/generated/ridgewatch/v1/sharing.ts';
import type { GalleryServer } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import type { OperationsServer } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import type { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { AdmissionQueue } from '../../src/matching/search/admission.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { Searcher } from '../../src/matching/search/searcher.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { fingerprintOf } from '../../src/security/fingerprint.ts';
import { Keys } from '../../src/security/keys.ts';
import { ServerCertificates } from '../../src/security/server-certificates.ts';
import { makeTrialCertificates } from '../../src/security/trial-certificates.ts';
import { openAudit } from '../../src/service/audit-start.ts';
import { StoreAuditLog } from '../../src/store/audit-log.ts';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { openStore } from '../../src/store/store.ts';
import { Random } from '../../src/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import type { CallerAddress } from './callers.ts';

/** Searches per worker at a time, as in the service. */
const SEARCHES_PER_WORKER = 2;
const MAX_WAITING = 1000;
const TARGET_FPIR = 0.01;
const CLIENT = 'gate';

/** What stands between a caller and the gallery. */
export interface Guards {
  readonly tls: boolean;
  /** Clients, policies, rates, budgets and the window of recent probes. */
  readonly access: boolean;
  readonly audit: boolean;
}

export interface Guarded {
  /** Starts a server. @returns where callers reach it */
  serve(guards: Guards): Promise<CallerAddress>;
  /** The directory of the embedded database. */
  readonly databaseDir: string;
  close(): Promise<void>;
}

/** A gate that may search everything, as often as it likes. */
const GATE: Client = {
  clientId: CLIENT,
  kind: 'machine',
  agency: 'border police',
  agencyCode: 'BORDER-POLICE',
  roles: new Set(['checkpoint']),
  galleries: 'all',
  purposes: new Set(PURPOSES),
  clearance: 0,
  budgets: { callsPerSecond: 1_000_000 },
};

export async function makeGuards(served: ActiveGallery, pool: WorkerPool): Promise<Guarded> {
  const directory = mkdtempSync(join(tmpdir(), 'ridgewatch-overhead-'));
  // The database's user must be able to enter it.
  chmodSync(directory, 0o711);
  const cluster = await startEmbeddedCluster(join(directory, 'database'), () => undefined);
  const keys = new Keys({ keyFile: undefined, dataDir: directory });
  await (await openStore({ databaseUrl: cluster.url, dataDir: '', keys, log: () => undefined })).close();
  const trail = await openAudit(
    { dataDir: directory, auditKey: undefined, auditAnchor: undefined, auditSpoolBytes: 1 << 26 },
    { auditLog: new StoreAuditLog(cluster.url) },
    keys,
    () => undefined,
  );
  const made = await makeTrialCertificates({ hosts: [], clients: [CLIENT], days: 2, now: new Date() });
  const file = (name: string, content: string) => {
    const path = join(directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const client = made.clients.get(CLIENT);
  if (client === undefined) throw new Error('the client has no certificate');
  const files = {
    cert: file('server.pem', made.server.cert),
    key: file('server.key', made.server.key),
    clientCa: file('ca.pem', made.authority.cert),
    clientCrl: undefined,
  };
  const certificates = new ServerCertificates(files);
  const { gatekeeper, decider } = await accessOf(fingerprintOf(new X509Certificate(client.cert)), served);
  const rates = new CallRates();
  const budgets = new VerifyBudgets();
  const none = () => undefined;
  const audit = new IndexAudit(0, 0.999, served, pool, () => Promise.resolve(), none);
  const admission = new AdmissionQueue(SEARCHES_PER_WORKER * pool.size, MAX_WAITING);
  const parts = { served, planner: new Planner(pool), audit, pool, admission, quarantine: new Quarantine() };
  const service: IdentificationDependencies = {
    served,
    searcher: new Searcher({ ...parts, targetFpir: TARGET_FPIR }),
    calibrations: pool.calibrations,
    targetFpir: TARGET_FPIR,
    probeDigest: new ProbeDigest(keys),
    faceModels: new Map(),
    countWarnings: none,
    observeSearch: none,
    requireReady: none,
    budgets,
    window: new ProbeWindow({ alarm: none, disable: none }),
    // Neither concerns a search for fingers.
    spectra: { admits: () => true },
    history: { requireRead: () => Promise.resolve() },
    cases: { open: () => Promise.resolve('') },
    caseLifeMs: 0,
  };
  fill(service.window);
  const servers: ApiServer[] = [];
  return {
    databaseDir: cluster.directory,
    serve: async (guards) => {
      const settings: CallSettings = {
        observe: none,
        decider: guards.access ? decider : openDecider(),
        audit: guards.audit ? trail : NO_AUDIT,
        underWay: new CallsUnderWay(),
        takeCall: guards.access ? ({ client }: Principal) => rates.take(client) : none,
        limited: none,
        defaultDeadlineMs: 30_000,
      };
      const server = new ApiServer(
        {
          identification: identificationService(service, settings),
          gallery: {} as GalleryServer,
          operations: {} as OperationsServer,
          access: {} as AccessServer,
          sharing: {} as SharingServer,
          audit: {} as AuditServer,
        },
        {
          gatekeeper: guards.access ? gatekeeper : { admit: openAdmission, verified: none },
          openStream: () => none,
          turnedAway: none,
          maxMessageBytes: 4_194_304,
          maxUnfinishedBytes: 134_217_728,
          maxConnections: 100,
          maxConcurrentCalls: 100,
          handshakeMs: 10_000,
          messageMs: 30_000,
          streamIdleMs: 60_000,
          connectionIdleMs: 600_000,
          refused: none,
          handshakeRefused: none,
          ended: none,
        },
      );
      servers.push(server);
      const port = await server.listen('127.0.0.1', 0, guards.tls ? certificates : undefined);
      const tls = { ca: made.authority.cert, cert: client.cert, key: client.key };
      return { address: `127.0.0.1:${port}`, tls: guards.tls ? tls : undefined };
    },
    close: async () => {
      await Promise.all(servers.map((server) => server.stop(1000)));
      await trail.close();
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function accessOf(fingerprint: string, served: ActiveGallery) {
  const now = new Date();
  const credential = {
    ...{ credentialId: 'certificate', kind: 'certificate' as const, fingerprint, name: undefined, issuer: undefined },
    ...{ createTime: now, createdBy: 'bench', expireTime: undefined, revokeTime: undefined, revokedBy: undefined },
  };
  const registered = {
    ...{ client: GATE, credentials: [credential], createTime: now, createdBy: 'bench' },
    ...{ disableTime: undefined, disableReason: undefined, version: 1 },
  };
  const directory = new ClientDirectory({
    clientVersion: () => Promise.resolve(1),
    readClients: () => Promise.resolve({ version: 1, clients: [registered], damaged: [] }),
  });
  await directory.refresh();
  const policies = await PoliciesInForce.load(undefined, (fault) => {
    throw new Error(`no decision about ${fault.action}`);
  });
  const decider = new Decisions(policies, served.knownGalleries);
  return { gatekeeper: new Gatekeeper(directory, decider), decider };
}

/** Probes of other travellers until the window holds as many as it ever does: what a busy gate sees in half an hour. */
function fill(window: ProbeWindow): void {
  const random = new Random(SEEDS.probes);
  const vector = () => Int8Array.from({ length: 256 }, () => random.below(256) - 128);
  for (let call = 0; call < 4096; call++)
    window.admit(GATE, [
      { trait: 'finger', vector: vector() },
      { trait: 'finger', vector: vector() },
    ]);
}

const NO_AUDIT: AuditSink = { record: () => Promise.resolve() };

/** The service has no such mode: only a bench lets every caller do everything. */
function openAdmission() {
  return {
    principal: {
      client: { ...GATE, roles: new Set(ROLES) },
      credential: { credentialId: 'none', kind: 'certificate' as const, fingerprint: '00'.repeat(32) },
    },
    end: new AbortController().signal,
    leave: () => undefined,
  };
}

/** Grants everything, in the form in which a gate is answered, so that the same search is made. */
function openDecider(): Pick<Decider, 'authorize'> {
  const grant: Grant = {
    // Purpose `test` is not watched: nothing is done about probes that resemble each other.
    ...{
      client: GATE,
      action: ACTIONS[0],
      purpose: 'test' as const,
      galleries: new Set<string>(),
      policyHash: '00'.repeat(32),
    },
    searches: () => true,
    sees: () => true,
    changes: () => true,
    discloses: () => ({ scores: 'none', rates: 'powers', explanations: false }),
  };
  return { authorize: () => grant };
}
