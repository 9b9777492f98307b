import type { Provenance, RecordLife } from '../store/records.ts';

/**
 * The caveat that a record of a minor has for policies, whether it is written in the record or follows from the age: one
 * set of policies decides about both.
 */
export const MINOR = 'MINOR';
/** The same for suspended records. */
export const SUSPENDED = 'SUSPENDED';

/** The earliest instant that a date can have: no search is before it. A number that JSON can hold. */
export const NEVER_SEARCHED_MS = -8.64e15;

/** Origins of which no comparison is more than a reason to look: nothing is known of who gave the sample. */
const UNCONTROLLED: ReadonlySet<Provenance> = new Set<Provenance>(['field', 'latent']);
const BATTLEFIELD_ONLY = 'BATTLEFIELD-ONLY';

/**
 * The one instant from which a record is not searched, in ms since 1970: the first of its limits. Searches compare with it
 * alone, so no way of searching can forget one of them.
 * @returns undefined: it is always searched
 */
export function searchedUntilMs({
  expireTime,
  reviewTime,
  suspended,
}: Pick<RecordLife, 'expireTime' | 'reviewTime' | 'suspended'>): number | undefined {
  if (suspended) return NEVER_SEARCHED_MS;
  const first = Math.min(expireTime?.getTime() ?? Infinity, reviewTime?.getTime() ?? Infinity);
  return first === Infinity ? undefined : first;
}

/** Whether a record is kept and not searched, whatever the time. */
export function isSuspended({ searchedUntilMs: until }: { readonly searchedUntilMs: number | undefined }): boolean {
  return until === NEVER_SEARCHED_MS;
}

/** Caveats with one more, once. */
export function withCaveat(caveats: readonly string[], caveat: string): readonly string[] {
  return caveats.includes(caveat) ? caveats : [...caveats, caveat];
}

/** Whether a record may be a strong candidate, whatever its score. */
export function mayBeStrong({
  provenance,
  caveats,
}: {
  readonly provenance: Provenance;
  readonly caveats: readonly string[];
}): boolean {
  return !UNCONTROLLED.has(provenance) && !caveats.includes(BATTLEFIELD_ONLY);
}

/**
 * Whether a record is that of a minor.
 * @param instantMs - in ms since 1970
 */
export function isMinorAt(
  { minorUntilMs, caveats }: { readonly minorUntilMs: number | undefined; readonly caveats: readonly string[] },
  instantMs: number,
): boolean {
  return isStillMinor(minorUntilMs, instantMs) || caveats.includes(MINOR);
}

/** Whether a time until which a subject is a minor is still to come. */
export function isStillMinor(minorUntilMs: number | undefined, instantMs: number): boolean {
  return minorUntilMs !== undefined && instantMs < minorUntilMs;
}
