import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killRounds } from '../../../bench/audit/kill-rounds.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../../cluster.ts';

const ROUNDS = 50;
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());

it(
  `${ROUNDS} kills lose no acknowledged record, double none, and leave a sound chain`,
  { timeout: 300_000 },
  async () => {
    const url = new URL(await cluster.createDatabase());
    const name = url.pathname.slice(1);
    url.pathname = '/postgres';
    const dataDir = join(temporaryDirectory(), 'data');
    const result = await killRounds({ rounds: ROUNDS, serverUrl: url.href, name, dataDir, onRound: () => undefined });
    expect(result).toMatchObject({ rounds: ROUNDS, lost: 0, doubled: 0, unverified: 0 });
    expect(result.acknowledged).toBeGreaterThan(ROUNDS);
    // Otherwise neither the file nor its replay was tested.
    expect(result.replayed).toBeGreaterThan(0);
  },
);
