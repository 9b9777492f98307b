/** Rounds of work by several callers, each of which begins the next piece when its last one has ended. */

/** Work of one round. */
export interface Round {
  readonly done: number;
  readonly seconds: number;
  /** CPU time of all threads. */
  readonly cpuMs: number;
  /** CPU time of the main thread, included in `cpuMs`. */
  readonly mainMs: number;
}

/** Runs the work in `loops` closed loops. */
export async function inLoops(loops: number, forSeconds: number, work: (i: number) => Promise<void>): Promise<Round> {
  const [started, cpu, main] = [performance.now(), process.cpuUsage(), process.threadCpuUsage()];
  const end = started + forSeconds * 1000;
  let [next, done] = [0, 0];
  // Work unfinished at the end counts by the share of its time before the end.
  const loop = async () => {
    while (performance.now() < end) {
      const began = performance.now();
      await work(next++);
      const ended = performance.now();
      done += ended <= end ? 1 : (end - began) / (ended - began);
    }
  };
  await Promise.all(Array.from({ length: loops }, loop));
  const milliseconds = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000;
  return {
    done,
    seconds: forSeconds,
    cpuMs: milliseconds(process.cpuUsage(cpu)),
    mainMs: milliseconds(process.threadCpuUsage(main)),
  };
}
