import { describe, expect, it } from 'vitest';
import { judge, type Arrival } from '../../../bench/hits/judgement.ts';

const KEPT = [1, 2, 3].map((position) => ({ position, hitId: `h${position}` }));
const arrival = (position: number, connection = 0, changes: Partial<Arrival> = {}): Arrival => ({
  ...{ connection, acknowledgedBefore: 0, position, hitId: `h${position}`, requestId: `r${position}` },
  ...changes,
});
const judged = (arrivals: readonly Arrival[], answered: readonly string[] = []) =>
  judge(arrivals, KEPT, new Set(answered));
const SOUND = { missed: 0, unknown: 0, answeredWithoutHit: 0, outOfOrder: 0, againAfterAcknowledged: 0 };

describe('the judgement of a stream of hits', () => {
  it('allows repetitions in a later stream', () => {
    const arrivals = [arrival(1), arrival(2), arrival(1, 1), arrival(2, 1), arrival(3, 1)];
    expect(judged(arrivals, ['r1', 'r3'])).toEqual({ told: 3, repeated: 2, ...SOUND });
  });

  it('names a missed hit, and a search without one', () => {
    expect(judged([arrival(1), arrival(3)], ['r2'])).toMatchObject({ ...SOUND, missed: 1, answeredWithoutHit: 1 });
  });

  it('names a hit behind a greater one, in one stream or for the first time in another', () => {
    expect(judged([arrival(2), arrival(1), arrival(3)])).toMatchObject({ ...SOUND, outOfOrder: 1 });
    expect(judged([arrival(1), arrival(3), arrival(2, 1)])).toMatchObject({ ...SOUND, outOfOrder: 1 });
  });

  it('names a repetition within a stream, one that was acknowledged, and a hit that is not in the store', () => {
    expect(judged([arrival(1), arrival(1), arrival(2), arrival(3)])).toMatchObject({ ...SOUND, outOfOrder: 1 });
    const again = [arrival(1), arrival(2), arrival(2, 1, { acknowledgedBefore: 2 }), arrival(3, 1)];
    expect(judged(again)).toMatchObject({ ...SOUND, againAfterAcknowledged: 1 });
    expect(judged([arrival(1), arrival(2), arrival(3), arrival(9)])).toMatchObject({ ...SOUND, unknown: 1 });
  });
});
