import { LRUCache } from 'lru-cache';
import type { Handling } from '../store/records.ts';

/** Texts kept to be shared: at most some five megabytes. */
const MAX_SHARED = 1000;

const shared = new LRUCache<string, Handling>({ max: MAX_SHARED });

/**
 * One object for equal ones. Owners ask for the same with each of their records: a text of its own for each subject would
 * take gigabytes.
 */
export function sharedHandling(handling: Handling): Handling {
  const key = JSON.stringify([handling.code, handling.instructions, handling.contact]);
  const known = shared.get(key) ?? handling;
  shared.set(key, known);
  return known;
}
