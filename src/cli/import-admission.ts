import { requireKnownCaveats } from '../access/caveats.ts';
import { Decisions } from '../access/decisions.ts';
import type { Asked } from '../access/grant.ts';
import { LOCAL } from '../access/local-client.ts';
import { PoliciesInForce } from '../access/policy-set.ts';
import { permitStoring } from '../api/permissions.ts';
import { requireRoomForClass } from '../enrolment/enrolment.ts';
import { RecordClasses, type ClassAttributes } from '../gallery/record-classes.ts';
import type { RecordAdmission } from '../transfer/import/import.ts';
import type { StoreAccess } from './store-access.ts';

/**
 * Decides about the records of an import as about those that the client `local` enrols by a call: by the policies of the
 * configured folder as they are now, and by the room that the stored subjects leave for record classes. The commands
 * that read the key file stand for that client, also where it is disabled.
 * @throws Failure POLICIES_INVALID; reasons of the store
 */
export async function importAdmission({
  configuration,
  store,
}: Pick<StoreAccess, 'configuration' | 'store'>): Promise<RecordAdmission> {
  const policies = await PoliciesInForce.load(configuration.policies, ({ action, policies: failed }) => {
    process.stderr.write(`No decision about ${action} could be made, so it was refused: ${failed.join(', ')}.\n`);
  });
  // Every record names its galleries: which others there are makes no difference.
  const decisions = new Decisions(policies, { count: 0, all: [] });
  const asking = {
    requireKnownCaveats: (caveats: readonly string[]) => requireKnownCaveats(caveats, policies.current.reading),
  };
  const context = {
    authorize: (asked: Omit<Asked, 'action'>) => decisions.authorize(LOCAL, { action: 'enroll', ...asked }),
  };
  const classes = new RecordClasses();
  const room = { hasRoomForClass: (planned: ClassAttributes) => classes.fits(planned) };
  for (const stored of await store.subjects.recordClasses()) classes.retain(classes.classOf(stored));
  return {
    admit: (subject) => {
      permitStoring(asking, context, subject);
      requireRoomForClass(room, subject);
      classes.retain(classes.classOf(subject));
    },
    withdraw: (subject) => classes.release(classes.classOf(subject)),
  };
}
