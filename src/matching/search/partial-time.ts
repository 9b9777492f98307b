/** Of the time that is left, what is kept for comparing what was found and answering: a share of it, within limits. */
const RESERVED_SHARE = 0.25;
const MIN_RESERVED_MS = 30;
const MAX_RESERVED_MS = 500;
/** What is kept at most of little time: else nothing would be searched at all. */
const MAX_RESERVED_SHARE = 0.6;
/** Of what is kept, the part for the last few comparisons and the answer. */
const RESERVED_FOR_ANSWER = 0.5;
/** Some take longer than the mean. */
const CAUTION = 2;
/** Share of the newest in the running mean. */
const SHARE_OF_NEWEST = 0.2;

/** When a search has to stop looking, and then comparing, in milliseconds since 1970. */
export interface PartialLimits {
  readonly lookUntilMs: number;
  readonly compareUntilMs: number;
}

/**
 * Says when searches that may be answered in part have to stop, so that what they found is on its way before the
 * deadline: and learns from those that were stopped how long that takes. In a crowd it takes longer, for the last tasks
 * of a search wait for a thread as the first do.
 */
export class PartialTime {
  /** From when a search was to stop looking to its end. */
  #meanMs = 0;

  /** @returns undefined where there is no deadline */
  limits(deadlineMs: number, nowMs: number): PartialLimits | undefined {
    if (!Number.isFinite(deadlineMs)) return undefined;
    const remaining = Math.max(0, deadlineMs - nowMs);
    const wanted = Math.max(MIN_RESERVED_MS, remaining * RESERVED_SHARE, CAUTION * this.#meanMs);
    const most = Math.min(MAX_RESERVED_MS, Math.max(MIN_RESERVED_MS, remaining * MAX_RESERVED_SHARE));
    const reserved = Math.min(wanted, most);
    return { lookUntilMs: deadlineMs - reserved, compareUntilMs: deadlineMs - reserved * RESERVED_FOR_ANSWER };
  }

  /** Tells of a search with these limits that ended, or was stopped at its deadline. */
  note({ lookUntilMs }: PartialLimits, endedMs: number): void {
    if (endedMs <= lookUntilMs) return;
    this.#meanMs += SHARE_OF_NEWEST * (endedMs - lookUntilMs - this.#meanMs);
  }
}
