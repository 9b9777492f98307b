import { announceGarbage, headerOf, isClosed, type SegmentHandle } from '../gallery/segment-layout.ts';
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
  readonly #met = new Map<SegmentId, MetSegment>();

  get size(): number {
    return this.#met.size;
  }

  meet(handle: SegmentHandle): void {
    if (this.#met.has(handle.id)) return;
    this.#met.set(handle.id, { handle, reader: new SegmentReader(handle), header: headerOf(handle) });
  }

  /** @returns undefined: not met */
  get(id: SegmentId): MetSegment | undefined {
    return this.#met.get(id);
  }

  /** To be called now and then: nobody tells a thread of a segment that was closed. */
  forgetClosed(): void {
    for (const [id, { handle, header }] of this.#met) {
      if (!isClosed(header)) continue;
      this.#met.delete(id);
      announceGarbage(handle);
    }
  }
}
