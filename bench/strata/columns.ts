/** By what prints are told apart: what their records say, where they come from, and what a file of the user's says. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LabelledPrint, PrintSet } from '../../index-builder/prints/labelled-prints.ts';

/** A way to divide prints. */
export interface Column {
  readonly name: string;
  /** undefined: it is not known of this print. */
  readonly valueOf: (print: LabelledPrint, set: PrintSet) => string | undefined;
  /** Of two prints of different values: the comparison belongs to the lesser one; else to none. */
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

/** Of how many prints the value is known. */
export function knownOf({ valueOf }: Column, sets: readonly PrintSet[]): number {
  return sets.reduce((sum, set) => sum + set.list.filter((print) => valueOf(print, set) !== undefined).length, 0);
}

/** @throws Error when a column of the user's says nothing of any print: it names other prints, or other sets */
export function requireKnown(columns: readonly Column[], sets: readonly PrintSet[], file: string): void {
  const unknown = columns.find((column) => knownOf(column, sets) === 0);
  if (unknown === undefined) return;
  const [example] = sets.flatMap(({ list }) => list);
  throw new Error(
    `${file}: "${unknown.name}" is known of no print; the first column has to name prints such as "${example?.name}", or fingers`,
  );
}

/**
 * Columns of a file: lines of values, tab or comma between them, below a line of names. The first column says whose they
 * are: the path of a print in its set, or a finger, which is that path without `_<impression>.iso`.
 * @throws Error when it has no second column
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
