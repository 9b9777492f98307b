/** Columns that divide prints into strata: from the records, from their origin, and from a file of the user. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LabelledPrint, PrintSet } from '../../index-builder/prints/labelled-prints.ts';

/** A column by which prints are divided. */
export interface Column {
  readonly name: string;
  /** undefined: unknown for this print. */
  readonly valueOf: (print: LabelledPrint, set: PrintSet) => string | undefined;
  /** With an order, a comparison of different values counts in the lower one; without, in none. */
  readonly order?: readonly string[];
}

const POSITIONS = ['', 'right thumb', 'right index', 'right middle', 'right ring', 'right little'].concat(
  ['thumb', 'index', 'middle', 'ring', 'little'].map((finger) => `left ${finger}`),
);
const QUALITIES = ['1 to 33', '34 to 66', '67 to 100'];
const MINUTIAE = ['under 20', '20 to 29', '30 to 39', '40 and more'];

export const COLUMNS: readonly Column[] = [
  { name: 'capture set', valueOf: (_, set) => set.name },
  {
    name: 'database',
    valueOf: ({ name }, set) => (dirname(name) === '.' ? undefined : `${set.name}/${dirname(name)}`),
  },
  { name: 'finger position', valueOf: ({ template }) => POSITIONS[template.position] || undefined },
  {
    name: 'quality, the worse of two',
    valueOf: ({ template: { quality } }) => (quality === 0 ? undefined : QUALITIES[Math.floor((quality - 1) / 33.4)]),
    order: QUALITIES,
  },
  {
    name: 'minutiae, the fewer of two',
    valueOf: ({ template: { minutiae } }) => MINUTIAE[Math.min(3, Math.max(0, Math.floor(minutiae.length / 10) - 1))],
    order: MINUTIAE,
  },
];

/** Number of prints with a known value. */
export function knownOf({ valueOf }: Column, sets: readonly PrintSet[]): number {
  return sets.reduce((sum, set) => sum + set.list.filter((print) => valueOf(print, set) !== undefined).length, 0);
}

/** @throws Error if a user's column has a value for no print: it names other prints or other sets */
export function requireKnown(columns: readonly Column[], sets: readonly PrintSet[], file: string): void {
  const unknown = columns.find((column) => knownOf(column, sets) === 0);
  if (unknown === undefined) return;
  const [example] = sets.flatMap(({ list }) => list);
  throw new Error(
    `${file}: "${unknown.name}" is known of no print; the first column has to name prints such as "${example?.name}", or fingers`,
  );
}

/**
 * Columns of a file: a line of names, then lines of values, separated by tab or comma. The first column identifies a print
 * by its path in its set, or a finger by that path without `_<impression>.iso`.
 * @throws Error if it has no second column
 */
export function readColumns(file: string): Column[] {
  const [heading = '', ...lines] = readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .filter((line) => line !== '');
  const separator = heading.includes('\t') ? '\t' : ',';
  const [, ...names] = heading.split(separator);
  if (names.length === 0) throw new Error(`${file}: there is no column besides the first, which says whose they are`);
  const values = new Map(lines.map((line) => [line.split(separator)[0], line.split(separator).slice(1)]));
  return names.map((name, i) => ({
    name,
    valueOf: (print) => {
      const known = values.get(print.name) ?? values.get(print.name.replace(/_[^_/]+$/, ''));
      return known?.[i] || undefined;
    },
  }));
}
