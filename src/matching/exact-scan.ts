import type { CandidateSource, Hit, Proposal } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from './worker-pool.ts';

/**
 * References per task. A task should take a millisecond and more, or the messages cost more than the work, and only a
 * few, so that searches share the threads fairly.
 */
const FINGERS_PER_TASK = 512;
const FACES_PER_TASK = 32_768;

/** Hits that are more common than this among different people are not carried to the second stage. */
const FLOOR_LOG10_FMR = -1;

/** Compares a probe with every reference in scope. */
export class ExactScan implements CandidateSource {
  readonly mode = 'exact';
  readonly #pool: WorkerPool;

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  async propose(probe: Probe, view: SearchView, control: SharedArrayBuffer): Promise<Proposal> {
    const { packed } = probe;
    if (packed === undefined) return { hits: [], compared: 0 };
    const floor = probe.calibration.scoreAt(FLOOR_LOG10_FMR);
    const step = packed.modality === 'finger' ? FINGERS_PER_TASK : FACES_PER_TASK;
    const tasks = view.rangesFor(probe).flatMap(({ segment, end }) =>
      Array.from({ length: Math.ceil(end / step) }, (_, task) => ({
        segment,
        from: task * step,
        to: Math.min(end, (task + 1) * step),
      })),
    );
    const results = await Promise.all(
      tasks.map(async ({ segment, from, to }) => {
        const task = { kind: 'scan', probe: packed, segment: segment.handle, from, to, floor, control } as const;
        return { segment, ...(await this.#pool.scan(task)) };
      }),
    );
    const hits: Hit[] = [];
    let compared = 0;
    for (const { segment, indices, scores, compared: inRange } of results) {
      compared += inRange;
      indices.forEach((index, i) => hits.push({ segment, index, score: scores[i] }));
    }
    return { hits, compared };
  }
}
