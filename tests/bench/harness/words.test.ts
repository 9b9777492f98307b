import { describe, expect, it } from 'vitest';
import type { BenchDocument } from '../../../bench/harness/document.ts';
import { inWords, WORDS } from '../../../bench/harness/words.ts';
import { tablesOf } from '../../../bench/report/tables.ts';

describe('the terms of a result', () => {
  it('replace keys at every depth and keep the values', () => {
    const result = { 'adding one up': 3, rows: [{ links: 16, kind: 'links' }], det: null };
    expect(inWords(result)).toEqual({ 'merge, per reference': 3, rows: [{ M: 16, kind: 'links' }], det: null });
    expect(result).toHaveProperty('adding one up', 3);
  });

  it('are unique, so that no figure replaces another', () => {
    const words = Object.values(WORDS);
    expect(new Set(words).size).toBe(words.length);
    for (const word of words) expect(Object.keys(WORDS)).not.toContain(word);
  });

  it('are used in a report', () => {
    const result = { nanoseconds: { 'adding one up': 5 } };
    const html = tablesOf({ bench: 'search', result } as unknown as BenchDocument).join('\n');
    expect(html).toContain('<h3>cost per unit, ns</h3>');
    expect(html).toContain('<td>merge, per reference</td>');
    expect(html).not.toContain('adding');
  });
});
