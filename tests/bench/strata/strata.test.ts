import { beforeAll, describe, expect, it } from 'vitest';
import { areMates } from '../../../index-builder/prints/labelled-prints.ts';
import { scoreSets, type ScoredSet } from '../../../bench/scores/scored-set.ts';
import { COLUMNS, knownOf, readColumns, requireKnown } from '../../../bench/strata/columns.ts';
import { strataOf } from '../../../bench/strata/rates.ts';
import { fileOf } from '../../transfer/import/record-files.ts';

const THRESHOLD = 600;
let sets: ScoredSet[];

beforeAll(async () => {
  sets = await scoreSets([{ seed: 5, people: 24, impressions: 3 }], 1);
});

/** Counted independently of the product. */
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
  it('are all comparisons without a column', () => {
    const [all] = strataOf(sets, THRESHOLD, undefined);
    const { mated, fnmr, nonMated, fmr } = counted(() => true);
    expect(all.fnmr).toMatchObject({ comparisons: mated, fingers: 24, share: fnmr });
    expect(all.fmr).toMatchObject({ comparisons: nonMated, share: fmr });
    for (const rate of [all.fnmr, all.fmr]) {
      expect(rate?.limits[0]).toBeLessThanOrEqual(rate?.share ?? NaN);
      expect(rate?.limits[1]).toBeGreaterThanOrEqual(rate?.share ?? NaN);
    }
  });

  it("of a user's column contain the comparisons within one value", () => {
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

  it('are refused when no label names a print; known labels are counted', () => {
    const columnsOf = (lines: string) => readColumns(fileOf('labels.csv', Buffer.from(`finger,group\n${lines}\n`)));
    const prints = sets.map(({ set }) => set);
    expect(() => {
      requireKnown(columnsOf('nobody,a'), prints, 'labels.csv');
    }).toThrow('"group" is known of no print');
    const some = columnsOf('0,a\n1,b');
    requireKnown(some, prints, 'labels.csv');
    expect(knownOf(some[0], prints)).toBe(2 * 3);
  });

  it('of bands use the smaller minutia count of a pair', () => {
    const column = COLUMNS.find(({ name }) => name.startsWith('minutiae'));
    const [{ set }] = sets;
    const bands = ['under 20', '20 to 29', '30 to 39', '40 and more'];
    const bandOf = (i: number) => {
      const { length } = set.list[i].template.minutiae;
      return length < 20 ? 0 : length < 30 ? 1 : length < 40 ? 2 : 3;
    };
    const strata = strataOf(sets, THRESHOLD, column);
    let compared = 0;
    for (const { value, fnmr, fmr } of strata) {
      const band = bands.indexOf(value);
      const expected = counted((a, b) => Math.min(bandOf(a), bandOf(b)) === band);
      if (fnmr !== undefined) expect(fnmr).toMatchObject({ comparisons: expected.mated, share: expected.fnmr });
      if (fmr !== undefined) expect(fmr).toMatchObject({ comparisons: expected.nonMated, share: expected.fmr });
      if (fmr !== undefined) compared++;
    }
    // More than one band has comparisons, or the column divides nothing.
    expect(compared).toBeGreaterThanOrEqual(2);
  });

  it('state no rates for fewer than ten fingers', () => {
    const group = (finger: number) => (finger < 10 ? 'ten' : finger < 19 ? 'nine' : 'five');
    const lines = Array.from({ length: 24 }, (_, i) => `${i},${group(i)}`).join('\n');
    const [column] = readColumns(fileOf('labels.csv', Buffer.from(`finger,group\n${lines}\n`)));
    const strata = new Map(strataOf(sets, THRESHOLD, column).map((stratum) => [stratum.value, stratum]));
    expect([...strata.keys()].sort()).toEqual(['five', 'nine', 'ten']);
    expect(strata.get('ten')?.fnmr?.fingers).toBe(10);
    expect(strata.get('ten')?.fmr?.fingers).toBe(10);
    for (const few of ['nine', 'five'])
      expect(strata.get(few)).toEqual({ value: few, fnmr: undefined, fmr: undefined });
  });
});
