/** How often is looked whether there is an answer, in milliseconds. */
const LOOK_MS = 50;

/**
 * A time-out that does not run while this process is late. Timers of a process that was busy fire before it reads what
 * has come meanwhile: an answer that lies there for seconds would count as none. So the time is cut into pieces, before
 * each of which everything that has come is read.
 * @param onOver - called when nothing has come within that time, in milliseconds
 * @returns ends it
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
