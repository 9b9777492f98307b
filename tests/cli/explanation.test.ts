import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawExplanation } from '../../src/cli/explanation-drawing.ts';
import { DirectComparer } from '../../src/matching/workers/direct-comparison.ts';
import { createPerson } from '../../fixtures/person.ts';
import { encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { temporaryDirectory } from '../cluster.ts';
import { secondImpression, somePrint } from '../prints.ts';
import { ridgewatch } from './command.ts';

const compare = (...args: string[]) => ridgewatch(['compare', ...args]);

let folder: string;
let files: string[];

beforeAll(() => {
  folder = temporaryDirectory();
  const person = createPerson(77, 1);
  files = [0, 1].map((capture) => join(folder, `capture-${capture}.iso`));
  files.forEach((file, capture) => writeFileSync(file, person.fingerRecord(2, capture, 0.3)));
  const record = person.fingerImpression(2, 0);
  const views = record.views.map((view) => ({ ...view, minutiae: view.minutiae.slice(0, 3) }));
  writeFileSync(join(folder, 'faint.iso'), encodeIso197942({ ...record, views }));
  writeFileSync(join(folder, 'face.i8'), new Uint8Array(64).fill(1));
});

/** Whether tags nest and close, attributes are quoted, and nothing is left unescaped. */
function isWellFormed(xml: string): boolean {
  const open: string[] = [];
  const tag = /<(?:\?xml [^<>]*\?|(\/?)([a-z]+)((?: [A-Za-z0-9:-]+="[^"<>]*")*) ?(\/?))>/gy;
  let end = 0;
  for (;;) {
    const between = /[^<>]*/y;
    between.lastIndex = end;
    const text = between.exec(xml)?.[0] ?? '';
    if (/&(?!(amp|lt|gt|quot);)/.test(text)) return false;
    tag.lastIndex = end + text.length;
    const match = tag.exec(xml);
    if (match === null) return end + text.length === xml.length && open.length === 0;
    end = tag.lastIndex;
    const [, closing, name, , empty] = match;
    if (name === undefined || empty === '/') continue;
    if (closing !== '/') open.push(name);
    else if (open.pop() !== name) return false;
  }
}

const count = (xml: string, part: string) => xml.split(part).length - 1;

describe('ridgewatch compare --explain', () => {
  it('draws a new file and prints the same explanation', async () => {
    const [a = '', b = ''] = files;
    const target = join(folder, 'drawing.svg');
    const { code, stdout } = await compare(a, b, '--json', '--explain', target);
    expect(code).toBe(0);
    const { score, explanation } = JSON.parse(stdout) as {
      score: number;
      explanation: { score: number; pairs: unknown[]; terms: { points: number }[] };
    };
    expect(explanation.score).toBe(score);
    const drawing = readFileSync(target, 'utf8');
    expect(isWellFormed(drawing)).toBe(true);
    expect(count(drawing, 'class="pair"')).toBe(explanation.pairs.length);
    expect(drawing).toContain('capture-0.iso');
    expect(statSync(target).mode & 0o077).toBe(0);

    const again = await compare(a, b, '--json', '--explain', target);
    expect([again.code, again.stdout]).toEqual([2, '']);
    expect(JSON.parse(again.stderr)).toMatchObject({ error: { reason: 'OUTPUT_EXISTS' } });
    expect(readFileSync(target, 'utf8')).toBe(drawing);
  });

  it('rejects templates that cannot be drawn and files that cannot be written', async () => {
    const [a = ''] = files;
    const faint = join(folder, 'faint.svg');
    expect(await compare(a, join(folder, 'faint.iso'), '--explain', faint)).toMatchObject({
      code: 5,
      stdout: 'Not comparable: a template has too few minutiae.\n',
    });
    expect(() => statSync(faint)).toThrow('ENOENT');
    const face = join(folder, 'face.i8');
    const faces = await compare(face, face, '--model', 'm', '--json', '--explain', faint);
    expect([faces.code, JSON.parse(faces.stderr)]).toMatchObject([2, { error: { reason: 'NOT_EXPLAINABLE' } }]);
    const nowhere = await compare(a, a, '--explain', join(folder, 'no-folder/x.svg'));
    expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining('cannot be written.')]);
  });
});

it('a drawing escapes names and shows every minutia and pair, with or without an alignment', () => {
  const comparer = new DirectComparer();
  for (const [a, b] of [
    [secondImpression(somePrint(1), 2, 40), somePrint(1)],
    [somePrint(3, 5), somePrint(4, 5)],
  ] as const) {
    const [probe, reference] = [a, b].map((print) => comparer.pack(print)?.packed ?? new Uint8Array());
    const explanation = comparer.explainPacked(probe, reference);
    if (explanation === undefined) throw new Error('not explained');
    const names = { probeName: `<a & "b">\u0007`, referenceName: 'b'.repeat(200) };
    const drawing = drawExplanation({ ...names, probe, reference, explanation });
    expect(isWellFormed(drawing)).toBe(true);
    expect(drawing).toContain('&lt;a &amp; &quot;b&quot;&gt;?');
    expect(count(drawing, 'class="pair"')).toBe(explanation.pairs.length);
    const shown = (explanation.alignment === undefined ? 1 : 2) * (a.minutiae.length + b.minutiae.length);
    expect(count(drawing, 'class="minutia"')).toBe(shown);
    for (const { name } of explanation.terms) expect(drawing).toContain(`>${name}<`);
  }
});
