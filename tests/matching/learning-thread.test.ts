import { once } from 'node:events';
import type * as Pools from 'piscina';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { learnInThread } from '../../src/matching/search/learning-thread.ts';

let isBroken = false;
let threads: readonly Worker[] = [];

vi.mock('piscina', async (original) => {
  const { Piscina } = await original<typeof Pools>();
  return {
    Piscina: class extends Piscina {
      constructor(options: ConstructorParameters<typeof Piscina>[0]) {
        super(isBroken ? { ...options, execArgv: ['--require', './there-is-no-such-file.cjs'] } : options);
        threads = this.threads;
      }
    },
  };
});

const task = {
  faces: new Int8Array(3000 * 1024).map((_, i) => (Math.imul(i, 2_654_435_761) >> 24) | 1),
  dimension: 1024,
};

describe('the thread that learns', () => {
  afterEach(() => void (isBroken = false));

  it('reports that it could not start', async () => {
    isBroken = true;
    await expect(learnInThread(task, new AbortController().signal)).rejects.toThrow('there-is-no-such-file');
  });

  it('reports what the learning failed with', async () => {
    const few = { faces: new Int8Array(1024), dimension: 1024 };
    await expect(learnInThread(few, new AbortController().signal)).rejects.toThrow(RangeError);
  });

  it('ends at once when it is told to', async () => {
    const stop = new AbortController();
    const learning = learnInThread(task, stop.signal);
    // The message that the thread is ready: it gets its task in the same turn.
    await once(threads[0], 'message');
    stop.abort();
    await expect(learning).rejects.toThrow(/abort/i);
  });
});
