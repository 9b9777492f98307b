import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import { partitionKey, type ReferenceLocation, type SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { fixedShares, listSizes } from '../search/list-sizes.ts';
import { prepareProbes } from '../search/probe.ts';
import { ValueBuffers } from '../search/value-buffers.ts';
import { LIST_KINDS, type ListKind, type ListShares } from '../workers/list-lengths.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import { chooseLengths, trialsFor, type ChosenLengths, type MatePlace } from './chosen-lengths.ts';
import { drawSubjects } from './drawn-subjects.ts';
import { placeMate } from './place-mate.ts';
import { enrolledFor, faceAt, OTHER_FACES, wornTemplates } from './worn-probes.ts';

/** Smaller galleries are searched exactly, or by the shortest lists. */
const MIN_SUBJECTS = 5000;
/** Subjects drawn for each probe that counts: some probes are too bad for an exact search to find their mate. */
const DRAWN_PER_TRIAL = 4;
/** Lengths are measured again when the gallery has grown by this factor. */
const GROWTH = 2;
/** Pause after a failure. */
const PAUSE_MS = 60_000;

/** The list lengths of one kind of searches. */
export interface ListFigures {
  readonly kind: ListKind;
  /** In use. */
  readonly shares: ListShares;
  /** `fixed`: nothing has been measured, or with too few probes; `measuring`: nothing yet. */
  readonly state: 'fixed' | 'measuring' | 'measured';
  /** Subjects in the gallery when it was measured; 0: not measured. */
  readonly subjects: number;
  /** Of ChosenLengths; 0 and false: not measured. */
  readonly trials: number;
  readonly hits: number;
  readonly hitRateLower: number;
  readonly isReached: boolean;
}

export interface ListTuningOptions {
  /** Share of the mates ranked first by an exact search that indexed searches must have, above 0, below 1. */
  readonly targetHitRate: number;
  /** Of the service. */
  readonly targetFpir: number;
  readonly served: CurrentGallery;
  readonly pool: WorkerPool;
  /** Resolves when no search is running. */
  readonly idle: () => Promise<void>;
  /** Called when the lengths of a kind have been measured. */
  readonly onMeasured: (figures: ListFigures) => void;
  /** Called when measuring failed; it is retried after a minute. */
  readonly onError: (error: unknown) => void;
  /** Smallest gallery to measure on. */
  readonly minSubjects?: number;
}

/**
 * Measures on the gallery itself how long the lists of indexed searches must be: while no search is running, it makes
 * probes of enrolled subjects, each like a later capture of a reference, and finds their mates' places in the lists.
 * The lengths follow from the gallery, the models and the target alone, unless the gallery changes meanwhile. They are
 * measured again when the gallery has doubled, and when another one replaces it, which begins with the fixed lengths.
 */
export class ListTuning {
  readonly #options: ListTuningOptions;
  readonly #minSubjects: number;
  readonly #buffers = new ValueBuffers();
  readonly #stop = new AbortController();
  readonly #measured = new Map<ListKind, { readonly subjects: number; readonly chosen: ChosenLengths | undefined }>();
  #gallery: Gallery;
  /** Aborted when another gallery is served. */
  #replaced = new AbortController();
  /** Aborted at the stop, too. */
  #over = AbortSignal.any([this.#stop.signal, this.#replaced.signal]);
  #now: ListKind | undefined;
  #running: Promise<void> | undefined;
  #notBefore = 0;

  constructor(options: ListTuningOptions) {
    this.#options = options;
    this.#minSubjects = options.minSubjects ?? MIN_SUBJECTS;
    this.#gallery = options.served.current;
  }

  /** Of all kinds, in the order of LIST_KINDS. */
  get figures(): readonly ListFigures[] {
    return LIST_KINDS.map((kind) => this.#figuresOf(kind));
  }

  /**
   * Measures the kinds that are due. Costs next to nothing when none is.
   * @returns resolves when nothing is left to do; a second call meanwhile gets the same promise
   */
  run(): Promise<void> {
    if (this.#options.served.current !== this.#gallery) this.#replaced.abort();
    return (this.#running ??= this.#measureAll().finally(() => (this.#running = undefined)));
  }

  /** Ends after the present task of the pool. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #measureAll(): Promise<void> {
    const { served, pool, onError, onMeasured } = this.#options;
    if (this.#stop.signal.aborted || performance.now() < this.#notBefore) return;
    const gallery = served.current;
    if (gallery !== this.#gallery) {
      this.#gallery = gallery;
      this.#replaced = new AbortController();
      this.#over = AbortSignal.any([this.#stop.signal, this.#replaced.signal]);
      this.#measured.clear();
      pool.lengths.clear();
    }
    try {
      for (const kind of LIST_KINDS) {
        if (!this.#isDue(kind, gallery)) continue;
        this.#now = kind;
        const subjects = gallery.storedSubjectCount;
        const places = await this.#places(kind, gallery);
        if (places === undefined) return;
        const chosen = this.#choose(kind, places, subjects);
        this.#measured.set(kind, { subjects, chosen });
        if (chosen === undefined) {
          pool.lengths.delete(kind);
          continue;
        }
        pool.lengths.set(kind, chosen.shares);
        onMeasured(this.#figuresOf(kind));
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#notBefore = performance.now() + PAUSE_MS;
      onError(error);
    } finally {
      this.#now = undefined;
    }
  }

  #isDue(kind: ListKind, gallery: Gallery): boolean {
    const last = this.#measured.get(kind)?.subjects ?? 0;
    if (gallery.storedSubjectCount < Math.max(this.#minSubjects, GROWTH * last)) return false;
    return kind === 'face' || kind === 'finger+face' ? codedFaces(gallery) !== undefined : true;
  }

  #isOver(gallery: Gallery): boolean {
    return this.#stop.signal.aborted || this.#options.served.current !== gallery;
  }

  /** The places of mates; undefined: stopped, or another gallery is served. */
  async #places(kind: ListKind, gallery: Gallery): Promise<MatePlace[] | undefined> {
    const trials = trialsFor(this.#options.targetHitRate);
    const faces = codedFaces(gallery);
    const isCoded = ({ partition }: ReferenceLocation) => partitionKey(partition) === faces;
    const enrolled = (subject: SubjectEntry) => enrolledFor(kind, subject, isCoded);
    const count = DRAWN_PER_TRIAL * trials + OTHER_FACES;
    const isOver = () => this.#isOver(gallery);
    const drawn = await drawSubjects(gallery, count, (subject) => enrolled(subject) !== undefined, isOver);
    if (drawn === undefined) return undefined;
    const places: MatePlace[] = [];
    for (let i = 0; i < drawn.length && places.length < trials; i++) {
      await this.#whenIdle();
      if (isOver()) return undefined;
      // Another subject may have the place of an expunged one.
      if (gallery.subject(drawn[i].subjectId) !== drawn[i]) continue;
      const others = kind === 'face' || kind === 'finger+face' ? facesAfter(drawn, i, enrolled) : [];
      const place = await this.#placeOf(drawn[i], enrolled(drawn[i]) ?? [], others, gallery);
      if (isOver()) return undefined;
      if (place !== undefined) places.push(place);
    }
    return places;
  }

  async #placeOf(
    mate: SubjectEntry,
    enrolled: readonly ReferenceLocation[],
    others: readonly Int8Array[],
    gallery: Gallery,
  ): Promise<MatePlace | undefined> {
    const { pool, targetFpir } = this.#options;
    const templates = wornTemplates(enrolled, others) ?? [];
    const samples = templates.map((template, sampleIndex) => ({ sampleIndex, viewIndex: 0, template }));
    const probes = await prepareProbes(pool, samples);
    if (probes.length === 0 || probes.some(({ packed }) => packed === undefined)) return undefined;
    return placeMate(gallery, pool, probes, mate, targetFpir, this.#buffers, this.#stop.signal);
  }

  #choose(kind: ListKind, places: readonly MatePlace[], subjects: number): ChosenLengths | undefined {
    return chooseLengths(places, {
      target: this.#options.targetHitRate,
      fixed: fixedShares(kind),
      subjects,
      sizesOf: (shares) => listSizes(kind, shares, subjects, 0),
    });
  }

  #figuresOf(kind: ListKind): ListFigures {
    const { subjects = 0, chosen } = this.#measured.get(kind) ?? {};
    if (chosen !== undefined) return { kind, state: 'measured', subjects, ...chosen };
    const state = this.#now === kind ? 'measuring' : 'fixed';
    const none = { subjects: 0, trials: 0, hits: 0, hitRateLower: 0, isReached: false };
    return { kind, state, shares: fixedShares(kind), ...none };
  }

  /** Resolves when no search is running, at the stop, or when `run` finds another gallery: a busy service is never idle. */
  #whenIdle(): Promise<void> {
    const signal = this.#over;
    if (signal.aborted) return Promise.resolve();
    const ended = Promise.withResolvers<undefined>();
    const end = () => ended.resolve(undefined);
    signal.addEventListener('abort', end, { once: true });
    return Promise.race([this.#options.idle(), ended.promise]).finally(() => signal.removeEventListener('abort', end));
  }
}

/** Key of the largest partition of faces that searches scan codes of; undefined: there is none. */
function codedFaces(gallery: Gallery): string | undefined {
  const coded = gallery.partitions.filter(({ name, isCoded }) => name.modality === 'face' && isCoded);
  return coded.sort((a, b) => b.liveCount - a.liveCount || (a.key < b.key ? -1 : 1))[0]?.key;
}

/** The next faces of the drawn subjects, from the beginning again after the last. */
function facesAfter(
  drawn: readonly SubjectEntry[],
  i: number,
  enrolled: (subject: SubjectEntry) => readonly ReferenceLocation[] | undefined,
): readonly Int8Array[] {
  const faces: Int8Array[] = [];
  for (let k = 1; k < drawn.length && faces.length < OTHER_FACES; k++) {
    for (const reference of enrolled(drawn[(i + k) % drawn.length]) ?? []) {
      const face = faceAt(reference);
      if (face !== undefined) faces.push(face);
    }
  }
  return faces;
}
