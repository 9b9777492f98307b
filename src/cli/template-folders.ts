/** The templates of a folder, by subject, and the names of skipped files. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Failure } from '../failure.ts';

/** File name extensions of templates in a folder. */
const ENDINGS: ReadonlySet<string> = new Set(['.iso', '.fmr', '.ist', '.ansi', '.f32', '.i8']);

/** The files of one subject. */
export interface SubjectFiles {
  readonly externalId: string;
  readonly files: readonly string[];
}

/** A skipped entry of a folder: no template is read from it. */
export interface PassedOver {
  /** Path relative to the folder. */
  readonly file: string;
  readonly why: 'another ending' | 'hidden' | 'a folder in a folder' | 'an empty folder' | 'no file' | 'unreadable';
}

export interface TemplateFolder {
  readonly subjects: readonly SubjectFiles[];
  readonly passedOver: readonly PassedOver[];
}

/** Largest number of names in a sentence. */
const NAMED_IN_SENTENCES = 10;

/**
 * Groups the templates of a folder by subject. Files in a sub-folder belong to one subject. Files directly in the
 * folder are one subject each, unless `groupBy` finds the same first group in their names. Other entries are named.
 * @throws Failure FOLDER_UNREADABLE, NO_TEMPLATES, GROUP_INVALID
 */
export function readTemplateFolder(folder: string, groupBy?: RegExp): TemplateFolder {
  const groups = new Map<string, string[]>();
  const passedOver: PassedOver[] = [];
  const passOver = (file: string, why: PassedOver['why']) => void passedOver.push({ file, why });
  const add = (externalId: string, file: string) => groups.set(externalId, [...(groups.get(externalId) ?? []), file]);
  const names = namesIn(folder);
  if (names === undefined) {
    throw new Failure('invalid-argument', 'FOLDER_UNREADABLE', `The folder ${folder} cannot be read.`);
  }
  for (const name of names) {
    const kind = kindOf(join(folder, name));
    if (kind === 'template') add(groupOf(name, groupBy), join(folder, name));
    else if (kind === 'folder') addFolder(folder, name, add, passOver);
    else passOver(name, kind);
  }
  if (groups.size === 0) {
    const there = passedOver.length === 0 ? '' : ` Skipped: ${namesOf(passedOver)}.`;
    const sentence = `${folder} contains no templates (${[...ENDINGS].join(', ')}).${there}`;
    throw new Failure('invalid-argument', 'NO_TEMPLATES', sentence);
  }
  return { subjects: [...groups].map(([externalId, files]) => ({ externalId, files })), passedOver };
}

/** Like readTemplateFolder, but returns the subjects only. */
export function groupFiles(folder: string, groupBy?: RegExp): SubjectFiles[] {
  return [...readTemplateFolder(folder, groupBy).subjects];
}

/** A subject's own folder. */
function addFolder(
  folder: string,
  subject: string,
  add: (externalId: string, file: string) => void,
  passOver: (file: string, why: PassedOver['why']) => void,
): void {
  const names = namesIn(join(folder, subject));
  if (names === undefined) {
    passOver(subject, 'unreadable');
    return;
  }
  if (names.length === 0) passOver(subject, 'an empty folder');
  for (const name of names) {
    const file = join(subject, name);
    const kind = kindOf(join(folder, file));
    if (kind === 'template') add(subject, join(folder, file));
    else passOver(file, kind === 'folder' ? 'a folder in a folder' : kind);
  }
}

type Kind = 'template' | 'folder' | Exclude<PassedOver['why'], 'a folder in a folder' | 'an empty folder'>;

/** Kind of the entry at a path. Opens nothing that could block its reader. */
function kindOf(path: string): Kind {
  if (basename(path).startsWith('.')) return 'hidden';
  try {
    const found = statSync(path);
    if (found.isDirectory()) return 'folder';
    if (!found.isFile()) return 'no file';
    if (!ENDINGS.has(extname(path).toLowerCase())) return 'another ending';
    accessSync(path, constants.R_OK);
    return 'template';
  } catch {
    // A dangling or circular link, a name that is not UTF-8, or a file without permission.
    return 'unreadable';
  }
}

/** The first names, and the number of further ones. */
export function namesOf(passedOver: readonly PassedOver[], most = NAMED_IN_SENTENCES): string {
  const named = passedOver.slice(0, most).map(({ file, why }) => `${printable(file)} (${why})`);
  const more = passedOver.length - named.length;
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ');
}

/** A name that is safe to show on a terminal. */
function printable(name: string): string {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** @throws Failure GROUP_INVALID */
export function groupPattern(source: string | undefined): RegExp | undefined {
  try {
    return source === undefined ? undefined : new RegExp(source);
  } catch {
    throw new Failure('invalid-argument', 'GROUP_INVALID', '--group-by is not a regular expression.');
  }
}

function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).sort();
  } catch {
    return undefined;
  }
}

function groupOf(name: string, groupBy: RegExp | undefined): string {
  if (groupBy === undefined) return basename(name, extname(name));
  const group = groupBy.exec(name)?.[1];
  if (group !== undefined) return group;
  throw new Failure('invalid-argument', 'GROUP_INVALID', `--group-by has no first group for ${name}.`);
}
