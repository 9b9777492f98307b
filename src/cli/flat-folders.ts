/**
 * Files directly in a folder: each may be a person, or one finger or impression of a person. Only the names show it.
 */
import { basename, dirname, relative } from 'node:path';
import { Failure } from '../failure.ts';
import type { SubjectFiles } from './template-folders.ts';

/** Person part of a file name: up to the first separator, or up to the first number. */
const BEGINNINGS = [
  { pattern: /^([^_.\s-]+)[_.\s-]/, shown: '^([^_.\\s-]+)' },
  { pattern: /^(\D*\d+)\D/, shown: '^(\\D*\\d+)' },
] as const;

/**
 * Wrong grouping merges two people or splits one, and cannot be detected in a gallery afterwards.
 * @throws Failure GROUPING_AMBIGUOUS if several files directly in the folder look like files of one person
 */
export function requireOneFileEach(folder: string, subjects: readonly SubjectFiles[]): void {
  const flat = subjects.filter(({ files }) => files.every((file) => dirname(relative(folder, file)) === '.'));
  for (const { pattern, shown } of BEGINNINGS) {
    const names = flat.map(({ externalId }) => externalId);
    const people = new Set(names.map((name) => pattern.exec(name)?.[1] ?? name));
    if (people.size === names.length) continue;
    const [first] = flat.filter(({ externalId }) => sharesBeginning(externalId, names, pattern));
    const example = basename(first.files[0] ?? '');
    const sentence = `The ${names.length} files directly in ${folder} can be ${names.length} people, or ${people.size} by the beginning of their names (${example}). Choose: --each-file-a-person, or --group-by "${shown}" or another expression whose first group is the person.`;
    throw new Failure('invalid-argument', 'GROUPING_AMBIGUOUS', sentence);
  }
}

function sharesBeginning(name: string, names: readonly string[], pattern: RegExp): boolean {
  const beginning = pattern.exec(name)?.[1];
  return (
    beginning !== undefined &&
    names.some((other) => other !== name && (pattern.exec(other)?.[1] ?? other) === beginning)
  );
}
