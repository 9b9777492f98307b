/** What a grant means for single records of a request. */
import type { Grant, RecordFacts } from '../access/grant.ts';
import type { Purpose as PolicyPurpose } from '../access/actions.ts';
import { Purpose } from '../contract/generated/ridgewatch/v1/identification.ts';
import { Failure } from '../failure.ts';
import { wallClock } from '../gallery/clock.ts';
import { isStillMinor, MINOR, SUSPENDED, withCaveat } from '../gallery/record-life.ts';
import type { CallContext } from './call.ts';

const PURPOSES: ReadonlyMap<Purpose, PolicyPurpose> = new Map([
  [Purpose.BORDER_CHECK, 'border-check'],
  [Purpose.INVESTIGATION, 'investigation'],
  [Purpose.APPLICATION, 'application'],
  [Purpose.TEST, 'test'],
]);

/** @param purpose - of a request that was checked */
export function policyPurpose(purpose: Purpose): PolicyPurpose {
  return PURPOSES.get(purpose) ?? 'none';
}

/** A record with what its owner limits it by, beside its caveats. */
type Limited = RecordFacts & { readonly suspended: boolean; readonly minorUntil: Date | undefined };

/** A record with the galleries that it belongs to. */
type Stored = Limited & { readonly galleries: Iterable<string> };

/** What asks, and what it asks by. */
interface Asking {
  readonly requireKnownCaveats: (caveats: readonly string[]) => void;
}

/**
 * Asks whether the caller may keep a record.
 * @param record - as it is to be stored
 * @returns what the caller may do
 * @throws Failure ACTION_NOT_PERMITTED, CONTRIBUTOR_NOT_PERMITTED, GALLERY_NOT_PERMITTED, CAVEAT_UNKNOWN
 */
export function permitStoring(
  { requireKnownCaveats }: Asking,
  context: Pick<CallContext, 'authorize'>,
  record: Stored,
): Grant {
  const { contributor, caveats, galleries } = record;
  const grant = inData(() => context.authorize({ purpose: 'none', galleries: [...galleries], contributor }));
  inData(() => requireKnownCaveats(caveats));
  if (grant.changes(factsNow(record))) return grant;
  const sentence = 'The client may not keep records of this contributor with these caveats.';
  throw new Failure('permission-denied', 'CONTRIBUTOR_NOT_PERMITTED', sentence, { field: 'data.contributor' });
}

/** Names fields as they are in the request. */
function inData<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw thrown instanceof Failure && thrown.detail.field !== undefined ? thrown.within('data') : thrown;
  }
}

/**
 * @param record - as it is stored; undefined: there is none
 * @returns the record
 * @throws Failure SUBJECT_NOT_FOUND, also where the client may not know that there is one; RECORD_NOT_PERMITTED
 */
export function requireMayChange<Record extends Stored>(grant: Grant, record: Record | undefined): Record {
  if (record === undefined || !maySee(grant, record)) throw subjectNotFound();
  if (grant.changes(factsNow(record))) return record;
  const sentence = 'The record belongs to another agency: only its contributor may change or expunge it.';
  throw new Failure('permission-denied', 'RECORD_NOT_PERMITTED', sentence, { field: 'subject_id' });
}

/**
 * For the removal of a record of any contributor by two administrators, who may see none of others.
 * @param record - as it is stored; undefined: there is none
 * @throws Failure SUBJECT_NOT_FOUND, also where the client may not remove it: whether there is one must not show
 */
export function requireMayPropose(grant: Grant, record: Limited | undefined): void {
  if (record === undefined || !grant.changes(factsNow(record))) throw subjectNotFound();
}

/** For the second administrator, who knows of the record. @throws Failure RECORD_NOT_PERMITTED */
export function requireMayApprove(grant: Grant, record: Limited): void {
  if (grant.changes(factsNow(record))) return;
  const sentence = 'The client may not take part in removing this record: another administrator has to.';
  throw new Failure('permission-denied', 'RECORD_NOT_PERMITTED', sentence, { field: 'proposal_id' });
}

/** Whether the client may see a record. An owner sees its own wherever they are. */
export function maySee(grant: Grant, record: Stored): boolean {
  if (!grant.sees(factsNow(record))) return false;
  if (grant.galleries.size === 0 || record.contributor === grant.client.agency) return true;
  return [...record.galleries].some((name) => grant.galleries.has(name));
}

/** For policies, a suspension and an age have the meaning of the caveats that say the same. */
function factsNow({ contributor, caveats, provenance, suspended, minorUntil }: Limited): RecordFacts {
  const isMinor = isStillMinor(minorUntil?.getTime(), wallClock());
  const aged = isMinor ? withCaveat(caveats, MINOR) : caveats;
  return { contributor, caveats: suspended ? withCaveat(aged, SUSPENDED) : aged, provenance };
}

export function subjectNotFound(): Failure {
  return new Failure('not-found', 'SUBJECT_NOT_FOUND', 'There is no subject with this id.', { field: 'subject_id' });
}
