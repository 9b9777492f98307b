/** Share of the remaining time that is reserved for comparing the proposed subjects and answering, within limits. */
const RESERVED_SHARE = 0.25;
const MIN_RESERVED_MS = 30;
const MAX_RESERVED_MS = 500;
/** Maximum of the reserved share when time is short: otherwise nothing would be searched. */
const MAX_RESERVED_SHARE = 0.6;
/** Part of the reserve for the last comparisons and the answer. */
const RESERVED_FOR_ANSWER = 0.5;
/** Some searches take longer than the mean. */
const CAUTION = 2;
/** Weight of the newest value in the running mean. */
const SHARE_OF_NEWEST = 0.2;

/** When a search must stop scanning, and then comparing, in ms since 1970. */
export interface PartialLimits {
  readonly scanUntilMs: number;
  readonly compareUntilMs: number;
}

/**
 * Sets when searches that may be answered in part must stop, so that the answer is sent before the deadline. It learns
 * the time needed from searches that were stopped. Under load it is longer: the last tasks of a search wait for a
 * thread like the first ones.
 */
export class PartialTime {
  /** Mean time from the end of the scan to the end of the search. */
  #meanMs = 0;

  /** @returns undefined where there is no deadline */
  limits(deadlineMs: number, nowMs: number): PartialLimits | undefined {
    if (!Number.isFinite(deadlineMs)) return undefined;
    const remaining = Math.max(0, deadlineMs - nowMs);
    const wanted = Math.max(MIN_RESERVED_MS, remaining * RESERVED_SHARE, CAUTION * this.#meanMs);
    const most = Math.min(MAX_RESERVED_MS, Math.max(MIN_RESERVED_MS, remaining * MAX_RESERVED_SHARE));
    const reserved = Math.min(wanted, most);
    return { scanUntilMs: deadlineMs - reserved, compareUntilMs: deadlineMs - reserved * RESERVED_FOR_ANSWER };
  }

  /** Records a search with these limits that ended, or was stopped at its deadline. */
  note({ scanUntilMs }: PartialLimits, endedMs: number): void {
    if (endedMs <= scanUntilMs) return;
    this.#meanMs += SHARE_OF_NEWEST * (endedMs - scanUntilMs - this.#meanMs);
  }
}
