/** docs/tunables.md equals the sources; `npm run docs:tunables` writes it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { pages, root } from './pages.ts';

interface Row {
  readonly file: string;
  readonly name: string;
  readonly value: number;
}

const page = pages.find(({ name }) => name === 'docs/tunables.md')?.text ?? '';
const rows: Row[] = page.split(/^### /m).flatMap((section) => {
  const file = /^\[`([^`]+)`\]/.exec(section)?.[1];
  if (file === undefined) return [];
  return [...section.matchAll(/^\| `([A-Z0-9_]+)` +\| (\S+)/gm)].map(([, name = '', value = '']) => ({
    file,
    name,
    value: Number(value.replaceAll(',', '')),
  }));
});

describe('docs/tunables.md', () => {
  it('is up to date', async () => {
    await promisify(execFile)(process.execPath, ['.config/tunables.js', '--check'], { cwd: root });
  });

  it('has constants of the kernels and of the service, including computed ones', () => {
    const valueOf = (file: string, name: string) => rows.find((row) => row.file === file && row.name === name)?.value;
    expect(valueOf('assembly/finger/layout.ts', 'COMPARE_SCRATCH')).toBe(37_472);
    expect(valueOf('assembly/face/compare.ts', 'FACE_SCRATCH')).toBe(4096);
    expect(valueOf('src/matching/workers/gallery-sizing.ts', 'SEGMENT_CAPACITY')).toBe(65_536);
    for (const folder of ['api', 'gallery', 'matching', 'network', 'store', 'transfer'])
      expect(
        rows.some(({ file }) => file.startsWith(`src/${folder}/`)),
        folder,
      ).toBe(true);
    expect(rows.filter(({ value }) => Number.isNaN(value))).toEqual([]);
  });

  it('has the values that the modules export', async () => {
    // Importing the entry module of a thread or program would run it.
    const files = [...new Set(rows.map(({ file }) => file))].filter(
      (file) => file.startsWith('src/') && !/(^|\/)(main|worker)\.ts$/.test(file),
    );
    const modules = new Map(
      await Promise.all(
        files.map(async (file) => [file, (await import(join(root, file))) as Record<string, unknown>] as const),
      ),
    );
    const exported = rows.filter(({ file, name }) => typeof modules.get(file)?.[name] === 'number');
    expect(exported.length).toBeGreaterThan(40);
    expect(exported.filter(({ file, name, value }) => modules.get(file)?.[name] !== value)).toEqual([]);
  });
});
