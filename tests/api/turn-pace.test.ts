import { describe, expect, it } from 'vitest';
import { TurnPace } from '../../src/api/turn-pace.ts';

/** Works for a time without yielding. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('calls that begin at once', () => {
  it('begin immediately while the turn has time, and otherwise in later turns, in their order', async () => {
    const pace = new TurnPace(5);
    const begun: number[] = [];
    for (let call = 0; call < 40; call++)
      pace.enter(() => {
        work(1);
        begun.push(call);
      });
    // At least the first, and with 1 ms each no more than fit into 5 ms.
    expect(begun.length).toBeGreaterThanOrEqual(1);
    expect(begun.length).toBeLessThanOrEqual(5);
    let most = begun.length;
    for (let turns = 0; begun.length < 40; turns++) {
      expect(turns).toBeLessThan(200);
      const before = begun.length;
      await new Promise(setImmediate);
      most = Math.max(most, begun.length - before);
    }
    expect(most).toBeLessThanOrEqual(10);
    expect(begun).toEqual(Array.from({ length: 40 }, (_, call) => call));
  });

  it('that come later do not overtake those that wait', async () => {
    const pace = new TurnPace(1);
    const begun: string[] = [];
    const enter = (name: string) =>
      pace.enter(() => {
        work(2);
        begun.push(name);
      });
    for (const name of ['a', 'b', 'c', 'd']) enter(name);
    await new Promise(setImmediate);
    enter('e');
    while (begun.length < 5) await new Promise(setImmediate);
    expect(begun).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('one at a time never wait', async () => {
    const pace = new TurnPace();
    for (let call = 0; call < 20; call++) {
      let hasBegun = false;
      pace.enter(() => (hasBegun = true));
      expect(hasBegun).toBe(true);
      await new Promise(setImmediate);
    }
  });
});
