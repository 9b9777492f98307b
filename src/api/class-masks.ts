import type { Grant, RecordFacts } from '../access/grant.ts';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import { ClassMask } from '../gallery/class-mask.ts';
import type { Gallery } from '../gallery/gallery.ts';
import type { RecordClass, RecordClasses } from '../gallery/record-classes.ts';
import { isStillMinor, isSuspended, MINOR, SUSPENDED, withCaveat } from '../gallery/record-life.ts';
import type { ClassRules } from '../gallery/scope.ts';

type Decide = (facts: RecordFacts) => boolean;
type Masks = WeakMap<Grant, ClassMask>;

/** The masks of one kind of search. A grant is the same object for all calls that policies cannot tell apart. */
interface Kept {
  readonly ofAge: Masks;
  readonly minors: Masks;
  readonly either: Masks;
}

const keptFor = (): Kept => ({ ofAge: new WeakMap(), minors: new WeakMap(), either: new WeakMap() });
const shown = keptFor();
const silent = keptFor();

/** Decisions are kept by object: one for each class and caveat. */
const further = new Map([MINOR, SUSPENDED].map((caveat) => [caveat, new WeakMap<RecordFacts, RecordFacts>()]));

/** Rules that name their classes. */
type MaskedRules = ClassRules & { readonly classes: ClassMask };

/** What a search may find and its caller may see. */
export function searchRulesOf(grant: Grant, gallery: SearchedGallery): MaskedRules {
  return rulesBy(shown, grant, gallery, (facts) => grant.searches(facts) && grant.sees(facts));
}

/** What is searched without being shown to the caller: their owners alone are told. */
export function silentRulesOf(grant: Grant, gallery: SearchedGallery): MaskedRules {
  return rulesBy(silent, grant, gallery, (facts) => grant.searches(facts) && !grant.sees(facts));
}

type SearchedGallery = Pick<Gallery, 'classes' | 'hasMinors'>;

/**
 * Policies may permit of a class those of age alone, or minors alone. The latter are asked about only where there are
 * any.
 */
function rulesBy(kept: Kept, grant: Grant, { classes, hasMinors }: SearchedGallery, isMeant: Decide): MaskedRules {
  const ofAge = maskOf(kept.ofAge, grant, classes, isMeant);
  const isOfMinors: Decide = (recordClass) => isMeant(withFact(recordClass, MINOR));
  const minors = maskOf(kept.minors, grant, classes, isOfMinors);
  if (!hasMinors) return { classes: ofAge, minors };
  const isOfEither = (recordClass: RecordClass) => ofAge.allows(recordClass) || minors.allows(recordClass);
  return { classes: maskOf(kept.either, grant, classes, isOfEither), ofAge, minors };
}

/**
 * What policies decide by about a subject at an instant. Policies know no time: until a subject comes of age, its record
 * has the caveat of a minor for them. So it has that of a suspended one while it is suspended.
 */
export function factsAt({ recordClass, attributes }: SubjectEntry, instantMs: number): RecordFacts {
  const aged = isStillMinor(attributes.minorUntilMs, instantMs) ? withFact(recordClass, MINOR) : recordClass;
  return isSuspended(attributes) ? withFact(aged, SUSPENDED) : aged;
}

function withFact(record: RecordFacts, caveat: string): RecordFacts {
  const known = further.get(caveat)?.get(record);
  if (known !== undefined) return known;
  const { contributor, caveats, provenance } = record;
  const facts = { contributor, caveats: withCaveat(caveats, caveat), provenance };
  further.get(caveat)?.set(record, facts);
  return facts;
}

function maskOf(
  kept: Masks,
  grant: Grant,
  classes: RecordClasses,
  decide: (recordClass: RecordClass) => boolean,
): ClassMask {
  const known = kept.get(grant);
  if (known?.isOf(classes) === true) return known;
  const mask = new ClassMask(classes, decide);
  kept.set(grant, mask);
  return mask;
}
