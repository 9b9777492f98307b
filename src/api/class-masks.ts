import type { Grant } from '../access/grant.ts';
import { ClassMask } from '../gallery/class-mask.ts';
import type { RecordClasses } from '../gallery/record-classes.ts';

/** A grant is the same object for all calls that policies cannot tell apart: so are the decisions about classes. */
const masks = new WeakMap<Grant, ClassMask>();

/**
 * The record classes that a search may find. What may be searched and not seen is left out too: while the owner is
 * not told of a hit, comparing it would be of no use to anyone.
 */
export function classesOf(grant: Grant, classes: RecordClasses): ClassMask {
  const known = masks.get(grant);
  if (known?.isOf(classes) === true) return known;
  const mask = new ClassMask(classes, (recordClass) => grant.searches(recordClass) && grant.sees(recordClass));
  masks.set(grant, mask);
  return mask;
}
