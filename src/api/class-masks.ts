import type { Grant, RecordFacts } from '../access/grant.ts';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import { ClassMask } from '../gallery/class-mask.ts';
import type { RecordClass, RecordClasses } from '../gallery/record-classes.ts';
import { isStillMinor, MINOR } from '../gallery/record-life.ts';
import type { ClassRules } from '../gallery/scope.ts';

/** A grant is the same object for all calls that policies cannot tell apart: so are the decisions about classes. */
const masks = new WeakMap<Grant, ClassMask>();
const minorMasks = new WeakMap<Grant, ClassMask>();
const silentMasks = new WeakMap<Grant, ClassMask>();
const silentMinorMasks = new WeakMap<Grant, ClassMask>();
/** Decisions are kept by object: one for each class. */
const minorFacts = new WeakMap<RecordClass, RecordFacts>();

/** What a search may find and its caller may see: classes, and those of them of which also minors. */
export function searchRulesOf(grant: Grant, classes: RecordClasses): ClassRules & { readonly classes: ClassMask } {
  const isShown = (facts: RecordFacts) => grant.searches(facts) && grant.sees(facts);
  const minors = maskOf(minorMasks, grant, classes, (recordClass) => isShown(factsOfMinors(recordClass)));
  return { classes: classesOf(grant, classes), minors };
}

/** What is searched without being shown to the caller: their owners alone are told. */
export function silentRulesOf(grant: Grant, classes: RecordClasses): ClassRules & { readonly classes: ClassMask } {
  const isSilent = (facts: RecordFacts) => grant.searches(facts) && !grant.sees(facts);
  const minors = maskOf(silentMinorMasks, grant, classes, (recordClass) => isSilent(factsOfMinors(recordClass)));
  return { classes: silentClassesOf(grant, classes), minors };
}

/**
 * What policies decide by about a subject at an instant. Policies know no time: until a subject comes of age, its record
 * has the caveat of a minor for them.
 */
export function factsAt({ recordClass, attributes }: SubjectEntry, instantMs: number): RecordFacts {
  return isStillMinor(attributes.minorUntilMs, instantMs) ? factsOfMinors(recordClass) : recordClass;
}

function factsOfMinors(recordClass: RecordClass): RecordFacts {
  let facts = minorFacts.get(recordClass);
  if (facts === undefined) {
    const { contributor, caveats, provenance } = recordClass;
    facts = { contributor, caveats: [...new Set([...caveats, MINOR])], provenance };
    minorFacts.set(recordClass, facts);
  }
  return facts;
}

/** The record classes that a search may find and its caller may see. */
function classesOf(grant: Grant, classes: RecordClasses): ClassMask {
  return maskOf(masks, grant, classes, (recordClass) => grant.searches(recordClass) && grant.sees(recordClass));
}

/** The record classes that are searched without being shown to the caller: their owners alone are told. */
function silentClassesOf(grant: Grant, classes: RecordClasses): ClassMask {
  return maskOf(silentMasks, grant, classes, (recordClass) => grant.searches(recordClass) && !grant.sees(recordClass));
}

function maskOf(
  kept: WeakMap<Grant, ClassMask>,
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
