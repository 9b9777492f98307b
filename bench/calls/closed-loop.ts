import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';

/** @returns searches a second of callers that wait for each answer */
export async function closedLoop(
  callers: number,
  seconds: number,
  probes: readonly Sample[][],
  identify: (samples: Sample[]) => Promise<unknown>,
): Promise<number> {
  const started = performance.now();
  let done = 0;
  const caller = async () => {
    while (performance.now() - started < seconds * 1000) {
      await identify(probes[done % probes.length]);
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done / ((performance.now() - started) / 1000);
}
