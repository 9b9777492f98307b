import { afterEach, expect, it, vi } from 'vitest';
import { LineLimit } from '../../src/observability/line-limit.ts';

afterEach(() => vi.restoreAllMocks());

it('admits a limited number of lines with the same subject and reports the number omitted', () => {
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
