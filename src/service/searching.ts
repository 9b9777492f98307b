import type { Configuration } from '../configuration.ts';
import { ActiveGallery } from '../gallery/active-gallery.ts';
import { Compactor } from '../gallery/compactor.ts';
import type { CandidateGraphs } from '../matching/graph/candidate-graphs.ts';
import type { Calibrations } from '../matching/rates/calibrations.ts';
import { AdmissionQueue } from '../matching/search/admission.ts';
import { FaceCoding } from '../matching/search/face-coding.ts';
import { FaceSpectra } from '../matching/search/face-spectra.ts';
import { GraphSubjects } from '../matching/search/graph-subjects.ts';
import { IndexAudit } from '../matching/search/index-audit.ts';
import { Planner } from '../matching/search/planner.ts';
import type { ListTuning } from '../matching/tuning/list-tuning.ts';
import { gallerySizing, SEGMENT_CAPACITY } from '../matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../matching/workers/worker-pool.ts';
import type { Logger } from '../observability/logging.ts';
import { candidateGraphs } from './graphs.ts';
import { listTuning } from './measured-lists.ts';
import type { Teardown } from './teardown.ts';

/** Concurrent searches per worker thread: one runs on the threads while another is prepared or merged. */
const SEARCHES_PER_WORKER = 2;

/** The gallery in memory, and what searches it and keeps it searchable. */
export interface Searching {
  readonly served: ActiveGallery;
  readonly pool: WorkerPool;
  readonly admission: AdmissionQueue;
  readonly planner: Planner;
  readonly audit: IndexAudit;
  readonly faceCoding: FaceCoding;
  readonly spectra: FaceSpectra;
  /** Undefined: no graph is used. */
  readonly graphs: CandidateGraphs | undefined;
  readonly tuning: ListTuning;
  readonly compactor: Compactor;
}

/** @param onWait - called with the wait of each search, in seconds */
export function startSearching(
  configuration: Configuration,
  calibrations: Calibrations,
  teardown: Teardown,
  log: Logger,
  onWait: (seconds: number) => void,
): Searching {
  const { workers, maxQueuedSearches, indexAuditShare, targetHitRate, candidates } = configuration;
  const served = new ActiveGallery(gallerySizing(SEGMENT_CAPACITY));
  const pool = new WorkerPool(workers, calibrations);
  teardown.add(() => pool.close());
  const admission = new AdmissionQueue(SEARCHES_PER_WORKER * pool.size, maxQueuedSearches, (ms) => onWait(ms / 1000));
  const audit = new IndexAudit(
    indexAuditShare,
    targetHitRate,
    served,
    pool,
    () => admission.idle(),
    (error) => log.warn({ err: error }, 'a search could not be repeated for the audit of the index'),
  );
  teardown.add(() => audit.stop());
  const faceCoding = new FaceCoding(served, pool, (error) =>
    log.warn({ err: error }, 'faces are not coded; searches for them stay exact'),
  );
  const spectra = new FaceSpectra(
    served,
    ({ modelId }, faces) =>
      log.info({ model: modelId, faces }, 'probes of a face model are held against its enrolled faces'),
    (error) => log.warn({ err: error }, 'the spectrum of a face model could not be learned'),
  );
  const graphs = candidateGraphs(configuration, served, log);
  const tuning = listTuning(configuration, served, pool, admission, log);
  const compactor = new Compactor(served, (error) =>
    log.warn({ err: error }, 'a segment could not be compacted; it stays in use'),
  );
  const planner = new Planner(pool, { candidates, graphs: graphs && new GraphSubjects(graphs) });
  return { served, pool, admission, planner, audit, faceCoding, spectra, graphs, tuning, compactor };
}
