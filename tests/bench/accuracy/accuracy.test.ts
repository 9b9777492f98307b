import { describe, expect, it } from 'vitest';
import { detPlot, measuredCurve } from '../../../bench/accuracy/det-plot.ts';
import { figuresOf, measureGroups } from '../../../bench/accuracy/figures.ts';
import { groupSets } from '../../../bench/accuracy/groups.ts';
import { scoreFile } from '../../../bench/accuracy/score-file.ts';
import { scoreSets, type ScoredSet } from '../../../bench/scores/scored-set.ts';
import { searchFigures } from '../../../bench/accuracy/searches.ts';
import { sortScores } from '../../../index-builder/statistics/error-rates.ts';
import { syntheticPrints, type LabelledPrint } from '../../../index-builder/prints/labelled-prints.ts';
import { packPrints } from '../../../index-builder/train/comparisons.ts';
import { shippedFingerModel } from '../../../src/matching/model/shipped-model.ts';
import { FingerBatch } from '../../../src/matching/kernels/finger-batch.ts';

const [{ template }] = syntheticPrints(1, 1, 1).list;
const FAILURE = FingerBatch.NOT_COMPARABLE;

/** A set with given scores. Names are `<database>/<finger>_<impression>.iso`. */
function scoredSet(name: string, names: readonly string[], score: (a: number, b: number) => number): ScoredSet {
  const list = names.map((file): LabelledPrint => {
    const [, finger = '', impression = ''] = /^(.*)_(.*)\.iso$/.exec(file) ?? [];
    return { name: file, finger, person: finger, impression, template };
  });
  const pairs = list.flatMap((_, a) => list.slice(a + 1).map((__, i) => [a, a + 1 + i]));
  const set = { name, list, digest: '', prints: list.length, fingers: new Set(list.map(({ finger }) => finger)).size };
  return { set, pairs: Int32Array.from(pairs.flat()), scores: Int32Array.from(pairs, ([a, b]) => score(a, b)) };
}

describe('scores of a set', () => {
  const source = { seed: 0xacc, people: 12, impressions: 3 };

  it("are equal with one thread and with three, and equal to the kernel's", async () => {
    const [[one], [three]] = await Promise.all([scoreSets([source], 1), scoreSets([source], 3)]);
    expect(three.scores).toEqual(one.scores);
    expect(three.pairs).toEqual(one.pairs);
    const report = (scored: ScoredSet) => JSON.stringify(groupSets([scored]).map(figuresOf));
    expect(report(three)).toBe(report(one));
    const { list } = syntheticPrints(source.seed, source.people, source.impressions);
    const batch = packPrints(list, shippedFingerModel());
    const expected = list.flatMap((_, a) => (a + 1 < list.length ? [...batch.compare(a, a + 1)] : []));
    expect([...one.scores]).toEqual(expected);
  });
});

describe('the score file', () => {
  it('has each comparison once, in order, with an empty score where the comparison failed', () => {
    const scored = scoredSet('left', ['b_1.iso', 'a_2.iso', 'a_1.iso'], (a, b) =>
      a === 0 && b === 1 ? FAILURE : 10 * a + b,
    );
    expect(scoreFile([scored])).toBe(
      ['probe,reference,score', 'a_1.iso,a_2.iso,12', 'a_1.iso,b_1.iso,2', 'a_2.iso,b_1.iso,', ''].join('\n'),
    );
  });

  it('names the set when there are several, and quotes names where necessary', () => {
    const sets = ['one', 'two'].map((name) => scoredSet(name, ['a,x_1.iso', 'b_1.iso'], () => 7));
    expect(scoreFile(sets).split('\n').slice(1, 3)).toEqual([
      '"one/a,x_1.iso",one/b_1.iso,7',
      '"two/a,x_1.iso",two/b_1.iso,7',
    ]);
  });
});

