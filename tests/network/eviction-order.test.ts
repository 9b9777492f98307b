/**
 * Which connection is evicted: tested against a literal rule that scans all of them, with the cost of the real order.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvictionOrder, type Evictable } from '../../src/network/eviction-order.ts';

const QUIET_MS = 5;

/** The literal rule. @returns the rank of the connection that is evicted */
function firstRank(open: readonly Evictable[], now: number): readonly number[] | undefined {
  const ranks = open
    .filter(({ working, waiting, lastActive }) => working === 0 && (waiting === 0 || lastActive <= now - QUIET_MS))
    .map((connection) => rankOf(connection, open));
  return ranks.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0) || (a[2] ?? 0) - (b[2] ?? 0))[0];
}

function rankOf({ waiting, address, lastActive }: Evictable, open: readonly Evictable[]): number[] {
  return [Math.min(waiting, 1), -open.filter((other) => other.address === address).length, lastActive];
}

describe('the eviction order of connections', () => {
  it('equals the literal rule, whatever the connections do', () => {
    const step = fc.record({
      does: fc.constantFrom('open', 'open', 'change', 'change', 'close', 'evict'),
      which: fc.nat(1000),
      address: fc.constantFrom('a', 'b', 'c', 'd'),
      working: fc.constantFrom(0, 0, 0, 1, 2),
      waiting: fc.constantFrom(0, 0, 1, 3),
      later: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const order = new EvictionOrder<Evictable>(QUIET_MS);
        const open: { -readonly [K in keyof Evictable]: Evictable[K] }[] = [];
        let now = 0;
        for (const { does, which, address, working, waiting, later } of steps) {
          now += later;
          const at = which % Math.max(1, open.length);
          const one = open[at];
          if (does === 'open') {
            const opened = { address, working, waiting, lastActive: now };
            open.push(opened);
            order.put(opened);
          } else if (does === 'change' && one !== undefined) {
            Object.assign(one, { working, waiting, lastActive: now });
            order.put(one);
          } else if (does === 'close' && one !== undefined) {
            open.splice(at, 1);
            order.delete(one);
            order.delete(one);
          }
          const first = order.first(now);
          expect(first && rankOf(first, open)).toEqual(firstRank(open, now));
          if (does !== 'evict' || first === undefined) continue;
          open.splice(open.indexOf(first), 1);
          order.delete(first);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['of one address without a call', 1, 0],
    ['of an address each without a call', 10_000, 0],
    ['of a few addresses whose callers are quiet', 10, 1],
    ['of an address each whose callers are quiet', 10_000, 1],
  ])('does not scan all of ten thousand connections %s', (_, addresses, waiting) => {
    let looks = 0;
    class Watched implements Evictable {
      readonly address: string;
      readonly working = 0;
      readonly waiting = waiting;
      readonly #lastActive: number;

      constructor(number: number) {
        this.address = String(number % addresses);
        this.#lastActive = number;
      }

      get lastActive(): number {
        looks++;
        return this.#lastActive;
      }
    }
    const order = new EvictionOrder<Watched>(QUIET_MS);
    const MANY = 10_000;
    for (let i = 0; i < MANY; i++) order.put(new Watched(i));
    for (let i = MANY; i < 2 * MANY; i++) {
      const first = order.first(i + QUIET_MS);
      if (first === undefined) throw new Error('one may give way');
      order.delete(first);
      order.put(new Watched(i));
    }
    // Two full scans per connection would be four hundred million reads.
    expect(looks / (2 * MANY)).toBeLessThan(150);
  });
});
