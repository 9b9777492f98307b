import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { FairTurns, type Party } from '../../src/fair-turns.ts';

const full = () => new Failure('resource-exhausted', 'QUEUE_FULL', 'full');
const { signal } = new AbortController();

/** Turns whose work ends on request of the test. Records the order in which work began. */
class Bench {
  readonly turns: FairTurns;
  readonly begun: Party[] = [];
  readonly refused: Party[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #all: Promise<unknown>[] = [];

  constructor(concurrency: number, maxWaiting: number, levels = 1) {
    this.turns = new FairTurns(concurrency, maxWaiting, full, levels);
  }

  ask(name: string, { connection = name, level = 0, stop = signal } = {}): void {
    const party = { name, connection };
    const work = () => {
      this.begun.push(party);
      return new Promise<void>((end) => void this.#ends.push(end));
    };
    const done = this.turns.run({ signal: stop, party: () => party }, work, level);
    this.#all.push(done.catch(() => void this.refused.push(party)));
  }

  /** Ends the work that has been running longest. */
  async endOne(): Promise<void> {
    this.#ends.shift()?.();
    // The next work begins within the same turn of the event loop.
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }

  async endAll(): Promise<string[]> {
    while (this.#ends.length > 0) await this.endOne();
    await Promise.all(this.#all);
    await this.turns.idle();
    return this.begun.map(({ name }) => name);
  }
}

const times = (count: number, one: () => void) => Array.from({ length: count }).forEach(one);

describe('turns of several callers', () => {
  it('alternate between callers, however many requests each has', async () => {
    const bench = new Bench(1, 100);
    times(6, () => bench.ask('a'));
    times(2, () => bench.ask('b'));
    bench.ask('c');
    expect(await bench.endAll()).toEqual(['a', 'a', 'b', 'c', 'a', 'b', 'a', 'a', 'a']);
  });

  it('alternate between the connections of one name, too', async () => {
    const bench = new Bench(1, 100);
    bench.ask('x');
    times(3, () => bench.ask('host', { connection: 'host:1' }));
    times(1, () => bench.ask('host', { connection: 'host:2' }));
    bench.ask('other');
    await bench.endAll();
    expect(bench.begun.map(({ connection }) => connection)).toEqual([
      ...['x', 'host:1', 'other', 'host:2', 'host:1', 'host:1'],
    ]);
  });

  it('of a more urgent level come first', async () => {
    const bench = new Bench(1, 100, 2);
    bench.ask('x', { level: 1 });
    bench.ask('a', { level: 1 });
    times(2, () => bench.ask('b', { level: 0 }));
    expect(await bench.endAll()).toEqual(['x', 'b', 'b', 'a']);
  });

  it('keep a single request behind at most one of each other caller, and state in advance how many go first', async () => {
    const arrival = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      connection: fc.constantFrom('1', '2'),
      ended: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(arrival, { maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        async (before, running) => {
          const bench = new Bench(running, 1000);
          for (const { name, connection, ended } of before) {
            bench.ask(name, { connection: `${name}${connection}` });
            if (ended) await bench.endOne();
          }
          const victim = { name: 'victim', connection: 'v' };
          const begunBefore = bench.begun.length;
          const waits = bench.turns.isBusy;
          const [ahead = 0] = bench.turns.ahead(victim, 0);
          bench.ask('victim');
          // Later requests of the same callers do not go before it a second time.
          for (const { name, connection } of before) {
            bench.ask(name, { connection: `${name}${connection}` });
            await bench.endOne();
          }
          const names = await bench.endAll();
          const wentFirst = names.slice(begunBefore, names.indexOf('victim'));
          if (waits) expect(wentFirst).toHaveLength(ahead);
          expect(new Set(wentFirst).size).toBe(wentFirst.length);
          expect(names).toHaveLength(2 * before.length + 1);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('let no caller wait longer than stated, among the requests already waiting', async () => {
    const party = fc.record({ name: fc.constantFrom('a', 'b', 'c'), connection: fc.constantFrom('1', '2') });
    await fc.assert(
      fc.asyncProperty(fc.array(party, { minLength: 1, maxLength: 40 }), party, async (before, last) => {
        const bench = new Bench(1, 1000);
        for (const one of before) bench.ask(one.name, { connection: one.name + one.connection });
        const connection = last.name + last.connection;
        const [ahead = 0] = bench.turns.ahead({ name: last.name, connection }, 0);
        const mine = before.filter((one) => one.name + one.connection === connection).length;
        bench.ask(last.name, { connection });
        await bench.endAll();
        const places = bench.begun.flatMap((one, i) => (one.connection === connection ? [i] : []));
        // The very first request did not wait.
        expect((places[mine] ?? Infinity) - 1).toBeLessThanOrEqual(ahead);
      }),
      { numRuns: 200 },
    );
  });

  it('drop the newest request of the caller with most when the queue is full, and only for a caller with fewer', async () => {
    const bench = new Bench(1, 4);
    bench.ask('x');
    times(4, () => bench.ask('crowd'));
    expect(bench.turns.hasRoom({ name: 'crowd', connection: 'crowd' })).toBe(false);
    expect(bench.turns.hasRoom({ name: 'one', connection: 'one' })).toBe(true);
    bench.ask('one');
    bench.ask('one');
    bench.ask('one');
    bench.ask('crowd');
    expect(bench.turns.waiting).toBe(4);
    expect(await bench.endAll()).toEqual(['x', 'crowd', 'one', 'crowd', 'one']);
    expect(bench.refused.map(({ name }) => name).sort()).toEqual(['crowd', 'crowd', 'crowd', 'one']);
  });

  it('drop a request of the connection with most, within one name', async () => {
    const bench = new Bench(1, 3);
    bench.ask('x');
    times(3, () => bench.ask('host', { connection: 'heavy' }));
    bench.ask('host', { connection: 'light' });
    bench.ask('host', { connection: 'light' });
    await bench.endAll();
    expect(bench.refused.map(({ connection }) => connection)).toEqual(['light', 'heavy']);
  });

  it('are dropped on abort, even at the moment they begin', async () => {
    const bench = new Bench(1, 10);
    const [early, late] = [new AbortController(), new AbortController()];
    bench.ask('x');
    bench.ask('early', { stop: early.signal });
    bench.ask('late', { stop: late.signal });
    bench.ask('last');
    early.abort(new Error('gone'));
    expect(bench.turns.waiting).toBe(2);
    const ended = bench.endOne();
    late.abort(new Error('gone'));
    await ended;
    expect(await bench.endAll()).toEqual(['x', 'last']);
    expect(bench.refused.map(({ name }) => name).sort()).toEqual(['early', 'late']);
    expect([bench.turns.running, bench.turns.waiting]).toEqual([0, 0]);
  });
});
