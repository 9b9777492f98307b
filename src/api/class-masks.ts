import type { Grant } from '../access/grant.ts';
import { ClassMask } from '../gallery/class-mask.ts';
import type { RecordClass, RecordClasses } from '../gallery/record-classes.ts';

/** A grant is the same object for all calls that policies cannot tell apart: so are the decisions about classes. */
const masks = new WeakMap<Grant, ClassMask>();

const silentMasks = new WeakMap<Grant, ClassMask>();

/** The record classes that a search may find and its caller may see. */
export function classesOf(grant: Grant, classes: RecordClasses): ClassMask {
  return maskOf(masks, grant, classes, (recordClass) => grant.searches(recordClass) && grant.sees(recordClass));
}

/** The record classes that are searched without being shown to the caller: their owners alone are told. */
export function silentClassesOf(grant: Grant, classes: RecordClasses): ClassMask {
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
