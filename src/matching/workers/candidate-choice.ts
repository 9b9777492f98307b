import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import { STEP } from '../kernels/code-tables.ts';
import { MAX_INSTANCES } from '../kernels/candidate-kernels.ts';
import type { KernelBuild } from '../kernels/kernel-builds.ts';
import { REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { MEAN_ABOVE_ZERO } from '../kernels/similarity.ts';
import { BestReferences } from './best-references.ts';
import { ChoiceMemory, type OwnedValues } from './choice-memory.ts';
import { orderComparisons, placeByVectors, type ChosenReferences } from './comparison-order.ts';
import type { ChooseResult, ChooseTask, ChosenPart, PlaceResult, PlaceTask } from './messages.ts';
import { joined } from './joined-arrays.ts';
import type { SegmentReader } from './segment-reader.ts';
import { requireGoing, Stopped } from './stop-signal.ts';

/** References ranked by whole vectors between two looks at the stop word: some milliseconds. */
const RANKED_AT_A_TIME = 4096;

/** Rank units per step, with one instance. */
const RANK_UNIT = 16;

/**
 * Ranks by number of instances n, as factor and offset, see rankSubjects: (sum − n · mean) / √n, in units of RANK_UNIT,
 * at least 1. Non-mated similarities have mean 0 and the same deviation for all instances. A poorly captured finger is
 * dissimilar to every reference, which is no evidence against a mate: values below 0 count as 0. The expected sum of a
 * non-mate is subtracted, and the rest is divided by √n: more instances alone must not raise a rank.
 */
const RANKS = Uint16Array.from({ length: 2 * MAX_INSTANCES }, (_, i) => {
  const instances = i >> 1;
  if (instances === 0) return 0;
  if (i % 2 === 0) return Math.round((256 * RANK_UNIT) / Math.sqrt(instances));
  const mean = (MEAN_ABOVE_ZERO / STEP) * RANK_UNIT;
  return 1 + Math.round(mean * (Math.sqrt(MAX_INSTANCES) - Math.sqrt(instances)));
});

interface Part extends Omit<ChosenPart, 'segment'> {
  readonly segment: { readonly handle: SegmentHandle; readonly reader: SegmentReader };
}

/** A choice with its segments resolved. */
export interface ChoiceRequest extends Omit<ChooseTask, 'parts' | 'kind'> {
  readonly parts: readonly Part[];
}

/** A request for a place with its segments resolved. */
export interface PlaceRequest extends Omit<PlaceTask, 'parts' | 'kind'> {
  readonly parts: readonly Part[];
}

type ListRequest = Omit<ChoiceRequest, 'wanted' | 'stop'>;

/**
 * Chooses the subjects to compare in two steps: by the values of all references, and among the chosen subjects by whole
 * candidate vectors. A finger's value is coarse, but takes one byte to read; its vector is exact, but takes 256 bytes.
 */
export class CandidateChoice {
  readonly #memory: ChoiceMemory;
  readonly #best: BestReferences;
  #reranked = { references: 0, busyMs: 0 };

  /** @param build - the kernel build; by default the fastest that runs here */
  constructor(build?: KernelBuild) {
    this.#memory = new ChoiceMemory(build);
    this.#best = new BestReferences(build);
  }

  /** Stops within a few milliseconds, also where so many subjects tie that all of them are chosen. */
  choose(request: ChoiceRequest): Omit<ChooseResult, 'busyMs'> {
    this.#reranked = { references: 0, busyMs: 0 };
    const goOn = () => requireGoing(request.stop);
    try {
      const { subjects, chosen, areAll } = this.#list(request, goOn);
      const order = orderComparisons(subjects, chosen, request.wanted, goOn);
      return { areAll, references: presentIn(chosen), reranked: this.#reranked, ...order };
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      const none = request.parts.map(() => new Uint32Array(0));
      const order = { certain: none, first: none, rest: none };
      const references = request.parts.map(() => 0);
      return { areAll: false, references, reranked: this.#reranked, subjects: 0, order };
    }
  }

  /** Where the choice would list a subject. */
  place(request: PlaceRequest): Omit<PlaceResult, 'busyMs'> {
    const { subject } = request;
    const listed = this.#list(request);
    const byValues = listed.placeOf(subject);
    if (byValues === Infinity) return { byValues, byVectors: Infinity, first: [] };
    const { subjects, chosen } = listed.subjects.includes(subject)
      ? listed
      : this.#withSubject(request, listed, subject);
    const { place: byVectors, first } = placeByVectors(subjects, chosen, subject);
    return { byValues, byVectors, first };
  }

  /** @param goOn - called every few milliseconds; what it throws ends the work */
  #list(request: ListRequest, goOn: () => void = () => undefined): Listed {
    goOn();
    const scanned = request.parts.map((part) => scannedOf(part, request));
    const isOfOne = request.parts.every(({ instance }, _, [first]) => instance === first.instance);
    const bytes = scanned.flatMap(({ values }) => (values instanceof Uint8Array ? [values] : []));
    return isOfOne && request.filter === undefined && bytes.length > 0 && bytes.length === scanned.length
      ? this.#listByReferences(request, scanned, bytes, goOn)
      : this.#listBySubjects(request, scanned, goOn);
  }

  #listByReferences(
    request: ListRequest,
    scanned: readonly OwnedValues[],
    values: readonly Uint8Array[],
    goOn: () => void,
  ): Listed {
    const { indices, areAll } = this.#best.choose(values, request.ranked);
    const owned = indices.map((own, p) => own.map((index) => scanned[p].owners[index]));
    const subjects = distinct(joined(owned).sort());
    const chosen = indices.map((own, p) => this.#chosenOf(request, scanned[p], p, own, goOn));
    return { subjects, chosen, areAll, placeOf: (subject) => placeByReferences(scanned, subject) };
  }

  #listBySubjects(request: ListRequest, scanned: readonly OwnedValues[], goOn: () => void): Listed {
    const { parts, ordinals, ranked, filter } = request;
    const byInstance = Map.groupBy(scanned.keys(), (p) => parts[p].instance);
    const instances = Array.from(byInstance.values(), (own) => own.map((p) => scanned[p]));
    this.#memory.rank(instances, ordinals, RANKS, goOn);
    if (filter !== undefined) this.#memory.mask(filter, ordinals);
    const subjects = this.#memory.choose(ranked, ordinals);
    const chosen = scanned.map((part, p) => {
      goOn();
      return this.#chosenOf(request, part, p, this.#memory.referencesOf(part.owners, ordinals), goOn);
    });
    this.#memory.release(subjects);
    const areAll = subjects.length < ranked;
    return { subjects, chosen, areAll, placeOf: (subject) => this.#memory.placeOf(subject, ordinals) };
  }

  /** The chosen references of one part, with the similarities of their whole vectors. */
  #chosenOf(
    { parts, probes }: ListRequest,
    { owners, values }: OwnedValues,
    p: number,
    indices: Uint32Array,
    goOn: () => void,
  ): ChosenReferences {
    const part = parts[p];
    const probe = probes[part.probe];
    const started = performance.now();
    const similarities = similaritiesOf(part, probe, indices, values, goOn);
    if (part.isCoded) {
      this.#reranked.references += indices.length;
      this.#reranked.busyMs += performance.now() - started;
    }
    return { instance: part.instance, isFace: probe?.modality === 'face', indices, owners, similarities };
  }

  /** The same list with one more subject. */
  #withSubject(
    request: ListRequest,
    { subjects, chosen }: Listed,
    subject: number,
  ): Pick<Listed, 'subjects' | 'chosen'> {
    const more = chosen.map(({ indices, owners }, p) => {
      const own: number[] = [];
      for (let i = 0; i < owners.length; i++) if (owners[i] === subject) own.push(i);
      const part = scannedOf(request.parts[p], request);
      return this.#chosenOf(request, part, p, Uint32Array.from([...indices, ...own]).sort(), () => undefined);
    });
    return { subjects: Uint32Array.from([...subjects, subject]).sort(), chosen: more };
  }
}

