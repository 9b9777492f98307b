import type { Configuration } from '../configuration.ts';
import type { CurrentGallery } from '../gallery/active-gallery.ts';
import type { AdmissionQueue } from '../matching/search/admission.ts';
import { ListTuning, type ListFigures } from '../matching/tuning/list-tuning.ts';
import type { WorkerPool } from '../matching/workers/worker-pool.ts';
import type { Logger } from '../observability/logging.ts';

/** Measures the list lengths of indexed searches while no search is running or waiting. */
export function listTuning(
  { targetHitRate, targetFpir }: Pick<Configuration, 'targetHitRate' | 'targetFpir'>,
  served: CurrentGallery,
  pool: WorkerPool,
  admission: AdmissionQueue,
  log: Logger,
): ListTuning {
  return new ListTuning({
    targetHitRate,
    targetFpir,
    served,
    pool,
    idle: () => admission.idle(),
    onMeasured: lengthsLog(log, targetHitRate),
    onError: (error) => log.warn({ err: error }, 'list lengths could not be measured; they stay as they are'),
  });
}

/** Counts and shares only: nothing about the subjects that probes were made of. */
function lengthsLog(log: Logger, targetHitRate: number): (figures: ListFigures) => void {
  return ({ kind, shares, subjects, trials, hits, hitRateLower, isReached }) => {
    const facts = {
      probes: kind,
      subject_count: subjects,
      ranked_share: shares.ranked,
      compared_share: shares.compared,
      probe_count: trials,
      hit_count: hits,
      hit_rate_lower: Number(hitRateLower.toFixed(5)),
      target_hit_rate: targetHitRate,
    };
    if (isReached) log.info(facts, 'list lengths were measured');
    else log.warn(facts, 'list lengths were measured; no permitted lengths are shown to reach the target hit rate');
  };
}
