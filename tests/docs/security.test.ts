/** docs/security.md: what it says is done about a threat is shown by tests that exist. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { pages, root } from './pages.ts';
import { testTitles } from './test-titles.ts';

/** A file of tests, and what is cited of it: `api/access` "a token", "a disabled client". */
const CITATION = /`([a-z0-9/-]+)` ("[^"]+"(?:, "[^"]+")*)/g;
const HEADER = ['threat', 'kind', 'what is done', 'shown by'];
const KINDS = ['S', 'T', 'R', 'I', 'D', 'E'];

interface Cited {
  /** Path below tests/, without its ending. */
  readonly file: string;
  readonly titles: readonly string[];
}

interface Row {
  readonly threat: string;
  readonly kinds: readonly string[];
  readonly done: string;
  readonly shown: string;
}

function citationsIn(text: string): Cited[] {
  return [...text.matchAll(CITATION)].map(([, file = '', titles = '']) => ({
    file,
    titles: titles.slice(1, -1).split('", "'),
  }));
}

/** Cells of the line of a table. */
const cellsOf = (line: string) =>
  line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());

/** The rows of all tables of threats. */
function rowsOf(text: string): Row[] {
  const tables = text.split('\n\n').filter((part) => part.startsWith('|'));
  return tables.flatMap((table) => {
    const [header, , ...lines] = table.trim().split('\n').map(cellsOf);
    if (header?.[0] !== HEADER[0]) return [];
    expect(header).toEqual(HEADER);
    return lines.map((cells) => {
      expect(cells).toHaveLength(HEADER.length);
      const [threat = '', kinds = '', done = '', shown = ''] = cells;
      return { threat, kinds: kinds.split(', '), done, shown };
    });
  });
}

describe('docs/security.md', () => {
  let text: string;
  let rows: readonly Row[];
  beforeAll(() => {
    text = pages.find(({ name }) => name === 'docs/security.md')?.text ?? '';
    rows = rowsOf(text);
  });

  it('has a table of threats for each boundary of its diagram, of every kind', () => {
    const section = text.slice(text.indexOf('\n## Threats'), text.indexOf('\n## What is not protected'));
    const [, ...boundaries] = section.split('\n### ');
    const diagram = /```\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
    const drawn = [...diagram.matchAll(/[═─│] ([1-9]) /g)].map(([, number]) => Number(number)).sort();
    expect(drawn).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    // The ninth is the code, of which all of it is made.
    expect(boundaries.map((part) => Number(part[0]))).toEqual([...drawn, 9]);
    for (const part of boundaries) expect(rowsOf(part).length).toBeGreaterThan(2);
    expect(boundaries.flatMap(rowsOf)).toEqual(rows);
    expect(new Set(rows.flatMap(({ kinds }) => kinds))).toEqual(new Set(KINDS));
  });

  it('says of every threat what is done, and which tests show it, and nothing else there', () => {
    const bare = rows.filter(({ done, shown }) => {
      const rest = shown.replaceAll(CITATION, '').replaceAll('; ', '');
      return done === '' || citationsIn(shown).length === 0 || rest !== '';
    });
    expect(bare.map(({ threat, shown }) => `${threat}: ${shown}`)).toEqual([]);
  });

  it('cites tests that exist and are run', () => {
    const cited = citationsIn(text);
    expect(cited.length).toBeGreaterThanOrEqual(rows.length);
    const missing = cited.flatMap(({ file, titles }) => {
      const path = join(root, 'tests', `${file}.test.ts`);
      if (!existsSync(path)) return [file];
      const known = testTitles(readFileSync(path, 'utf8'));
      return titles.filter((title) => !known.has(title)).map((title) => `${file}: ${title}`);
    });
    expect(missing).toEqual([]);
  });
});

describe('the titles of a file', () => {
  it('are those of groups and tests, with the groups before them', () => {
    const text = `
      it('alone', () => undefined);
      describe('a group', () => {
        it.each([1])("counts %i", () => { expect('no title').toBe(it); });
        describe.skipIf(x)(\`within \${x}\`, () => void it.only(\`has \${1} of \${2}\`, { timeout: 1 }, work));
        other('no title', () => it('in a call', work));
      });`;
    expect([...testTitles(text)]).toEqual([
      'alone',
      'a group',
      'a group counts %i',
      'a group within …',
      'a group within … has … of …',
      'a group in a call',
    ]);
  });

  it('are none where nothing is run, or only written in a comment', () => {
    const text = `
      // it('in a comment', work);
      it.skip('skipped', work);
      it.todo('to do');
      describe.skip('a skipped group', () => it('within it', work));
      it(name, work);`;
    expect([...testTitles(text)]).toEqual([]);
  });
});