/** Subjects that are ranked by whole vectors. */
interface Listed {
  /** Ordinals, ascending. */
  readonly subjects: Uint32Array;
  readonly chosen: readonly ChosenReferences[];
  readonly areAll: boolean;
  /** See PlaceResult.byValues; only until the next choice. */
  readonly placeOf: (subject: number) => number;
}

/** One more than the references with greater values than the subject's best. */
function placeByReferences(scanned: readonly OwnedValues[], subject: number): number {
  let own = 0;
  for (const { owners, values } of scanned)
    for (let i = 0; i < owners.length; i++) if (owners[i] === subject && values[i] > own) own = values[i];
  if (own === 0) return Infinity;
  let before = 0;
  for (const { values } of scanned) for (let i = 0; i < values.length; i++) if (values[i] > own) before++;
  return before + 1;
}

function scannedOf({ segment, count, offset, isCoded }: Part, { values }: ListRequest): OwnedValues {
  const { memory, layout } = segment.handle;
  const owners = new Uint32Array(memory.buffer, layout.ownersAddress, count);
  return isCoded
    ? { owners, values: new Uint8Array(values, offset, count) }
    : { owners, values: new Int16Array(values, offset, count) };
}

/** For each part: the references that were not removed. */
function presentIn(chosen: readonly ChosenReferences[]): number[] {
  return chosen.map(({ similarities }) => {
    let present = 0;
    for (let k = 0; k < similarities.length; k++) if (similarities[k] !== REMOVED_SIMILARITY) present++;
    return present;
  });
}

/** The similarities of listed references: those of the scan, or, after a scan of codes, of the whole vectors. */
function similaritiesOf(
  { segment }: Part,
  probe: PackedProbe | undefined,
  indices: Uint32Array,
  values: Uint8Array | Int16Array,
  goOn: () => void,
): Int16Array {
  if (values instanceof Int16Array) return Int16Array.from(indices, (index) => values[index]);
  const similarities = new Int16Array(indices.length).fill(REMOVED_SIMILARITY);
  if (probe !== undefined)
    for (let from = 0; from < indices.length; from += RANKED_AT_A_TIME) {
      goOn();
      const some = indices.subarray(from, from + RANKED_AT_A_TIME);
      segment.reader.similaritiesAt(probe, some, similarities.subarray(from));
    }
  // Not scanned: the reference was removed, or the scan was stopped before it.
  for (let k = 0; k < indices.length; k++) if (values[indices[k]] === 0) similarities[k] = REMOVED_SIMILARITY;
  return similarities;
}

/** @param sorted - ascending; overwritten */
function distinct(sorted: Uint32Array): Uint32Array {
  let end = 0;
  for (let k = 0; k < sorted.length; k++) if (k === 0 || sorted[k] !== sorted[end - 1]) sorted[end++] = sorted[k];
  return sorted.subarray(0, end);
}
