import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { isStopped, STOP, StopSignal, type StopLevel } from '../../src/matching/workers/stop-signal.ts';

const LEVELS: readonly StopLevel[] = [STOP.scan, STOP.compare, STOP.all];

it('stops all stages up to its highest level, for good', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...LEVELS)), (raised) => {
      const signal = new StopSignal();
      for (const level of raised) signal.raise(level);
      const highest = Math.max(0, ...raised);
      expect([signal.scan, signal.compare, signal.all].map(isStopped)).toEqual(LEVELS.map((level) => level <= highest));
    }),
  );
});

it('aborts the waits of all stages up to its highest level, those that begin later too', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...LEVELS)), fc.boolean(), (raised, isLate) => {
      const signal = new StopSignal();
      const early = isLate ? [] : LEVELS.map((level) => signal.abortedAt(level));
      for (const level of raised) signal.raise(level);
      const highest = Math.max(0, ...raised);
      const waits = isLate ? LEVELS.map((level) => signal.abortedAt(level)) : early;
      expect(waits.map(({ aborted }) => aborted)).toEqual(LEVELS.map((level) => level <= highest));
    }),
  );
});
