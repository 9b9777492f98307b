import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import { partitionKey, type PartitionName, type SubjectEntry } from '../../gallery/catalogue.ts';
import { inSlices, SLICE_MS } from '../../gallery/slices.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import { isInSpectrum, type FaceSpectrum } from '../kernels/face-spectrum.ts';
import { hasSpectrum, SPECTRUM_FACES } from './face-learning.ts';
import { FirstFaces } from './first-faces.ts';
import { learnSpectrumInThread } from './learning-thread.ts';

type FaceKind = Extract<PartitionName, { modality: 'face' }>;

/** Time after which a model whose faces did not suffice is looked at again, and pause after a failure. */
const PAUSE_MS = 60_000;

/**
 * The spectra of the face models that have enough enrolled faces. They are learned in a thread of their own from the
 * first faces by subject id: the same first subjects give the same spectrum after a restart and in every service, so
 * none is stored. Until a model has one, all its faces are admitted here.
 *
 * Synthetic records do not count: probes of real people do not lie as they do, and would all be refused.
 */
export class FaceSpectra {
  readonly #served: CurrentGallery;
  readonly #onLearned: (kind: FaceKind, learnedFrom: number) => void;
  readonly #onError: (error: unknown) => void;
  readonly #spectra = new Map<string, FaceSpectrum>();
  /** When a model is due, by its key; `performance.now`. */
  readonly #dueAt = new Map<string, number>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  /**
   * @param onLearned - called when a spectrum is in force
   * @param onError - called when one could not be learned; it is tried again after a minute
   */
  constructor(
    served: CurrentGallery,
    onLearned: (kind: FaceKind, learnedFrom: number) => void,
    onError: (error: unknown) => void,
  ) {
    this.#served = served;
    this.#onLearned = onLearned;
    this.#onError = onError;
  }

  /**
   * Learns what can be learned and is not. Costs next to nothing when there is nothing. To be called regularly.
   * @returns resolves when nothing is left to do; a second call meanwhile gets the same promise
   */
  run(): Promise<void> {
    return (this.#running ??= this.#learnAll().finally(() => (this.#running = undefined)));
  }

  /** Ends the learning at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Whether a face lies as the enrolled faces of its model do, or its model has no spectrum. Takes about 70 µs. */
  admits({ modelId, dimension, values }: Pick<FaceTemplate, 'modelId' | 'dimension' | 'values'>): boolean {
    const spectrum = this.#spectra.get(partitionKey({ modality: 'face', modelId, dimension }));
    return spectrum === undefined || isInSpectrum(spectrum, values);
  }

  /** Faces that the spectrum of a model was learned from; 0: it has none. */
  learnedFrom(kind: Omit<FaceKind, 'modality'>): number {
    return this.#spectra.get(partitionKey({ modality: 'face', ...kind }))?.learnedFrom ?? 0;
  }

  async #learnAll(): Promise<void> {
    for (const { name, key, liveCount } of this.#served.current.partitions) {
      if (name.modality !== 'face' || this.#spectra.has(key) || !hasSpectrum(name.dimension, liveCount)) continue;
      if (performance.now() < (this.#dueAt.get(key) ?? 0)) continue;
      try {
        await this.#learn(name, key);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#onError(error);
      }
      this.#dueAt.set(key, performance.now() + PAUSE_MS);
    }
  }

  async #learn(name: FaceKind, key: string): Promise<void> {
    const gallery = this.#served.current;
    const isOver = () => this.#stop.signal.aborted || this.#served.current !== gallery;
    const first = new FirstFaces(gallery, name, SPECTRUM_FACES, isOfPerson);
    if (!(await inSlices(first.look(), SLICE_MS, isOver)) || isOver()) return;
    const faces = first.read();
    if (!hasSpectrum(name.dimension, faces.length / name.dimension)) return;
    const spectrum = await learnSpectrumInThread({ faces, dimension: name.dimension }, this.#stop.signal);
    this.#spectra.set(key, spectrum);
    this.#onLearned(name, spectrum.learnedFrom);
  }
}

function isOfPerson({ attributes }: SubjectEntry): boolean {
  return attributes.provenance !== 'synthetic';
}
