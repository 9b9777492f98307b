import { readPrints, syntheticPrints, type PrintSet } from '../../index-builder/prints/labelled-prints.ts';

/** Source of prints: a folder of records, or synthetic people (in tests). */
export type PrintSource =
  { readonly folder: string } | { readonly seed: number; readonly people: number; readonly impressions: number };

export function readSource(source: PrintSource): PrintSet {
  return 'folder' in source
    ? readPrints(source.folder)
    : syntheticPrints(source.seed, source.people, source.impressions);
}
