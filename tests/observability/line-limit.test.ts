import { afterEach, expect, it, vi } from 'vitest';
import { LineLimit } from '../../src/observability/line-limit.ts';

afterEach(() => vi.restoreAllMocks());

it('admits some lines about the same, and says later how many it has left out', () => {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const limit = new LineLimit(3);
  const admitted = Array.from({ length: 10 }, () => limit.admit('A')).filter((one) => one !== undefined);
  expect(admitted).toEqual([{}, {}, {}]);
  expect(limit.admit('B')).toEqual({});
  now = 10_001;
  expect(limit.admit('A')).toEqual({ unsaid: 7 });
  expect(limit.admit('A')).toEqual({});
});
