import type { EnrolmentDependencies } from '../enrolment/enrolment.ts';
import { identifyRoute } from '../api/http-identify.ts';
import type { ApiServer } from '../api/server.ts';
import type { Configuration } from '../configuration.ts';
import { loadDemoGallery } from './demo-gallery.ts';
import { Failure } from '../failure.ts';
import { ChangeFollower } from '../gallery/change-follower.ts';
import type { Gallery } from '../gallery/gallery.ts';
import { IndexSwitcher } from '../index-files/index-switcher.ts';
import { Quarantine } from '../gallery/quarantine.ts';
import { faceCoderOf } from '../matching/kernels/face-directions-file.ts';
import type { PackTemplates } from '../gallery/stored-records.ts';
import { startGallery } from './gallery-start.ts';
import { programVersion } from '../installation.ts';
import { Calibrations } from '../matching/rates/calibrations.ts';
import { readCalibrations } from '../matching/rates/calibration-file.ts';
import { fingerVersion, packedModels } from '../matching/rates/model-version.ts';
import { packTemplates } from '../matching/search/probe.ts';
import { LineLimit } from '../observability/line-limit.ts';
import type { Logger } from '../observability/logging.ts';
import { Metrics } from '../observability/metrics.ts';
import { Readiness } from '../observability/readiness.ts';
import { RefusalLog } from '../observability/refusal-log.ts';
import { sealersOf } from '../security/block-sealer.ts';
import { Keys } from '../security/keys.ts';
import { ReceiptSigner } from '../security/receipts.ts';
import { createServerCredentials, httpCredentials } from '../security/server-credentials.ts';
import { apiServices } from './api-services.ts';
import { beginPolicies, startAccess, turnedAwayLog, type Access } from './access.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { openAudit } from './audit-start.ts';
import { damagedChanges, reportDamagedClients } from './damaged-rows.ts';
import { adoption } from './graphs.ts';
import { PeriodicTasks } from './periodic-tasks.ts';
import {
  connectionsOf,
  damageLog,
  figuresOf,
  logRefusedPeer,
  observer,
  warnOfDoubtfulGalleries,
  warnOfReceiptKey,
  warnOfStrangeModels,
} from './reports.ts';
import { startSearching } from './searching.ts';
import { makeSafeguards } from './safeguards.ts';
import type { RefusedPeer } from '../security/tls-terminator.ts';
import type { AuditTrail } from '../audit/audit-trail.ts';
import { CallsUnderWay } from '../api/calls-under-way.ts';
import { RefusalAudit, type LimitedCall } from '../api/call-audit.ts';
import type { Principal } from '../access/principal.ts';
import { HitBell } from '../sharing/hit-bell.ts';
import { openStore, type Store } from '../store/store.ts';
import type { StoreHealth } from '../store/store-health.ts';
import { makeApiServer, makeHttpServer } from './surfaces.ts';
import { wholeOrNothing, type Teardown } from './teardown.ts';

/** A running service. */
export interface Service {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Whether the HTTP port uses TLS. */
  readonly isHttpSecure: boolean;
  /** Subjects that can be searched. */
  readonly subjectCount: () => number;
  /** Drains calls and stops everything; the second call waits for the first. */
  stop(): Promise<void>;
  /** Cuts off the calls that stop() is waiting for. */
  hurry(): void;
  /** Reads the files of certificates and of identity providers again, where there are any. Logs what comes of it. */
  reload(): Promise<void>;
}

/** Before the audit has begun. */
const NO_RECORDS = { spooledBytes: 0, refused: 0 };
/** Log lines about defects in the handling of stream records or HTTP requests, for one reason in ten seconds. */
const MAX_DEFECTS = 20;
/** Time for calls that were cut off to end and be recorded, in milliseconds: longer than the store takes for a change. */
const RECORDING_MS = 8000;

/**
 * Starts the service: store, gallery, workers, gRPC and HTTP. Resolves when the gallery is searchable.
 * @param stopRequest - when aborted, the start is given up at any point
 * @throws Failure with the obstacle in one sentence, START_GIVEN_UP among them; the parts already started are stopped
 */
export function startService(
  configuration: Configuration,
  log: Logger,
  stopRequest: AbortSignal = new AbortController().signal,
): Promise<Service> {
  return wholeOrNothing((teardown) => start(configuration, log, teardown, stopRequest), stopRequest);
}

