/**
 * Records whose limits, suspensions, ages, galleries and classes change at random, searched in every way and compared with
 * a plain list. `npm run bench -- record-life` does the same a million times.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HIDINGS } from '../../bench/record-life/plain-records.ts';
import { Trial } from '../../bench/record-life/trial.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';

const PEOPLE = 8;
const OPERATIONS = 10_000;

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(2);
});
afterAll(() => pool.close());

it('no way of searching finds a record that may not be found, or misses one that may', async () => {
  const trial = await Trial.prepare(pool, PEOPLE, 0x11fe);
  await trial.run(OPERATIONS);
  await trial.close();
  expect(trial.violations).toEqual([]);
  for (const [way, { hidden, shown, violations }] of Object.entries(trial.tallies)) {
    expect(violations, way).toBe(0);
    // Otherwise the test would prove little.
    expect(shown, way).toBeGreaterThan(20);
    for (const hiding of HIDINGS) expect(hidden[hiding], `${way}, ${hiding}`).toBeGreaterThan(0);
  }
}, 120_000);
