import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { addListGauges, type ListGauges } from '../../src/observability/list-gauges.ts';

it('show hit rates only where they were measured, and shares always', async () => {
  const registry = new Registry();
  const shares = { ranked: 0.02, compared: 0.01 };
  const measured = { kind: 'fingers', shares, trials: 400, hits: 398, hitRateLower: 0.98 };
  let lists: ListGauges = {
    targetHitRate: 0.99,
    kinds: [measured, { kind: 'face', shares, trials: 0, hits: 0, hitRateLower: 0 }],
  };
  addListGauges(registry, () => lists);
  const lines = async () =>
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(await lines()).toEqual([
    'ridgewatch_index_target_hit_rate 0.99',
    'ridgewatch_index_measured_hit_rate{modality="fingers"} 0.995',
    'ridgewatch_index_measured_hit_rate_lower{modality="fingers"} 0.98',
    'ridgewatch_index_ranked_share{modality="fingers"} 0.02',
    'ridgewatch_index_ranked_share{modality="face"} 0.02',
    'ridgewatch_index_compared_share{modality="fingers"} 0.01',
    'ridgewatch_index_compared_share{modality="face"} 0.01',
  ]);
  // After a switch of the index nothing is measured.
  lists = { targetHitRate: 0.99, kinds: [{ ...measured, trials: 0 }] };
  expect((await lines()).filter((line) => line.includes('measured'))).toEqual([]);
});