async function start(
  configuration: Configuration,
  log: Logger,
  teardown: Teardown,
  signal: AbortSignal,
): Promise<Service> {
  const startTime = new Date();
  const quarantine = new Quarantine(damageLog(log));
  const readiness = new Readiness(() => quarantine.count);
  const credentials = createServerCredentials(configuration);
  const httpCertificates = httpCredentials(configuration, credentials);
  await credentials?.requireSignedLists();

  const faceKinds = configuration.faceModels.map(({ id, dimension }) => ({ modelId: id, dimension }));
  const calibrations = new Calibrations(readCalibrations(configuration.calibrations, faceKinds));

  const searching = startSearching(configuration, calibrations, teardown, log, (seconds) =>
    metrics.observeWait(seconds),
  );
  const { served, pool, admission, audit, graphs, tuning, compactor, faceCoding, spectra } = searching;
  const { targetHitRate } = configuration;
  // Metrics can be scraped before there is a store.
  let indexes: IndexSwitcher | undefined = undefined;
  let health: StoreHealth | undefined = undefined;
  let recording: AuditTrail | undefined = undefined;
  const figures = () => ({
    ...figuresOf(served.current, indexes, admission, readiness, audit, compactor, health, quarantine),
    lists: { targetHitRate, kinds: tuning.figures },
    graphs: graphs?.figures ?? [],
    auditTrail: recording?.figures ?? NO_RECORDS,
    certificates: credentials?.lifetimes ?? [],
    damagedChanges: forged.count,
    damagedClients: access?.directory.damaged.length ?? 0,
  });
  const damage = { log, count: (reason: string) => metrics.observeRefusal(reason) };
  const forged = damagedChanges(damage);
  const metrics = new Metrics(figures, { version: programVersion, model: fingerVersion(calibrations).model });
  const defects = new LineLimit(MAX_DEFECTS);
  const refusals = new RefusalLog(log, (reason) => metrics.observeRefusal(reason));
  const connections = connectionsOf(configuration, log);
  const watch =
    credentials && new CertificateWatch(credentials, { log, count: (outcome) => metrics.observeCertificates(outcome) });
  watch?.start();
  teardown.add(() => Promise.resolve(watch?.stop()));
  let refusalAudit: RefusalAudit | undefined = undefined;
  const refusedPeer = logRefusedPeer(log);
  const handshakeRefused = (surface: 'grpc' | 'http', peer: RefusedPeer) => {
    refusedPeer(surface, peer);
    refusalAudit?.handshake(peer.reason, peer.address, peer.certificate?.fingerprint);
  };
  let access: Access | undefined = undefined;
  let identify: ReturnType<typeof identifyRoute> | undefined = undefined;
  let server: ApiServer | undefined = undefined;
  const http = makeHttpServer({
    configuration,
    certificates: httpCertificates,
    handshakeRefused,
    maxConnections: connections.http,
    readiness,
    metrics,
    refusals,
    defects,
    log,
    obstacle: () => server?.obstacle,
    identify: () => identify,
    gatekeeper: () => access?.gatekeeper,
    // The server itself counts what it refuses.
    turnedAway: (call) => refusalAudit?.call(call),
  });
  const httpPort = await http.start(configuration.httpHost, configuration.httpPort);
  teardown.add(() => http.stop());

  readiness.starting('Opening the store.');
  const loadingPolicies = beginPolicies(configuration, log);
  const keys = new Keys(configuration);
  const store = await openStore({
    databaseUrl: configuration.databaseUrl,
    databaseOwnerUrl: configuration.databaseOwnerUrl,
    dataDir: configuration.dataDir,
    keys,
    log: ({ level, message }) => log[level](message),
    patience: {
      patienceMs: configuration.storePatienceSeconds * 1000,
      onWait: (sentence) => readiness.starting(`Opening the store: ${sentence}.`),
      signal,
    },
  });
  teardown.add(() => store.close());
  health = store.health;
  const { gatekeeper, decider, directory, policies, signIns } = (access = await startAccess(
    configuration,
    loadingPolicies,
    store.clients,
    served.knownGalleries,
    log,
    (outcome) => metrics.observeProviderKeys(outcome),
  ));
  teardown.add(() => Promise.resolve(signIns.stop()));
  const trail = await openAudit(configuration, store, keys, (level, facts, message) => log[level](facts, message));
  teardown.add(() => trail.close());
  recording = trail;
  reportDamagedClients(directory, damage, trail);
  const refused = new RefusalAudit(trail);
  refusalAudit = refused;
  teardown.add(() => refused.flush());
  const underWay = new CallsUnderWay();
  teardown.add(async () => {
    if (!(await underWay.ended(RECORDING_MS))) log.error('calls had not ended when the audit closed');
  });
  const signer = await ReceiptSigner.open(configuration.receiptKey, configuration.dataDir);
  await warnOfReceiptKey(signer, configuration, store.subjects, log);

  const pack: PackTemplates = (templates) => packTemplates(pool, templates);
  const follower = new ChangeFollower(served, store.subjects, pack, quarantine, forged);
  const switcher = new IndexSwitcher(
    {
      indexDir: configuration.indexDir,
      models: packedModels(),
      sealerOf: sealersOf(keys, 'index'),
      stateAt: (sequence) => store.subjects.stateAt(sequence),
      makeCoder: faceCoderOf,
      onGraphs: adoption(graphs),
      onDamaged: (damaged) => quarantine.add(damaged),
    },
    served,
    follower,
  );
  indexes = switcher;
  const faceModels = new Map(configuration.faceModels.map((model) => [model.id, model]));
  const enrolment: EnrolmentDependencies = {
    store: store.subjects,
    follower,
    pool,
    faceModels,
    minimumQuality: configuration.minimumQuality,
    countRefusal: ({ reason, kind, detail }) => {
      metrics.observeRefusal(reason);
      const more = kind === 'internal' ? defects.admit(reason) : undefined;
      if (more !== undefined)
        log.error({ reason, err: detail.cause, ...more }, 'a record of a stream failed by a defect');
    },
    countWarnings: (warnings) => metrics.observeWarnings(warnings),
    quarantine,
  };
  const requireReady = () => {
    const { stage, detail } = readiness.state;
    if (stage === 'starting')
      throw new Failure('failed-precondition', 'NOT_READY', `The gallery is being loaded. ${detail}`);
    if (stage === 'stopping')
      throw new Failure('unavailable', 'STOPPING', 'The service is stopping.', { retryAfterMs: 1000 });
  };

  const safeguards = makeSafeguards({
    clients: store.clients,
    directory,
    audit: trail,
    records: store.safeguardRecords,
    log,
    count: (reason) => metrics.observeRefusal(reason),
  });
  const { history } = safeguards;
  // Beside the loading of the gallery.
  void history.run();
  teardown.add(() => history.stop());
  const settings = {
    observe: observer(log, metrics, store.health),
    decider,
    audit: trail,
    underWay,
    takeCall: ({ client }: Principal) => safeguards.rates.take(client),
    limited: (call: LimitedCall) => refused.limited(call),
    defaultDeadlineMs: configuration.defaultDeadlineMs,
  };
  const bell = new HitBell();
  const services = apiServices({
    configuration,
    settings,
    searching,
    calibrations,
    store,
    keys,
    safeguards,
    enrolment,
    switcher,
    signer,
    access,
    forged,
    bell,
    metrics,
    readiness,
    requireReady,
    startTime,
  });
  identify = identifyRoute(services.identifyBy, settings, configuration.maxMessageBytes);
  const countTurnedAway = turnedAwayLog(refusals);
  const api = makeApiServer(services.grpc, {
    configuration,
    maxConnections: connections.grpc,
    refusals,
    observe: settings.observe,
    gatekeeper,
    openStream: ({ client }) => safeguards.rates.openStream(client),
    turnedAway: (call) => {
      countTurnedAway(call);
      refused.call(call);
    },
    handshakeRefused,
  });
  server = api;
  const grpcPort = await api.listen(configuration.grpcHost, configuration.grpcPort, credentials);
  // If the start is given up, there are no calls to drain.
  teardown.add(async () => {
    const drained = await api.stop(readiness.state.stage === 'stopping' ? configuration.drainSeconds * 1000 : 0);
    if (!drained) log.warn('calls were cut off: the time for draining was up');
  });
  // Streams of hits never end by themselves: there is no use in waiting for them.
  teardown.add(() => Promise.resolve(bell.close()));

  const headSequence = () => store.subjects.headSequence();
  const lookForLost = () => store.subjects.lookAhead();
  await startGallery({ switcher, follower, headSequence, lookForLost, quarantine, readiness, log });
  await store.endOwnership();
  if (await wantsDemo(configuration, store, served.current)) {
    await loadDemoGallery(enrolment, configuration.demoSubjects, signal, (people) => {
      readiness.starting(`Making the demo gallery: ${people} of ${configuration.demoSubjects} people.`);
      log.info({ people }, 'making the demo gallery');
    });
  }

  warnOfStrangeModels(served.current, faceModels, log);
  warnOfDoubtfulGalleries(quarantine, log);
  const tasks = new PeriodicTasks({
    store,
    directory,
    gatekeeper,
    policies,
    keys,
    served,
    follower,
    switcher,
    compactor,
    faceCoding,
    spectra,
    history,
    tuning,
    graphs,
    signer,
    bell,
    readiness,
    log,
  });
  tasks.start();
  teardown.add(() => tasks.stop());

  readiness.ready();
  api.setServing(true);
  log.info({ grpc_port: grpcPort, http_port: httpPort, subjects: served.current.subjectCount }, 'ready');

  const stop = async () => {
    readiness.stopping();
    await teardown.run();
    log.info('stopped');
  };
  let stopped: Promise<void> | undefined;
  return {
    grpcPort,
    httpPort,
    isHttpSecure: httpCertificates !== undefined,
    subjectCount: () => served.current.subjectCount,
    stop: () => (stopped ??= stop()),
    hurry: () => void api.stop(0),
    reload: async () => void (await Promise.all([watch?.reload(), signIns.reload()])),
  };
}

/**
 * Whether to make the demo gallery, which is for trying the service: on an operator's own database only on request, and
 * never in a store that has been used. A store that has lost all its data must not be filled with demo subjects.
 */
async function wantsDemo(configuration: Configuration, store: Store, gallery: Gallery): Promise<boolean> {
  if (configuration.demo === 'never' || gallery.version > 0) return false;
  return (configuration.demo === 'always' || store.kind === 'embedded') && (await store.subjects.isUntouched());
}
