import { setImmediate } from 'node:timers/promises';

/** Work between two turns of the event loop, in ms: the longest delay for calls that arrive meanwhile. */
export const SLICE_MS = 1;

/**
 * Does work step by step, with turns of the event loop in between.
 * @param sliceMs - 0: a turn after every step
 * @param isStopped - checked before every step
 * @returns false when stopped before the last step
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
