import { readPrints, syntheticPrints, type PrintSet } from '../../index-builder/prints/labelled-prints.ts';

/** Where prints come from: a folder of records, or synthetic people, whom tests use. */
export type PrintSource =
  { readonly folder: string } | { readonly seed: number; readonly people: number; readonly impressions: number };

export function readSource(source: PrintSource): PrintSet {
  return 'folder' in source
    ? readPrints(source.folder)
    : syntheticPrints(source.seed, source.people, source.impressions);
}
