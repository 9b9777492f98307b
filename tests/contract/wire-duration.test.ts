import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { readStatus, toStatus } from '../../src/api/status.ts';
import { toDuration } from '../../src/contract/wire-duration.ts';

const milliseconds = fc.oneof(
  fc.double({ min: 0, max: 1e12, noNaN: true }),
  // A hair below a whole second.
  fc
    .tuple(fc.nat(1_000_000), fc.integer({ min: 1, max: 1000 }))
    .map(([seconds, n]) => seconds * 1000 + 1000 - n * 1e-9),
);

it('a duration keeps its value, with less than a second of nanoseconds', () => {
  fc.assert(
    fc.property(milliseconds, (ms) => {
      const { seconds, nanos } = toDuration(ms);
      expect(Number.isInteger(seconds) && Number.isInteger(nanos) && nanos >= 0 && nanos < 1e9).toBe(true);
      expect(Math.abs(seconds * 1000 + nanos / 1e6 - ms)).toBeLessThanOrEqual(Math.max(1e-6, ms * 1e-15));
    }),
  );
});

it('the retry time of a refusal keeps its value in the same way', () => {
  fc.assert(
    fc.property(milliseconds, (retryAfterMs) => {
      const status = toStatus(new Failure('unavailable', 'NOT_READY', 'Later.', { retryAfterMs }));
      expect(readStatus(status).retryAfterMs).toBeCloseTo(retryAfterMs, 3);
    }),
  );
});
