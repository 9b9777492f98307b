import { MAX_BATCH_PROBES } from '../kernels/batch-kernels.ts';
import type { CodePiece } from './messages.ts';

/** Scans of the same references, sent to a thread as one task. */
interface Batch<Scan, Result> {
  readonly scans: Scan[];
  /** Undefined while it is being sent. */
  result: Promise<Result> | undefined;
}

/** The share of one caller in a batch. */
export interface Share<Result> {
  readonly result: Result;
  /** Position of the caller's first scan among those of the task. */
  readonly first: number;
  /** Scans of the task. */
  readonly size: number;
}

/**
 * Merges scans of the same references that wait for a thread at the same time into one task, which reads the references
 * once. A scan is sent as soon as it is asked for, and waits for nothing: only one that has no thread yet can be joined.
 * It keeps its place in the queue, and no task waits longer than for `maxScans` scans instead of one.
 */
export class ScanBatches<Scan, Result> {
  readonly #waiting = new Map<string, Batch<Scan, Result>>();
  readonly #maxScans: number;

  /** @param maxScans - of one task, 1 to MAX_BATCH_PROBES */
  constructor(maxScans: number = MAX_BATCH_PROBES) {
    this.#maxScans = maxScans;
  }

  /** Names of references for which a task waits for a thread and has room. */
  joinable(): string[] {
    return [...this.#waiting].flatMap(([name, { scans }]) => (scans.length < this.#maxScans ? [name] : []));
  }

  /**
   * @param references - what is read, see namesOf
   * @param scans - 1 to `maxScans`
   * @param send - sends a task; its scans may become more until `onWaiting(false)`
   */
  async run(
    references: string,
    scans: readonly Scan[],
    send: (scans: readonly Scan[], onWaiting: (isWaiting: boolean) => void) => Promise<Result>,
  ): Promise<Share<Result>> {
    const waiting = this.#waiting.get(references);
    if (waiting?.result !== undefined && waiting.scans.length + scans.length <= this.#maxScans) {
      const first = waiting.scans.length;
      waiting.scans.push(...scans);
      return { result: await waiting.result, first, size: waiting.scans.length };
    }
    const batch: Batch<Scan, Result> = { scans: [...scans], result: undefined };
    batch.result = send(batch.scans, (isWaiting) => {
      if (isWaiting) this.#waiting.set(references, batch);
      else if (this.#waiting.get(references) === batch) this.#waiting.delete(references);
    });
    return { result: await batch.result, first: 0, size: batch.scans.length };
  }
}

/** Names the references that a scan reads. Searches that began at different times may differ in the ends. */
export function namesOf(kind: 'codes' | 'faces', pieces: readonly Pick<CodePiece, 'segment' | 'from'>[]): string {
  return `${kind} ${pieces.map(({ segment, from }) => `${segment}:${from}`).join()}`;
}
