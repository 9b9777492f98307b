import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { headerOf, isClosed, type SegmentHandle } from '../../gallery/segment-layout.ts';
import type { Calibrations } from '../rates/calibrations.ts';
import type { SegmentId } from './messages.ts';
import { SegmentReader } from './segment-reader.ts';

/** A segment known to the thread. */
export interface MetSegment {
  readonly handle: SegmentHandle;
  readonly reader: SegmentReader;
  readonly header: Int32Array;
}

/** The segments known to one thread. When a segment is closed, the thread releases its memory. */
export class SegmentReaders {
  readonly #calibrations: Calibrations;
  readonly #met = new Map<SegmentId, MetSegment>();

  constructor(calibrations: Calibrations) {
    this.#calibrations = calibrations;
  }

  get size(): number {
    return this.#met.size;
  }

  meet(handle: SegmentHandle): void {
    if (this.#met.has(handle.id)) return;
    this.#met.set(handle.id, {
      handle,
      reader: new SegmentReader(handle, this.#calibrations),
      header: headerOf(handle),
    });
  }

  /** @returns undefined: not known */
  get(id: SegmentId): MetSegment | undefined {
    return this.#met.get(id);
  }

  /** Must be called regularly: threads are not notified of closed segments. */
  forgetClosed(): void {
    if (this.#deleteClosed()) collect();
  }

  #deleteClosed(): boolean {
    const before = this.#met.size;
    for (const [id, { header }] of this.#met) if (isClosed(header)) this.#met.delete(id);
    return this.#met.size < before;
  }
}

let collector: (() => void) | undefined;

/**
 * Collects the released memory. The thread's heap is small, so this takes only some milliseconds. V8 would hardly start
 * a collection by itself, because it does not count shared memory, and would never finish one, because a waiting thread
 * runs no code.
 */
function collect(): void {
  if (collector === undefined) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
  }
  collector();
}
