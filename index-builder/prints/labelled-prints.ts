/**
 * Prints of known fingers. In a folder of ISO/IEC 19794-2:2005 records the file name states the finger:
 * `<finger>_<impression>.iso` or `<person>_<finger>_<impression>.iso`. Each subfolder is a separate database: the same
 * name in two of them means two fingers.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createPerson } from '../../fixtures/person.ts';
import type { TrainingSet } from '../../src/matching/model/finger-model.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { decodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';

export interface LabelledPrint {
  /** Path relative to the set's folder, `/` between its parts. */
  readonly name: string;
  /** Database and finger: prints of equal `finger` in one set are mates. */
  readonly finger: string;
  /**
   * Prints with different `person` are certain to be of different people. Databases 1 and 2 of FVC2002 share
   * volunteers: finger 101 of one and finger 101 of the other may belong to one person.
   */
  readonly person: string;
  readonly impression: string;
  readonly template: FingerTemplate;
}

export interface PrintSet extends TrainingSet {
  readonly list: readonly LabelledPrint[];
}

/**
 * Reads every record below a folder: its first view, if it has several.
 * @throws Error when a file name does not state finger and impression, or a record cannot be read
 */
export function readPrints(folder: string): PrintSet {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.iso'))
    .sort();
  if (names.length === 0) throw new Error(`there are no .iso files in ${folder}`);
  const digest = createHash('sha256');
  const list = names.map((name): LabelledPrint => {
    const bytes = readFileSync(join(folder, name));
    digest.update(name).update(bytes);
    const match = /^(?:(.*)\/)?(.+)_([^_/]+)\.iso$/.exec(name);
    if (match === null) throw new Error(`${join(folder, name)}: the name has to be <finger>_<impression>.iso`);
    const [, database = '', finger = '', impression = ''] = match;
    const record = decodeIso197942(bytes);
    const template = toFingerTemplate(record, record.views[0]);
    // <person>_<finger>: all fingers of a person. Otherwise the finger stands for the person.
    const person = finger.replace(/_[^_]*$/, '');
    return { name, finger: `${database}/${finger}`, person, impression, template };
  });
  return describe(basename(folder), list, digest.digest('hex'));
}

/** Synthetic people with one finger each, and `impressions` prints per finger. */
export function syntheticPrints(seed: number, people: number, impressions: number): PrintSet {
  const digest = createHash('sha256').update(JSON.stringify([seed, people, impressions]));
  const list = Array.from({ length: people }, (_, index) => {
    const person = createPerson(seed, index);
    return Array.from({ length: impressions }, (__, impression): LabelledPrint => {
      const record = person.fingerImpression(2, impression + 1);
      const template = toFingerTemplate(record, record.views[0]);
      const name = `${index}_${impression}`;
      return { name, finger: `/${index}`, person: String(index), impression: String(impression), template };
    });
  }).flat();
  return describe(`synthetic-${seed.toString(16)}`, list, digest.digest('hex'));
}

function describe(name: string, list: readonly LabelledPrint[], digest: string): PrintSet {
  return { name, list, digest, prints: list.length, fingers: new Set(list.map(({ finger }) => finger)).size };
}

/** Whether two prints are of one finger. */
export function areMates(a: LabelledPrint, b: LabelledPrint): boolean {
  return a.finger === b.finger;
}

/** Whether two prints are certain to be non-mates: databases 1 and 2 of FVC2002 and FVC2004 share volunteers. */
export function areNonMated(a: LabelledPrint, b: LabelledPrint): boolean {
  if (a.finger === b.finger) return false;
  const database = ({ name }: LabelledPrint) => /(?:^|\/)DB([12])_[AB]\//.exec(name)?.[1];
  const [one, other] = [database(a), database(b)];
  return one === undefined || other === undefined || one === other;
}
