import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { headerOf, isClosed, type SegmentHandle } from '../../gallery/segment-layout.ts';
import type { Calibrations } from '../rates/calibrations.ts';
import type { SegmentId } from './messages.ts';
import { SegmentReader } from './segment-reader.ts';

/** A segment that a thread has met. */
export interface MetSegment {
  readonly handle: SegmentHandle;
  readonly reader: SegmentReader;
  readonly header: Int32Array;
}

/** The segments that one thread has met, until they are closed: then it lets go of their memory. */
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

  /** @returns undefined: not met */
  get(id: SegmentId): MetSegment | undefined {
    return this.#met.get(id);
  }

  /** To be called now and then: nobody tells a thread of a segment that was closed. */
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
 * Collects what this thread let go of: it has little else, so that takes some milliseconds. By itself its collector would
 * hardly begin, for it does not count shared memory, and never end, for a thread that waits for tasks does nothing else.
 */
function collect(): void {
  if (collector === undefined) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
  }
  collector();
}
