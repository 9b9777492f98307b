import { countReferences } from '../../gallery/partition.ts';
import { withoutClasses } from '../../gallery/subject-filter.ts';
import { FACE_CODE_BYTES, FaceCoder } from '../kernels/face-codes.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { CODE_BYTES } from '../model/finger-vector-model.ts';
import type { ListLengths, ListShares } from '../workers/list-lengths.ts';
import type { ChooseTask } from '../workers/messages.ts';
import { minSum } from '../workers/shortlister.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { CandidateSource, Proposal, SearchRun, SearchTarget } from './candidate-source.ts';
import { compareChosen } from './chosen-comparisons.ts';
import { chosenParts, placedParts, scanCodes, valueBytes } from './code-scan.ts';
import { earlyProposals } from './early-proposals.ts';
import { exactShortlist } from './exact-scan.ts';
import {
  areOfUnknownFinger,
  isOfFaces,
  listKindOf,
  listSizes,
  SHORTLIST,
  type ListSizes,
  type ShortlistSize,
} from './list-sizes.ts';
import type { Probe } from './probe.ts';
import { referencesOf, shareRead, type ScanPart } from './scan-parts.ts';
import type { SearchView } from './search-view.ts';
import { ValueBuffers } from './value-buffers.ts';

/**
 * Scans the codes of all references, or the embeddings of faces without codes. Ranks the most similar subjects again by
 * whole candidate vectors or embeddings, and compares the best of these. A mate with poor vectors may be missed: `bench
 * search` measures how often, and the audit measures it in production.
 */
export class IndexedScan implements CandidateSource {
  readonly mode = 'indexed';
  readonly way = 'codes';
  readonly #pool: WorkerPool;
  readonly #size: ShortlistSize;
  readonly #lengths: ListLengths;
  readonly #buffers = new ValueBuffers();

  /**
   * @param size - applies where nothing has been measured
   * @param lengths - measured on the gallery that is searched
   */
  constructor(pool: WorkerPool, size: ShortlistSize = SHORTLIST, lengths: ListLengths = pool.lengths) {
    this.#pool = pool;
    this.#size = size;
    this.#lengths = lengths;
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    const { code, finger, face, choose, rerank } = this.#pool.costs;
    const { wanted, ranked: subjects } = this.#sizes(view, 0, probes);
    return probes.reduce((sum, probe) => {
      if (probe.packed === undefined) return sum;
      const references = countReferences(view.rangesFor(probe));
      const compared = Math.min(wanted, references);
      const merged = choose.milliseconds(references + view.ordinals);
      const ranked = rerank.milliseconds(Math.min(subjects, references));
      if (probe.packed.modality === 'finger')
        return sum + merged + code.milliseconds(CODE_BYTES * references) + ranked + finger.milliseconds(compared);
      const isCoded = view.rangesFor(probe).every(({ coder }) => coder !== undefined);
      const scan = isCoded ? code.milliseconds(FACE_CODE_BYTES * references) + ranked : face.milliseconds(references);
      return sum + merged + scan + face.milliseconds(compared);
    }, 0);
  }

  async propose(
    probes: readonly Probe[],
    { maxCandidates, thresholdLog10 }: SearchTarget,
    run: SearchRun,
  ): Promise<Proposal> {
    const { view, tasks, signal } = run;
    const parts = placedParts(probes, view);
    const values = this.#buffers.take(valueBytes(parts));
    const { read, whole } = await scanCodes(this.#pool, probes, parts, values, run);
    // No task is running: unlike after a failure, no thread writes to it.
    if (signal.aborted) this.#buffers.giveBack(values);
    signal.throwIfAborted();
    const end = referencesOf(parts);
    const scanned = shareRead(read, end, view);
    const { wanted, ranked } = this.#sizes(view, maxCandidates, probes);
    const task: ChooseTask = {
      kind: 'choose',
      probes: probes.map(({ packed }) => packed),
      parts: chosenParts(parts),
      values,
      ordinals: view.ordinals,
      filter: withoutClasses(view.filter),
      ranked,
      wanted,
      stop: run.stop.all,
    };
    const handles = parts.map(({ segment }) => segment.handle);
    const [chosen] = await tasks.all([() => this.#pool.choose(task, handles)]);
    // Not in a finally: after a failed task, its thread may still be writing.
    this.#buffers.giveBack(values);
    const faceDirections = directionsOf(parts);
    // Comparisons of faces take no time worth an early answer.
    const early = isOfFaces(probes)
      ? undefined
      : earlyProposals(run, { maxCandidates, thresholdLog10 }, faceDirections);
    const { rates, known, compared, share } = await compareChosen(this.#pool, probes, parts, chosen.order, run, early);
    // After an incomplete search, the second stage may find further evidence in references that were left out.
    const least = minSum(scanned === 1 && share === 1 ? thresholdLog10 : 0);
    const subjects = view.subjectsWithOrdinals(rates.best(exactShortlist(maxCandidates), least));
    // Whole embeddings rank faces as comparisons do; but similarities to faces of two models do not rank as their rates.
    const isOfOneModel = isOfFaces(probes) && new Set(parts.map(({ packed }) => modelOf(packed))).size < 2;
    const isRanked = isOfOneModel && (chosen.areAll || parts.every(({ tables }) => tables === undefined));
    const embeddings = [...whole];
    parts.forEach(({ number, tables }, p) => (embeddings[number] += tables === undefined ? 0 : chosen.references[p]));
    // Fewer than wanted are all, as in a small gallery of a large store; unless codes have left some out, and those that
    // were ranked have become fewer since, by expunging.
    const isAll = chosen.areAll && chosen.subjects < wanted;
    const mode = isRanked || isAll ? 'exact' : 'indexed';
    const searchedFraction = scanned * share;
    const penetration =
      mode === 'exact' ? searchedFraction : share * (chosen.subjects / Math.max(1, view.subjectsInScope));
    const made = isRanked ? embeddings : compared;
    const way = mode === 'exact' ? undefined : this.way;
    return { subjects, compared: made, penetration, mode, way, searchedFraction, faceDirections, known };
  }

  /** Numbers of subjects to rank by whole vectors, and to compare. */
  #sizes(view: SearchView, maxCandidates: number, probes: readonly Probe[]): ListSizes {
    const kind = listKindOf(probes);
    const sizesOf = (shares?: ListShares) => listSizes(kind, shares, view.population, maxCandidates, this.#size);
    const sizes = sizesOf(this.#lengths.of(kind));
    // Lengths are measured with fingers of known position. One that is compared with all fingers has several times as
    // many references before its mate.
    if (!areOfUnknownFinger(probes)) return sizes;
    const { ranked, wanted } = sizesOf();
    return { ranked: Math.max(ranked, sizes.ranked), wanted: Math.max(wanted, sizes.wanted) };
  }
}

function modelOf(packed: PackedProbe): string | undefined {
  return packed.modality === 'face' ? packed.modelId : undefined;
}

function directionsOf(parts: readonly ScanPart[]): string | undefined {
  for (const { coder } of parts) if (coder instanceof FaceCoder) return coder.directions.hash;
  return undefined;
}
