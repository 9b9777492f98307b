import { describe, expect, it } from 'vitest';
import { latencyOf, loadOf, type Piece } from '../../../bench/overhead/summary.ts';

const piece = (guards: string, round: number, changes: Partial<Piece> = {}): Piece => ({
  ...{ round, guards, answered: 100, seconds: 2, cpuMs: 1000, mainMs: 200, databaseMs: 0 },
  ...changes,
});

describe('what guards add', () => {
  it('to the latency is the difference of the same searches, and the ratio of what is usual', () => {
    const none = [10, 20, 30, 40, 50];
    const [, all] = latencyOf({ none, all: none.map((ms) => ms + 3) }, 'none');
    expect(all).toMatchObject({ guards: 'all', p50: 33, p10: 13, p50Ratio: 1.1, p10Ratio: 1.3 });
    expect(all?.added).toEqual({ median: 3, low: 3, high: 3, count: 5 });
  });

  it('to the latency leaves out searches that only one server has answered', () => {
    const [, all] = latencyOf({ none: [10, 10], all: [11, 12, 500] }, 'none');
    expect(all?.added).toMatchObject({ low: 1, high: 2, count: 2 });
  });

  it('under load is told by the ratios to the same round', () => {
    const rounds = [1, 2, 4];
    const pieces = rounds.flatMap((busy, round) => [
      piece('none', round, { seconds: 2 * busy }),
      piece('all', round, { seconds: 4 * busy, cpuMs: 1100, databaseMs: 50 }),
    ]);
    const [none, all] = loadOf(pieces, 'none');
    expect(none).toMatchObject({ perSecond: 25, throughputRatio: { median: 1, low: 1, high: 1, count: 3 } });
    expect(all).toMatchObject({ guards: 'all', perSecond: 12.5, cpuMs: 11, mainMs: 2, databaseMs: 0.5 });
    expect(all?.throughputRatio).toEqual({ median: 0.5, low: 0.5, high: 0.5, count: 3 });
    expect(all?.cpuRatio.median).toBeCloseTo(1.15);
  });

  it('is told where the CPU time of the database is not known', () => {
    const pieces = [piece('none', 0, { databaseMs: NaN }), piece('all', 0, { databaseMs: NaN, cpuMs: 1200 })];
    expect(loadOf(pieces, 'none')[1]?.cpuRatio.median).toBeCloseTo(1.2);
  });
});
