/** Interval between two checks, in milliseconds. */
const LOOK_MS = 50;

/**
 * A timeout that does not count time in which this process is blocked. After a blocked event loop, timers fire before
 * pending input is read: an answer that arrived seconds ago would count as missing. The time is therefore cut into
 * intervals, and pending input is read before each.
 * @param onOver - called when the time, in milliseconds, is over
 * @returns cancels the timeout
 */
export function waitPatiently(ms: number, onOver: () => void): () => void {
  let looks = Math.ceil(ms / LOOK_MS);
  const timer = setInterval(() => {
    if (--looks > 0) return;
    clearInterval(timer);
    onOver();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
