import { contentHash, type ContentHash } from '../gallery/content-hash.ts';
import type { IndexSwitcher } from '../index-files/index-switcher.ts';
import type { DamagedChanges } from '../gallery/damaged-changes.ts';
import type { Quarantine } from '../gallery/quarantine.ts';
import type { CurrentGallery } from '../gallery/active-gallery.ts';
import type { AuditGroup, IndexAudit } from '../matching/search/index-audit.ts';
import { faceVersion, fingerVersion, packedModels, type ModelVersion } from '../matching/rates/model-version.ts';
import type { Calibrations } from '../matching/rates/calibrations.ts';
import type { FaceSpectra } from '../matching/search/face-spectra.ts';
import type { ListTuning } from '../matching/tuning/list-tuning.ts';
import { shippedVectorModel } from '../matching/model/shipped-model.ts';
import { Coalesced } from '../observability/coalesced.ts';
import { toCandidateLists } from './candidate-lists.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';
import {
  Readiness,
  type GetContentHashResponse,
  type GetStatusResponse,
  type IndexAuditGroup,
  type OperationsServer,
  type ReloadIndexResponse,
} from '../contract/generated/ridgewatch/v1/operations.ts';
import { Modality } from '../contract/generated/ridgewatch/v1/sample.ts';
import { toDuration } from '../contract/wire-duration.ts';
import { toWireWay } from '../contract/wire-names.ts';
import type { FaceModel } from '../contract/wire-samples.ts';

/** Life cycle stage of the service. */
export type LifeStage = 'starting' | 'ready' | 'stopping';

export interface OperationsDependencies {
  readonly served: CurrentGallery;
  readonly faceModels: ReadonlyMap<string, FaceModel>;
  readonly calibrations: Calibrations;
  readonly workerCount: number;
  readonly programVersion: string;
  readonly startTime: Date;
  readonly simdLevel: string;
  readonly audit: IndexAudit;
  readonly tuning: ListTuning;
  readonly spectra: Pick<FaceSpectra, 'learnedFrom'>;
  readonly targetHitRate: number;
  readonly switcher: IndexSwitcher;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
  stage(): { readonly stage: LifeStage; readonly detail: string };
  /** Last change and schema version of the store; undefined while it cannot be reached. */
  storeState(): Promise<{ readonly version: number; readonly schema: string } | undefined>;
  /** Whether the store can be reached and written, as of the last check. */
  condition(): { readonly isReachable: boolean; readonly isWritable: boolean };
  readonly quarantine: Quarantine;
  readonly damagedChanges: DamagedChanges;
  /** Number of clients that are not let in because they are not what was registered. */
  damagedClients(): number;
}

/** Maximum number of damaged references in one status. */
const MAX_NAMED = 1000;

const STAGES: Record<LifeStage, Readiness> = {
  starting: Readiness.STARTING,
  ready: Readiness.READY,
  stopping: Readiness.STOPPING,
};

/** The `Operations` service. */
export function operationsService(service: OperationsDependencies, settings: CallSettings): OperationsServer {
  // Concurrent requests share one pass over the gallery.
  const hash = new Coalesced((signal) => contentHash(service.served.current, packedModels(), { signal }));
  return {
    getStatus: unary('Operations/GetStatus', settings, (_, context) => {
      context.authorize({ purpose: 'none', galleries: [] });
      return status(service);
    }),
    getContentHash: unary('Operations/GetContentHash', settings, (_, context) => {
      context.authorize({ purpose: 'none', galleries: [] });
      return hashContent(service, hash, context.signal);
    }),
    reloadIndex: unary('Operations/ReloadIndex', settings, (_, context) => reloadIndex(service, context)),
  };
}

async function hashContent(
  service: OperationsDependencies,
  coalesced: Coalesced<ContentHash>,
  signal: AbortSignal,
): Promise<GetContentHashResponse> {
  service.requireReady();
  const { hash, version, subjects } = await coalesced.get(signal);
  return { hash, galleryVersion: version, subjectCount: subjects };
}

