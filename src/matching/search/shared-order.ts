/** A task of a search. */
export interface SharedJob<T> {
  /** Names what it reads, see WorkerPool.joinable; undefined: it is never shared. */
  readonly name: string | undefined;
  readonly run: () => Promise<T>;
}

/**
 * Orders a search's tasks when they are begun, not before. A task comes first if it is served together with one of
 * another search that waits for a thread. Otherwise the tasks follow each other, and after the last one the first. So a
 * search that joins another one in the middle goes on beside it, and reads the beginning later: both read each part once.
 *
 * The order changes no result: each task writes to its own place.
 * @param joinable - see WorkerPool.joinable
 */
export function inSharedOrder<T>(
  jobs: readonly SharedJob<T>[],
  joinable: () => readonly string[],
): (() => Promise<T>)[] {
  const left = new Set(jobs.keys());
  const named = Map.groupBy(left, (j) => jobs[j].name);
  let next = 0;
  const joined = () =>
    joinable()
      .flatMap((name) => named.get(name) ?? [])
      .find((j) => left.has(j));
  return jobs.map(() => () => {
    let j = joined();
    if (j === undefined) {
      while (!left.has(next)) next = (next + 1) % jobs.length;
      j = next;
    }
    left.delete(j);
    next = (j + 1) % jobs.length;
    return jobs[j].run();
  });
}
