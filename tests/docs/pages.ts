/** The documentation pages, and how they refer to the project. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export interface Page {
  /** Path from the root. */
  readonly name: string;
  readonly text: string;
}

/** README, and every page below docs/. */
export const pages: readonly Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort(),
].map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }));

/**
 * Lines of a page's shell blocks, with continued lines joined and comments removed, and the commands in its sentences.
 */
export function shellLines({ text }: Page): string[] {
  const inSentences = [...text.matchAll(/`((?:npx )?ridgewatch [^`\n]+)`/g)].map(([, command = '']) => command);
  return inSentences.concat(linesOfBlocks(text));
}

function linesOfBlocks(text: string): string[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
    (block ?? '')
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
      .filter((line) => line !== ''),
  );
}

/** Every TypeScript source below a folder, concatenated. */
export function sourceText(folder: string): string {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, folder, name), 'utf8'))
    .join('\n');
}

/** The anchor of a heading on a page. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
