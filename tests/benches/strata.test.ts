import { beforeAll, describe, expect, it } from 'vitest';
import { areMates } from '../../index-builder/labelled-prints.ts';
import { scoreSets, type ScoredSet } from '../../bench/accuracy/scored-set.ts';
import { COLUMNS, knownOf, readColumns, requireKnown } from '../../bench/strata/columns.ts';
import { strataOf } from '../../bench/strata/rates.ts';
import { fileOf } from '../import/record-files.ts';

const THRESHOLD = 600;
let sets: ScoredSet[];

beforeAll(async () => {
  sets = await scoreSets([{ seed: 5, people: 24, impressions: 3 }], 1);
});

/** Counted another way. */
function counted(which: (a: number, b: number) => boolean) {
  const [{ set, pairs, scores }] = sets;
  let [mated, missed, nonMated, matched] = [0, 0, 0, 0];
  scores.forEach((score, i) => {
    const [a, b] = [pairs[2 * i], pairs[2 * i + 1]];
    if (!which(a, b)) return;
    if (areMates(set.list[a], set.list[b])) {
      mated++;
      if (score < THRESHOLD) missed++;
    } else {
      nonMated++;
      if (score >= THRESHOLD) matched++;
    }
  });
  return { mated, fnmr: missed / mated, nonMated, fmr: matched / nonMated };
}

describe('strata', () => {
  it('are all comparisons where nothing divides them', () => {
    const [all] = strataOf(sets, THRESHOLD, undefined);
    const { mated, fnmr, nonMated, fmr } = counted(() => true);
    expect(all.fnmr).toMatchObject({ comparisons: mated, fingers: 24, share: fnmr });
    expect(all.fmr).toMatchObject({ comparisons: nonMated, share: fmr });
    for (const rate of [all.fnmr, all.fmr]) {
      expect(rate?.limits[0]).toBeLessThanOrEqual(rate?.share ?? NaN);
      expect(rate?.limits[1]).toBeGreaterThanOrEqual(rate?.share ?? NaN);
    }
  });

  it('by a column of the user are of comparisons within one value', () => {
    const file = fileOf(
      'labels.csv',
      Buffer.from(`finger,group\n${Array.from({ length: 24 }, (_, i) => `${i},${i < 12 ? 'a' : 'b'}`).join('\n')}\n`),
    );
    const [column] = readColumns(file);
    const strata = strataOf(sets, THRESHOLD, column);
    expect(strata.map(({ value }) => value)).toEqual(['a', 'b']);
    const [{ set }] = sets;
    const isFirst = (i: number) => Number(set.list[i].person) < 12;
    const { mated, fnmr, nonMated } = counted((a, b) => isFirst(a) && isFirst(b));
    expect(strata[0].fnmr).toMatchObject({ comparisons: mated, share: fnmr });
    expect(strata[0].fmr).toMatchObject({ comparisons: nonMated });
  });

  it('of labels that name other prints are refused, and of some are counted', () => {
    const columnsOf = (lines: string) => readColumns(fileOf('labels.csv', Buffer.from(`finger,group\n${lines}\n`)));
    const prints = sets.map(({ set }) => set);
    expect(() => {
      requireKnown(columnsOf('nobody,a'), prints, 'labels.csv');
    }).toThrow('"group" is known of no print');
    const some = columnsOf('0,a\n1,b');
    requireKnown(some, prints, 'labels.csv');
    expect(knownOf(some[0], prints)).toBe(2 * 3);
  });

  it('by bands take the worse of two, and say nothing of few fingers', () => {
    const column = COLUMNS.find(({ name }) => name.startsWith('minutiae'));
    const strata = strataOf(sets, THRESHOLD, column);
    const total = strata.reduce((sum, { fnmr, fmr }) => sum + (fnmr?.comparisons ?? 0) + (fmr?.comparisons ?? 0), 0);
    expect(total).toBeLessThanOrEqual(sets[0].scores.length);
    for (const { fnmr } of strata) expect(fnmr?.fingers ?? 10).toBeGreaterThanOrEqual(10);
  });
});
