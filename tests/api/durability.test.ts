import { expect, it } from 'vitest';
import { killRounds } from '../../bench/durability/kill-rounds.ts';

it('loses no acknowledged change and serves no expunged subject, whenever it is killed', async () => {
  const result = await killRounds(3, () => undefined);
  expect(result.acknowledged).toBeGreaterThan(10);
  expect(result).toMatchObject({
    lost: 0,
    updatesLost: 0,
    resurrected: 0,
    torn: 0,
    notSearchable: 0,
    holes: 0,
  });
});