async function reloadIndex(service: OperationsDependencies, context: CallContext): Promise<ReloadIndexResponse> {
  context.authorize({ purpose: 'none', galleries: [] });
  service.requireReady();
  const { switcher, served } = service;
  const switched = await switcher.reload();
  const { name = '', sequence = 0 } = switcher.index ?? {};
  // The log must show which index answered a search, whichever client requested the switch.
  context.note({ index: name, switched });
  return { switched, indexName: name, indexSequence: sequence, galleryVersion: served.current.version };
}

async function status(service: OperationsDependencies): Promise<GetStatusResponse> {
  const gallery = service.served.current;
  const store = await service.storeState();
  const { stage, detail } = service.stage();
  const partitions = gallery.partitionCounts;
  const versions: ModelVersion[] = [
    fingerVersion(service.calibrations),
    ...[...service.faceModels.values()].map(({ id, dimension }) =>
      faceVersion(service.calibrations, { modelId: id, dimension }),
    ),
  ];
  return {
    readiness: STAGES[stage],
    detail: store === undefined ? `${detail} The store cannot be reached.`.trim() : detail,
    programVersion: service.programVersion,
    runtimeVersion: process.version,
    galleryVersion: gallery.version,
    storeVersion: store?.version ?? gallery.version,
    schemaVersion: store?.schema ?? '',
    subjectCount: gallery.subjectCount,
    referenceCount: partitions.reduce((sum, { liveCount }) => sum + liveCount, 0),
    notComparableCount: gallery.notComparableCount,
    partitions: partitions.map(({ partition: { name, removedCount, segmentCount, usedBytes }, ...counts }) => ({
      modality: name.modality === 'finger' ? Modality.FINGER : Modality.FACE,
      fingerPosition: name.modality === 'finger' ? name.position : 0,
      modelId: name.modality === 'face' ? name.modelId : '',
      ...counts,
      removedCount,
      segmentCount,
      memoryBytes: usedBytes,
    })),
    galleries: gallery.gallerySizes.map(([name, subjectCount]) => ({ gallery: name, subjectCount })),
    modelVersions: versions.map(({ modality, ...version }) => ({
      modality: modality === 'finger' ? Modality.FINGER : Modality.FACE,
      ...version,
    })),
    workerCount: service.workerCount,
    startTime: service.startTime,
    uptime: toDuration(Date.now() - service.startTime.getTime()),
    simdLevel: service.simdLevel,
    indexAudit: service.audit.figures,
    indexAudits: service.audit.groups.filter(({ figures }) => figures.searches > 0).map(toWireGroup),
    vectorModelHash: shippedVectorModel().hash,
    indexName: service.switcher.index?.name ?? '',
    indexSequence: service.switcher.index?.sequence ?? 0,
    storeReachable: store !== undefined,
    storeWritable: store !== undefined && service.condition().isWritable,
    damagedReferenceCount: service.quarantine.count,
    damagedChangeCount: service.damagedChanges.count,
    damagedClientCount: service.damagedClients(),
    damagedReferences: service.quarantine.list(MAX_NAMED),
    targetHitRate: service.targetHitRate,
    candidateLists: service.tuning.figures.map(toCandidateLists),
    faceSpectra: [...service.faceModels.values()]
      .map(({ id, dimension }) => ({
        modelId: id,
        faceCount: service.spectra.learnedFrom({ modelId: id, dimension }),
      }))
      .sort((a, b) => (a.modelId < b.modelId ? -1 : 1)),
  };
}

const MODALITIES: Record<AuditGroup['modalities'], readonly Modality[]> = {
  finger: [Modality.FINGER],
  face: [Modality.FACE],
  'finger+face': [Modality.FINGER, Modality.FACE],
};

function toWireGroup({ modalities, way, figures }: AuditGroup): IndexAuditGroup {
  return {
    modalities: [...MODALITIES[modalities]],
    way: toWireWay(way),
    audit: figures,
    missesTarget: figures.missesTarget,
  };
}
