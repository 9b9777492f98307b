/** Reports of a running service, to the log and to the metrics. */
import type { CallReport } from '../api/call.ts';
import type { FaceModel } from '../contract/wire-samples.ts';
import type { Configuration } from '../configuration.ts';
import type { Gallery } from '../gallery/gallery.ts';
import type { IndexSwitcher } from '../index-files/index-switcher.ts';
import type { OnDamage, Quarantine } from '../gallery/quarantine.ts';
import type { Compactor } from '../gallery/compactor.ts';
import type { AdmissionQueue } from '../matching/search/admission.ts';
import type { IndexAudit } from '../matching/search/index-audit.ts';
import { descriptorLimit, shareConnections } from '../network/descriptor-limit.ts';
import { LineLimit } from '../observability/line-limit.ts';
import type { Logger } from '../observability/logging.ts';
import type { Metrics, ServiceFigures } from '../observability/metrics.ts';
import type { Readiness } from '../observability/readiness.ts';
import type { StoreHealth } from '../store/store-health.ts';
import type { RefusedPeer } from '../security/tls-terminator.ts';
import { otherReceiptKey, placeOfReceiptKey, type ReceiptSigner } from '../security/receipts.ts';
import type { SubjectStore } from '../store/subject-store.ts';

/** Largest number of damaged references named in the log and in the metrics. */
const MAX_LOGGED_DAMAGE = 1000;
const MAX_LABELLED = 100;

export function figuresOf(
  gallery: Gallery,
  switcher: IndexSwitcher | undefined,
  admission: AdmissionQueue,
  readiness: Readiness,
  audit: IndexAudit,
  compactor: Compactor,
  health: StoreHealth | undefined,
  quarantine: Quarantine,
): Omit<ServiceFigures, 'lists' | 'graphs' | 'certificates' | 'auditTrail' | 'damagedChanges' | 'damagedClients'> {
  return {
    subjects: gallery.subjectCount,
    references: gallery.partitionCounts.map(({ partition, liveCount }) => ({
      partition: partition.key,
      count: liveCount,
    })),
    galleryVersion: gallery.version,
    index: { sequence: switcher?.index?.sequence ?? 0, isRefusing: switcher?.isRefusing === true },
    searchesUnderWay: admission.running,
    searchesWaiting: admission.waiting,
    ready: readiness.state.stage === 'ready',
    audit: audit.figures,
    auditOf: audit.groups.map(({ modalities, way, figures }) => ({ modality: modalities, way, figures })),
    compactions: compactor.compactions,
    store: health?.condition ?? { isReachable: false, isWritable: false },
    damagedReferences: { count: quarantine.count, ids: quarantine.list(MAX_LABELLED).map((one) => one.referenceId) },
  };
}

/** The only fact that is logged about a single reference is the id of a damaged one, in a separate field. */
export function damageLog(log: Logger): OnDamage {
  let left = MAX_LOGGED_DAMAGE;
  return ({ referenceId, reason }) => {
    if (left-- > 0) log.error({ damaged_reference: referenceId, reason }, 'a stored reference is damaged');
    else if (left === -1) log.error('more stored references are damaged: ridgewatch store check lists them');
  };
}

/** `store check` lists the subjects. The log only says that some exist, because searches of a gallery may miss them. */
export function warnOfDoubtfulGalleries({ unsureCount }: Quarantine, log: Logger): void {
  if (unsureCount === 0) return;
  log.error(
    { subject_count: unsureCount },
    'the galleries of some subjects are uncertain: searches of a gallery may miss them; ridgewatch store check lists them',
  );
}

/** References of face models that are not configured are kept, but never compared. */
export function warnOfStrangeModels(gallery: Gallery, faceModels: ReadonlyMap<string, FaceModel>, log: Logger): void {
  for (const { name, liveCount } of gallery.partitions) {
    if (name.modality !== 'face' || liveCount === 0) continue;
    if (faceModels.get(name.modelId)?.dimension === name.dimension) continue;
    log.warn(
      { model: name.modelId, dimension: name.dimension, reference_count: liveCount },
      'references of a face model that is not configured (RIDGEWATCH_FACE_MODELS) are kept and not compared',
    );
  }
}

/** Connections of each surface; logs it if there are fewer than configured. */
export function connectionsOf(
  configuration: Configuration,
  log: Logger,
): { readonly grpc: number; readonly http: number } {
  const wanted = { grpc: configuration.maxConnections, http: configuration.maxHttpConnections };
  const { grpc, http, cutBy } = shareConnections(wanted, descriptorLimit());
  if (cutBy !== undefined) {
    const figures = { descriptor_limit: cutBy, grpc_connections: grpc, http_connections: http };
    log.info(figures, 'the limit of file descriptors allows fewer connections than the settings');
  }
  return { grpc, http };
}

/**
 * Log lines for one method and reason in ten seconds. A refused call costs its caller five bytes, a line two hundred.
 */
const MAX_ALIKE = 100;

/**
 * Reports each call to the log and the metrics. Every served call about subjects is logged: the line is the audit
 * record. Refusals for the same reason and status calls are logged up to a limit. Every call is counted.
 */
export function observer(log: Logger, metrics: Metrics, health: StoreHealth): (report: CallReport) => void {
  const limit = new LineLimit(MAX_ALIKE);
  return ({ method, requestId, code, reason, seconds, facts, defect, cause }) => {
    // A failed call makes the next probe check the store.
    if (reason?.startsWith('STORE_') === true) health.doubt();
    metrics.observeCall({ method, code, reason, seconds, comparisons: Number(facts.comparisons ?? 0) });
    const isKept = reason === undefined && !method.startsWith('Operations/');
    const more = isKept ? {} : limit.admit(`${method} ${reason ?? code}`);
    if (more === undefined) return;
    const line = {
      method,
      request_id: requestId,
      code,
      ...(reason && { reason }),
      ms: Math.round(seconds * 1000),
      ...facts,
      ...more,
    };
    if (defect !== undefined) log.error({ ...line, err: defect }, 'call failed by a defect');
    else if (cause !== undefined) log.warn({ ...line, err: cause }, 'call failed');
    else log.info(line, 'call');
  };
}

/**
 * Logs clients whose handshake or certificate was refused. The names in their certificates are not for the log: anybody
 * can put anything there.
 */
export function logRefusedPeer(log: Logger): (surface: 'grpc' | 'http', peer: RefusedPeer) => void {
  return (surface, { reason, address, certificate, wasAccepted, unsaid }) =>
    log.info(
      {
        surface,
        reason,
        address,
        ...(certificate && { certificate: certificate.fingerprint }),
        ...(wasAccepted && { was_accepted: true }),
        ...(unsaid > 0 && { unsaid }),
      },
      'a client was refused',
    );
}

/** A receipt key that was just created, or that replaced the right one, cannot verify the existing receipts. */
export async function warnOfReceiptKey(
  signer: ReceiptSigner,
  { receiptKey, dataDir }: Pick<Configuration, 'receiptKey' | 'dataDir'>,
  subjects: Pick<SubjectStore, 'lastReceipt'>,
  log: Logger,
): Promise<void> {
  try {
    const last = await subjects.lastReceipt();
    const warning = otherReceiptKey(signer, placeOfReceiptKey(receiptKey, dataDir), last);
    if (warning !== undefined) log.warn(warning);
  } catch (error) {
    // A damaged receipt must not stop the service.
    log.warn({ err: error }, 'the last receipt cannot be read; whether its key still exists is unknown');
  }
}
