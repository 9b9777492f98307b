/** The services of the contract, made of the parts of a running service. */
import { requireKnownCaveats } from '../access/caveats.ts';
import { accessService } from '../api/access-service.ts';
import { auditService } from '../api/audit-service.ts';
import type { CallSettings } from '../api/call.ts';
import { galleryService } from '../api/gallery-service.ts';
import {
  identificationService,
  identifyBy,
  type AnswerIdentify,
  type IdentificationDependencies,
} from '../api/identification-service.ts';
import { operationsService } from '../api/operations-service.ts';
import { sharingService } from '../api/sharing-service.ts';
import type { ApiServices } from '../api/server.ts';
import { ProbeDigest } from '../audit/probe-digest.ts';
import type { Configuration } from '../configuration.ts';
import type { EnrolmentDependencies } from '../enrolment/enrolment.ts';
import type { DamagedChanges } from '../gallery/damaged-changes.ts';
import type { IndexSwitcher } from '../index-files/index-switcher.ts';
import { programVersion } from '../installation.ts';
import { preferredBuild } from '../matching/kernels/kernel-builds.ts';
import type { Calibrations } from '../matching/rates/calibrations.ts';
import { Searcher } from '../matching/search/searcher.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Readiness } from '../observability/readiness.ts';
import type { Keys } from '../security/keys.ts';
import type { ReceiptSigner } from '../security/receipts.ts';
import type { HitBell } from '../sharing/hit-bell.ts';
import type { Store } from '../store/store.ts';
import type { Access } from './access.ts';
import type { ServiceSafeguards } from './safeguards.ts';
import type { Searching } from './searching.ts';
import { factsAt } from '../api/class-masks.ts';

export interface ServiceParts {
  readonly configuration: Configuration;
  readonly settings: CallSettings;
  readonly searching: Searching;
  readonly calibrations: Calibrations;
  readonly store: Store;
  readonly keys: Keys;
  readonly safeguards: ServiceSafeguards;
  readonly enrolment: EnrolmentDependencies;
  readonly switcher: IndexSwitcher;
  readonly signer: ReceiptSigner;
  readonly access: Access;
  readonly forged: DamagedChanges;
  readonly bell: HitBell;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly startTime: Date;
  /** @throws Failure while the gallery is not searchable */
  readonly requireReady: () => void;
}

/** @returns the services over gRPC, and how searches over other transports are answered */
export function apiServices(parts: ServiceParts): { readonly grpc: ApiServices; readonly identifyBy: AnswerIdentify } {
  const { configuration, settings, searching, store, enrolment, access, bell, requireReady } = parts;
  const { maxMessageBytes, targetFpir } = configuration;
  const { served, planner, audit, pool, admission } = searching;
  const { directory, policies, signIns } = access;
  const searcher = new Searcher({
    ...{ served, planner, audit, pool, admission, targetFpir },
    quarantine: enrolment.quarantine,
  });
  const identifying = identifyingParts(parts, searcher);
  const gallery = galleryService(
    {
      ...enrolment,
      proposals: store.proposals,
      histories: store.histories,
      served,
      targetFpir,
      searcher,
      maxStreamRecords: configuration.maxStreamRecords,
      maxMessageBytes,
      signer: parts.signer,
      indexDir: configuration.indexDir,
      requireKnownCaveats: (caveats) => requireKnownCaveats(caveats, policies.current.reading),
      requireReady,
    },
    settings,
  );
  const findRecord = (subjectId: string) => {
    const subject = served.current.subject(subjectId);
    return subject && factsAt(subject, served.current.now());
  };
  const clients = { register: store.clients, rights: store.clientChanges, directory, signIns: signIns.providers };
  return {
    grpc: {
      identification: identificationService(identifying, settings),
      gallery,
      operations: operations(parts),
      sharing: sharingService(
        {
          ...{ hits: store.hits, bell, findRecord, requireReady, cases: store.cases },
          signProbe: (destroyed) => parts.signer.signProbe(destroyed),
          // Owners are told of outcomes here, once hits say that there is a case.
          caseEnded: () => undefined,
        },
        settings,
      ),
      access: accessService({ ...clients, maxMessageBytes }, settings),
      audit: auditService({ pages: store.auditPages }, settings),
    },
    identifyBy: identifyBy(identifying),
  };
}

function identifyingParts(parts: ServiceParts, searcher: Searcher): IdentificationDependencies {
  const { configuration, searching, calibrations, safeguards, enrolment, store, keys, metrics, requireReady } = parts;
  const { served, spectra } = searching;
  return {
    ...safeguards,
    cases: store.cases,
    caseLifeMs: configuration.caseHours * 3_600_000,
    served,
    searcher,
    spectra,
    calibrations,
    faceModels: enrolment.faceModels,
    targetFpir: configuration.targetFpir,
    probeDigest: new ProbeDigest(keys),
    countWarnings: (warnings) => metrics.observeWarnings(warnings),
    observeSearch: (search) => metrics.observeSearch(search),
    requireReady,
  };
}

function operations({ configuration, searching, store, enrolment, access, ...others }: ServiceParts) {
  const { served, spectra, pool, audit, tuning } = searching;
  const { switcher, calibrations, startTime, readiness, forged, settings, requireReady } = others;
  return operationsService(
    {
      served,
      switcher,
      requireReady,
      spectra,
      faceModels: enrolment.faceModels,
      calibrations,
      workerCount: pool.size,
      programVersion,
      startTime,
      simdLevel: preferredBuild() === 'relaxed' ? 'relaxed-simd' : 'simd128',
      audit,
      tuning,
      targetHitRate: configuration.targetHitRate,
      stage: () => readiness.state,
      storeState: () => storeState(store),
      condition: () => store.health.condition,
      quarantine: enrolment.quarantine,
      damagedChanges: forged,
      damagedClients: () => access.directory.damaged.length,
    },
    settings,
  );
}

async function storeState(store: Store): Promise<{ version: number; schema: string } | undefined> {
  try {
    return { version: await store.subjects.headSequence(), schema: await store.subjects.schemaVersion() };
  } catch {
    return undefined;
  }
}
