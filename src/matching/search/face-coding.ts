import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import type { Partition, SegmentRange } from '../../gallery/partition.ts';
import { FaceCoder, type FaceDirections } from '../kernels/face-codes.ts';
import { canLearnDirections } from '../kernels/learn-face-directions.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import { learnInThread } from './learning-thread.ts';

/** Smallest number of faces that is coded: fewer are compared exactly within a few milliseconds. */
const MIN_FACES = 20_000;
/** Faces that directions are learned from: more hardly change them. */
const LEARNED = 3000;
/** Maximum number of components: the learning time grows with it. */
const MAX_DIMENSION = 1024;
/** Faces per task: about ten milliseconds, a short wait for searches. */
const FACES_PER_TASK = 1024;
/** Pause after a failure. */
const PAUSE_MS = 60_000;

/**
 * Codes faces in the background, once a gallery has enough of them. Directions are learned from the first faces in
 * memory; after a start these are of the first subjects by id. Searches compare the faces of a model exactly until all
 * of them are coded.
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
  constructor(served: CurrentGallery, pool: WorkerPool, onError: (error: unknown) => void, minFaces = MIN_FACES) {
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
    if (name.modality !== 'face' || isCoded || liveCount < this.#minFaces) return false;
    return name.dimension <= MAX_DIMENSION && canLearnDirections(name.dimension, Math.min(liveCount, LEARNED));
  }

  async #code(partition: Partition, gallery: Gallery): Promise<void> {
    const isOver = () => this.#stop.signal.aborted || this.#served.current !== gallery;
    if (isOver()) return;
    const directions = this.#learned.get(partition) ?? (await this.#learn(partition));
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

  #learn(partition: Partition): Promise<FaceDirections> {
    const dimension = partition.name.modality === 'face' ? partition.name.dimension : 0;
    return learnInThread({ faces: firstFaces(partition, dimension), dimension }, this.#stop.signal);
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

/** The first faces that are not removed. */
function firstFaces(partition: Partition, dimension: number): Int8Array {
  const faces = new Uint8Array(LEARNED * dimension);
  let count = 0;
  for (const { segment, end } of partition.ranges()) {
    for (let index = 0; index < end && count < LEARNED; index++) {
      if (!segment.isLive(index)) continue;
      faces.set(segment.packed(index), count * dimension);
      count++;
    }
  }
  return new Int8Array(faces.buffer, 0, count * dimension);
}
