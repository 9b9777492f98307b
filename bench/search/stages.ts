/** CPU time of a search by stage. */
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';

export interface Stages {
  begin(): void;
  /** @param cpuMs - of the process since `begin` @returns milliseconds of each stage and of the remainder */
  end(cpuMs: number): Record<string, number>;
}

/** Sums the threads' time by stage. Wraps the pool's methods: later calls are measured. */
export function watchStages(pool: WorkerPool): Stages {
  const busy = { scan: 0, shortlist: 0, compare: 0 };
  const watch = <Arguments extends unknown[], Result extends { readonly busyMs: number }>(
    stage: keyof typeof busy,
    own: (...given: Arguments) => Promise<Result>,
  ) => {
    return async (...given: Arguments): Promise<Result> => {
      const result = await own(...given);
      busy[stage] += result.busyMs;
      return result;
    };
  };
  pool.scan = watch('scan', pool.scan.bind(pool));
  pool.scanCodes = watch('scan', pool.scanCodes.bind(pool));
  pool.choose = watch('shortlist', pool.choose.bind(pool));
  pool.shortlist = watch('shortlist', pool.shortlist.bind(pool));
  pool.compare = watch('compare', pool.compare.bind(pool));
  return {
    begin: () => void Object.assign(busy, { scan: 0, shortlist: 0, compare: 0 }),
    end: (cpuMs) => {
      const known = busy.scan + busy.shortlist + busy.compare;
      return { ...busy, 'main thread and messages': Math.max(0, cpuMs - known) };
    },
  };
}
