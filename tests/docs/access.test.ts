/** docs/access.md: its tables are what the policies permit, and its examples are valid policies. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isKnownCaveat } from '../../src/access/caveats.ts';
import { newCedar } from '../../src/access/cedar-engine.ts';
import { compilePolicies } from '../../src/access/policy-compiler.ts';
import { readPolicyTexts } from '../../src/access/policy-files.ts';
import { ROLES } from '../../src/access/principal.ts';
import { pages, root } from './pages.ts';

const page = pages.find(({ name }) => name === 'docs/access.md')?.text ?? '';

/** First cells of the table after a heading. */
const firstCells = (heading: string) =>
  [...(page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '').matchAll(/^\| ([^|]+) \|/gm)]
    .map(([, cell = '']) => cell.trim())
    .slice(2);

describe('docs/access.md', () => {
  it('has the tables that the policies answer', async () => {
    await promisify(execFile)(process.execPath, ['.config/access-tables.js', '--check'], { cwd: root });
  });

  it('explains every role', () => {
    expect(firstCells('Roles')).toEqual([...ROLES]);
  });

  it('explains caveats that policies read', async () => {
    const texts = await readPolicyTexts(undefined);
    const { reading } = await compilePolicies(newCedar(), texts);
    const named = firstCells('Caveats').flatMap((cell) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word),
    );
    expect(named.length).toBeGreaterThan(9);
    for (const caveat of named)
      expect(isKnownCaveat(`${caveat}${caveat.endsWith('-') ? 'A' : ''}`, reading)).toBe(true);
    const read = [...reading.caveats];
    expect(read.length).toBeGreaterThan(3);
    expect(read.filter((text) => !named.includes(text))).toEqual([]);
  });

  it('shows valid policies', async () => {
    const examples = [...page.matchAll(/```cedar\n([\s\S]*?)```/g)].map(([, text = '']) => text);
    expect(examples).toHaveLength(3);
    const texts = await readPolicyTexts(undefined);
    for (const [i, text] of examples.entries()) {
      const files = [...texts.files, { name: `example-${i}.cedar`, origin: 'own' as const, text }];
      await expect(compilePolicies(newCedar(), { ...texts, files })).resolves.toBeDefined();
    }
  });
});
