import { extname } from 'node:path';
import { Piscina } from 'piscina';
import type { FaceDirections } from '../kernels/face-codes.ts';
import type { FaceSpectrum } from '../kernels/face-spectrum.ts';
import type { LearnTask } from '../workers/learning-worker.ts';

/**
 * Learns directions in a thread of their own, which ends afterwards.
 * @param signal - ends the thread at once
 * @throws AbortError after the signal; what the thread failed with
 */
export function learnInThread(task: LearnTask, signal: AbortSignal): Promise<FaceDirections> {
  return inThread('learnDirections', task, signal);
}

/** Learns a spectrum in the same way. */
export function learnSpectrumInThread(task: LearnTask, signal: AbortSignal): Promise<FaceSpectrum> {
  return inThread('learnSpectrum', task, signal);
}

/** @param name - a function that learning-worker.ts exports */
async function inThread<Result>(name: string, task: LearnTask, signal: AbortSignal): Promise<Result> {
  const thread = new Piscina<LearnTask, Result>({
    filename: new URL(`../workers/learning-worker${extname(import.meta.url)}`, import.meta.url).href,
    maxThreads: 1,
    minThreads: 1,
  });
  try {
    return await thread.run(task, { signal, name });
  } finally {
    await thread.destroy();
  }
}
