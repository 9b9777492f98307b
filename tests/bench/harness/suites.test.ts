import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BENCHES, programOf } from '../../../bench/harness/benches.ts';
import { helpOf } from '../../../bench/harness/help.ts';
import { BENCH_FLAGS, runBench } from '../../../bench/harness/run.ts';
import { nightly, QUICK } from '../../../bench/harness/suites.ts';
import { processorOf, type Machine } from '../../../bench/harness/machine.ts';
import { figuresOf } from '../../../bench/report/figures.ts';
import { page } from '../../../bench/report/page.ts';
import { compareWith } from '../../../bench/report/baseline.ts';

const run = promisify(execFile);
const folder = join(import.meta.dirname, '../../../bench');
const machine: Machine = {
  cpu: 'a processor',
  cores: 2,
  memoryGigabytes: 8,
  system: 'linux 6',
  node: 'v24',
  v8: '13',
  simd: 'simd128',
  readGigabytesPerSecond: { median: 10, low: 9, high: 11, count: 3 },
};

describe('the benches', () => {
  it('are the folders with a program, beside a single entry program', () => {
    const entries = readdirSync(folder, { withFileTypes: true });
    const programs = entries.filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'main.ts')));
    expect(programs.map(({ name }) => name).sort()).toEqual(Object.keys(BENCHES).sort());
    expect(entries.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['main.ts']);
  });

  it.each(Object.keys(BENCHES))('%s has its own program', (name) => {
    expect(existsSync(programOf(name))).toBe(true);
  });

  it.each(Object.keys(BENCHES))('%s describes itself', (name) => {
    expect(helpOf(name, BENCHES[name]?.what ?? '').split('\n').length).toBeGreaterThan(4);
  });

  it('print their help with --help without running, even into a closed pipe', async () => {
    const main = join(folder, 'main.ts');
    for (const args of [['soak', '--help'], ['load', '-h'], ['--help'], ['durability', '--rounds', '9', '--help']]) {
      const { stdout, stderr } = await run(process.execPath, [main, ...args]);
      expect([stdout.startsWith('npm run bench -- '), stderr]).toEqual([true, '']);
    }
    const { stderr } = await run('/bin/sh', ['-c', `"${process.execPath}" "${main}" help | head -1`]);
    expect(stderr).toBe('');
  });

  it('reject an unknown option with a sentence', async () => {
    const wrong = run(process.execPath, [...BENCH_FLAGS, programOf('refusals'), '--nope']);
    await expect(wrong).rejects.toMatchObject({ code: 2, stderr: expect.not.stringContaining('    at ') as string });
  });

  it('of each suite are known, and listed once', () => {
    for (const suite of [QUICK, nightly({ prints: ['p'], faces: ['f'] }), nightly({ prints: [], faces: [] })]) {
      const names = suite.map(({ bench }) => bench);
      for (const name of names) expect(Object.keys(BENCHES)).toContain(name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('write documents from which figures and a page are made', async () => {
    const kernels = await runBench('kernels', ['--rounds', '3', '--scanned', '2000'], machine);
    expect(kernels.status).toBe(0);
    const e1n = await runBench(
      'e1n',
      ['--subjects', '60', '--mated', '20', '--non-mated', '100', '--kinds', 'a face'],
      machine,
    );
    expect(e1n.status).toBe(0);
    const documents = [kernels.document, e1n.document];
    const figures = documents.flatMap(figuresOf);
    expect(figures.filter(({ bench }) => bench === 'kernels').length).toBeGreaterThan(5);
    // At least nineteen of twenty mates are at rank 1. The figure must be what the bench printed.
    const rankOne = figures.find(({ bench, name }) => bench === 'e1n' && name === 'a face, rank 1 of 60');
    expect(rankOne).toMatchObject({ unit: '%', better: 'more' });
    expect(rankOne?.value).toBeGreaterThanOrEqual(95);
    expect(rankOne?.value).toBeLessThanOrEqual(100);
    for (const { value } of figures) expect(Number.isFinite(value)).toBe(true);
    const processor = processorOf(machine);
    const baseline = { date: '2026-01-01', machine: 'the same', processor, kernel: 'k', figures };
    const compared = compareWith(baseline, figures, processor);
    expect(compared.length).toBe(figures.filter(({ isRatio }) => isRatio).length);
    expect(compared.length).toBeGreaterThan(5);
    for (const { verdict } of compared) expect(verdict).toBe('as before');
    const html = page(documents, figures, baseline);
    expect(html).toContain('FNIR against FPIR');
    expect(html).not.toMatch(/NaN|undefined|\[object/);
    // The page is self-contained.
    expect(html).not.toMatch(/<script|<link|src=|https?:\/\/(?!www\.w3\.org)/);
  }, 240_000);
});
