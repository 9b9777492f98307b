import { extname } from 'node:path';
import { Piscina } from 'piscina';
import type { FaceDirections } from '../kernels/face-codes.ts';
import type { LearnTask } from '../workers/learning-worker.ts';

/**
 * Learns directions in a thread of their own, which ends afterwards.
 * @param signal - ends the thread at once
 * @throws AbortError after the signal; what the thread failed with
 */
export async function learnInThread(task: LearnTask, signal: AbortSignal): Promise<FaceDirections> {
  const thread = new Piscina<LearnTask, FaceDirections>({
    filename: new URL(`../workers/learning-worker${extname(import.meta.url)}`, import.meta.url).href,
    maxThreads: 1,
    minThreads: 1,
  });
  try {
    return await thread.run(task, { signal });
  } finally {
    await thread.destroy();
  }
}
