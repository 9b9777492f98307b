/** First pause, in milliseconds. */
const FIRST_MS = 2000;
/** The longest pause, in milliseconds. */
const LONGEST_MS = 3_600_000;

/**
 * The pause after a failed attempt, in milliseconds: doubled each time up to an hour, and a random part of it, at least
 * half, so that senders that failed together do not come again together.
 * @param failures - so far, from 1
 * @param chance - from 0 to below 1
 */
export function pauseAfter(failures: number, chance = Math.random()): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 30));
  return Math.round(longest * (0.5 + chance / 2));
}
