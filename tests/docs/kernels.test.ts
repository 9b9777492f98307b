/** The pictures of docs/kernels.md equal those that the code draws, and the files it names exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareForPictures } from '../../docs/kernels/comparison.ts';
import { drawPictures } from '../../docs/kernels/draw.ts';
import { packedOffsets } from '../../src/matching/model/packed-layout.ts';
import { SCORE_TERMS } from '../../src/matching/model/score-terms.ts';
import { pages, root } from './pages.ts';

const page = pages.find(({ name }) => name === 'docs/kernels.md')?.text ?? '';

describe('docs/kernels.md', () => {
  it('has pictures that are up to date (node docs/kernels/draw.ts)', () => {
    const drawn = drawPictures();
    const kept = readdirSync(join(root, 'docs/kernels')).filter((name) => name.endsWith('.svg'));
    expect(kept.sort()).toEqual([...drawn.keys()].sort());
    for (const [name, drawing] of drawn) {
      expect(readFileSync(join(root, 'docs/kernels', name), 'utf8') === drawing, name).toBe(true);
      expect(page).toContain(`(kernels/${name})`);
    }
  });

  it('shows an instructive comparison', () => {
    const { pairs, cluster, first, last, score } = compareForPictures();
    expect(score).toBeGreaterThan(2000);
    expect(pairs.length).toBe(32);
    expect(cluster.length).toBeLessThan(pairs.length);
    expect(last.matches.length).toBeGreaterThan(15);
    // The shortlist contains wrong pairs, and the refined alignment is no worse.
    expect(pairs.some(({ i, j }) => !last.matches.some((match) => match.i === i && match.j === j))).toBe(true);
    expect(last.matches.length).toBeGreaterThanOrEqual(first.matches.length);
  });

  it('names existing files and correct numbers', () => {
    const named = [...page.matchAll(/`((?:src|assembly|index-builder|docs|tests)\/[\w./-]+)`/g)].map(
      ([, name = '']) => name,
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !existsSync(join(root, name)))).toEqual([]);
    expect(page).toContain(`a sum of ${SCORE_TERMS.length} terms`);
    expect(page).toContain(`A finger of 40 minutiae takes ${packedOffsets(40).length.toLocaleString('en')} bytes`);
  });
});
