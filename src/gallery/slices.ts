import { setImmediate } from 'node:timers/promises';

/** Work between two turns of the event loop, in milliseconds: calls that come meanwhile wait no longer than that. */
export const SLICE_MS = 1;

/**
 * Does work step by step, with turns of the event loop in between.
 * @param sliceMs - 0: between any two steps
 * @param isStopped - asked before every step
 * @returns whether all steps were done, rather than stopped
 */
export async function inSlices(
  steps: Iterator<void>,
  sliceMs: number,
  isStopped: () => boolean = () => false,
): Promise<boolean> {
  let started = performance.now();
  while (!isStopped()) {
    if (steps.next().done === true) return true;
    if (performance.now() - started < sliceMs) continue;
    await setImmediate();
    started = performance.now();
  }
  return false;
}