describe('groups', () => {
  const names = ['DB3_B', 'DB4_B'].flatMap((db) => [`${db}/1_1.iso`, `${db}/1_2.iso`, `${db}/2_1.iso`]);
  const sets = ['one', 'two'].map((name) => scoredSet(name, names, (a, b) => a + b));

  it('are databases, sets, and pools of the same database over all sets', () => {
    const figures = groupSets(sets).map(figuresOf);
    expect(figures.map(({ name, fingers, mated, nonMated }) => [name, fingers, mated, nonMated])).toEqual([
      ['one/DB3_B', 2, 1, 2],
      ['one/DB4_B', 2, 1, 2],
      ['one', 4, 2, 13],
      ['two/DB3_B', 2, 1, 2],
      ['two/DB4_B', 2, 1, 2],
      ['two', 4, 2, 13],
      ['pooled DB3_B', 2, 2, 4],
      ['pooled DB4_B', 2, 2, 4],
      ['pooled', 4, 4, 26],
    ]);
  });

  it('omit a database without two prints of any finger, but not a set', () => {
    const single = scoredSet('one', [...names, 'DB5_B/1_1.iso'], () => 5);
    expect(measureGroups(groupSets([single])).map(({ name }) => name)).toEqual(['one/DB3_B', 'one/DB4_B', 'one']);
    const alone = scoredSet('one', ['1_1.iso', '2_1.iso'], () => 5);
    expect(() => measureGroups(groupSets([alone]))).toThrow('one: rates need two impressions of a finger');
  });

  it('count failed comparisons as non-matches', () => {
    const failing = scoredSet('one', ['1_1.iso', '1_2.iso', '2_1.iso'], (a, b) => (a === 0 && b === 1 ? FAILURE : 5));
    const [{ failures, points }] = groupSets([failing]).map(figuresOf);
    expect(failures).toEqual({ mated: 1, nonMated: 0 });
    expect(points[0].point?.fnmr).toBe(1);
  });
});

describe('searches', () => {
  // Fingers 1 and 2; galleries 1_2 and 2_1, the first impressions; probes 1_10 and 2_3.
  const names = ['1_10.iso', '1_2.iso', '2_1.iso', '2_3.iso'];
  const rankOne = (mateOfFirst: number) => {
    const scores = [mateOfFirst, 40, 99, 99, 99, 70];
    let next = 0;
    return searchFigures(groupSets([scoredSet('one', names, () => scores[next++])])[0]);
  };

  it('rank a mate first that scores above the whole gallery', () => {
    // 2_3 scores 70 with its mate and 99 with finger 1; 1_10 scores 40 with finger 2.
    expect(rankOne(41)).toMatchObject({ searches: 2, rankOne: 0.5 });
  });

  it('do not rank a tied mate first, and state no FNIR from too few searches', () => {
    expect(rankOne(40)).toEqual({ searches: 2, rankOne: 0, fnir: undefined, threshold: undefined });
  });
});

describe('the DET plot', () => {
  const scores = sortScores(
    Array.from({ length: 100 }, (_, i) => 50 + i),
    Array.from({ length: 1000 }, (_, i) => Math.floor(i / 10)),
  );
  const svg = detPlot('a < b', [measuredCurve('one & two', scores), measuredCurve('three', scores)]);

  it('is SVG without external references, with escaped names', () => {
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"[^]*<\/svg>\n$/);
    expect(svg).not.toMatch(/href|url\(|NaN|undefined|Infinity/);
    expect(svg).toContain('one &amp; two');
    expect(svg).toContain('<title>a &lt; b</title>');
  });

  /** Corners of a line. */
  const lineOf = (picture: string, i: number) => {
    const [, x, y, rest] = [...picture.matchAll(/class="det" d="M([\d.]+) ([\d.]+)([^"]*)"/g)][i];
    const places = { H: [Number(x)], V: [Number(y)] };
    for (const [, command, value] of rest.matchAll(/([HV])([\d.]+)/g)) places[command as 'H' | 'V'].push(Number(value));
    return places;
  };

  it('draws a line per set, which runs right and down within the axes', () => {
    expect(svg.match(/class="det"/g)).toHaveLength(2);
    const { H, V } = lineOf(svg, 1);
    for (const list of [H, V]) expect(list).toEqual(list.toSorted((a, b) => a - b));
    // From one false match in 1,000, the end of the axis, to where no mate is missed.
    expect(H[0]).toBe(96);
    expect(H.at(-1)).toBeLessThanOrEqual(616);
    // Half of the mates score above all non-mates.
    expect(V[0]).toBeGreaterThan(50);
    expect(V.at(-1)).toBe(490);
  });

  it('draws no line below the rate of one false match in its own set', () => {
    const fewer = sortScores(scores.mated, [10, 90]);
    const { H } = lineOf(detPlot('', [measuredCurve('many', scores), measuredCurve('few', fewer)]), 1);
    expect(H[0]).toBeGreaterThan(500);
  });

  it('has room for long names and many lines, and labels its ticks', () => {
    const lines = Array.from({ length: 40 }, (_, i) => measuredCurve(`${'n'.repeat(60)}${i}`, scores));
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(detPlot('', lines)) ?? [];
    expect(Number(width)).toBeGreaterThan(650 + 60 * 7);
    expect(Number(height)).toBeGreaterThan(40 * 22);
    for (const tick of ['100 %', '50 %', '20 %', '1 %']) expect(svg).toContain(`>${tick}<`);
    expect(svg).toContain('>−3</tspan>');
  });
});
