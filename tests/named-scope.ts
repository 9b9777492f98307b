import type { Scope } from '../src/gallery/scope.ts';

/** The subjects of some galleries, of every record class. @param galleries - empty: all */
export function named(galleries: Iterable<string>): Scope {
  return { galleries: new Set(galleries), classes: undefined };
}
