import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { inSlices, SLICE_MS } from '../../gallery/slices.ts';
import type { Partition, SegmentRange } from '../../gallery/partition.ts';
import { FaceCoder, type FaceDirections } from '../kernels/face-codes.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import { areCoded, LEARNED_FACES, MIN_CODED_FACES } from './face-learning.ts';
import { FirstFaces } from './first-faces.ts';
import { learnInThread } from './learning-thread.ts';

/** Faces per task: about ten milliseconds, a short wait for searches. */
const FACES_PER_TASK = 1024;
/** Pause after a failure. */
const PAUSE_MS = 60_000;

/**
 * Codes faces in the background, once a gallery has enough of them. Directions are learned from the first faces by
 * subject id. Searches compare the faces of a model exactly until all of them are coded.
 */
export class FaceCoding {
  readonly #served: CurrentGallery;
  readonly #pool: WorkerPool;
  readonly #onError: (error: unknown) => void;
  readonly #minFaces: number;
  readonly #learned = new WeakMap<Partition, FaceDirections>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #notBefore = 0;

  /** @param onError - called when coding failed; it is retried after a minute */
  constructor(served: CurrentGallery, pool: WorkerPool, onError: (error: unknown) => void, minFaces = MIN_CODED_FACES) {
    this.#served = served;
    this.#pool = pool;
    this.#onError = onError;
    this.#minFaces = minFaces;
  }

  /**
   * Codes the faces of the current gallery that have no codes yet. Costs next to nothing when there are none.
   * @returns resolves when nothing is left to do; a second call meanwhile gets the same promise
   */
  run(): Promise<void> {
    return (this.#running ??= this.#codeAll().finally(() => (this.#running = undefined)));
  }

  /** Ends after the present task of the pool; the learning of directions at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #codeAll(): Promise<void> {
    if (performance.now() < this.#notBefore) return;
    const gallery = this.#served.current;
    try {
      for (const partition of gallery.partitions) if (this.#isDue(partition)) await this.#code(partition, gallery);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#notBefore = performance.now() + PAUSE_MS;
      this.#onError(error);
    }
  }

  #isDue({ name, isCoded, liveCount }: Partition): boolean {
    return name.modality === 'face' && !isCoded && areCoded(name.dimension, liveCount, this.#minFaces);
  }

  async #code(partition: Partition, gallery: Gallery): Promise<void> {
    const isOver = () => this.#stop.signal.aborted || this.#served.current !== gallery;
    if (isOver()) return;
    const directions = this.#learned.get(partition) ?? (await this.#learn(partition, gallery, isOver));
    if (directions === undefined) return;
    this.#learned.set(partition, directions);
    // Faces without variance, such as copies of one face, have no directions: they stay exact.
    if (isOver() || directions.unit === 0) return;
    const ranges = partition.beginCoding(new FaceCoder(directions));
    // A compaction is running. The next call tries again.
    if (ranges === undefined) return;
    for (const [segment, from, to] of piecesOf(ranges)) {
      if (isOver()) return;
      const { handle } = segment;
      const task = { kind: 'encode-faces', directions, segment: handle.id, from, to } as const;
      const { codes } = await this.#pool.encodeFaces(task, handle);
      segment.writeCodes(from, codes);
    }
    partition.endCoding();
  }

  /** @returns undefined: it is over */
  async #learn({ name }: Partition, gallery: Gallery, isOver: () => boolean): Promise<FaceDirections | undefined> {
    if (name.modality !== 'face') return undefined;
    const first = new FirstFaces(gallery, name, LEARNED_FACES);
    if (!(await inSlices(first.look(), SLICE_MS, isOver)) || isOver()) return undefined;
    return learnInThread({ faces: first.read(), dimension: name.dimension }, this.#stop.signal);
  }
}

function piecesOf(ranges: readonly SegmentRange[]): [SegmentRange['segment'], number, number][] {
  return ranges.flatMap(({ segment, end }) =>
    Array.from({ length: Math.ceil(end / FACES_PER_TASK) }, (_, i): [SegmentRange['segment'], number, number] => [
      segment,
      i * FACES_PER_TASK,
      Math.min(end, (i + 1) * FACES_PER_TASK),
    ]),
  );
}
