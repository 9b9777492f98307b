/**
 * Counts of events in sliding windows, by hour. An hour counts until it lies outside of the window as a whole: a window
 * is never shorter than stated, and up to an hour longer.
 */

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const MONTH_MS = 30 * DAY_MS;

/** At most so many events within a time. */
export interface WindowLimit {
  readonly limit: number;
  readonly periodMs: number;
}

/** The counts of one key. Holds a pair of numbers for each hour with an event. */
export class SlidingCount {
  readonly #hours: { readonly hour: number; count: number }[] = [];

  /**
   * How long until `count` more events fit into every window.
   * @param nowMs - never less than at an earlier call
   * @returns milliseconds; 0: they fit; Infinity: they never will
   */
  wait(limits: readonly WindowLimit[], count: number, nowMs: number): number {
    return Math.max(0, ...limits.map((limit) => this.#waitFor(limit, count, nowMs)));
  }

  /**
   * @param atMs - when; earlier than at another call where what happened elsewhere is learned late
   * @param keptMs - the longest window; hours outside of it are forgotten
   */
  add(count: number, atMs: number, keptMs: number): void {
    const hour = Math.floor(atMs / HOUR_MS);
    while (this.#hours.length > 0 && isOutside(this.#hours[0].hour, atMs, keptMs)) this.#hours.shift();
    const place = this.#hours.findLastIndex((own) => own.hour <= hour);
    const own = this.#hours[place];
    if (own?.hour === hour) own.count += count;
    else this.#hours.splice(place + 1, 0, { hour, count });
  }

  /** Events in a window, and in how many of its hours there were any. */
  within(periodMs: number, nowMs: number): { readonly events: number; readonly hours: number } {
    const inside = this.#hours.filter(({ hour }) => !isOutside(hour, nowMs, periodMs));
    return { events: inside.reduce((sum, { count }) => sum + count, 0), hours: inside.length };
  }

  #waitFor({ limit, periodMs }: WindowLimit, count: number, nowMs: number): number {
    if (count > limit) return Infinity;
    const inside = this.#hours.filter(({ hour }) => !isOutside(hour, nowMs, periodMs));
    let excess = inside.reduce((sum, { count: own }) => sum + own, 0) + count - limit;
    for (const { hour, count: own } of inside) {
      if (excess <= 0) break;
      excess -= own;
      if (excess <= 0) return (hour + 1) * HOUR_MS + periodMs - nowMs;
    }
    return 0;
  }
}

function isOutside(hour: number, nowMs: number, periodMs: number): boolean {
  return (hour + 1) * HOUR_MS + periodMs <= nowMs;
}
