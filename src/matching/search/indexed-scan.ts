import { countReferences } from '../../gallery/partition.ts';
import { codeTables, type CodeTables } from '../kernels/code-tables.ts';
import { FACE_CODE_BYTES, FaceCoder } from '../kernels/face-codes.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { vectorOf } from '../kernels/similarity.ts';
import { CODE_BYTES } from '../model/finger-vector-model.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';
import type { ChooseTask, CodePiece } from '../workers/messages.ts';
import { minSum } from '../workers/shortlister.ts';
import { isStopped } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { CandidateSource, Proposal, SearchRun, SearchTarget } from './candidate-source.ts';
import { compareChosen } from './chosen-comparisons.ts';
import { exactShortlist } from './exact-scan.ts';
import type { Probe } from './probe.ts';
import { referencesOf, scanParts, type ScanPart } from './scan-parts.ts';
import { FACES_PER_TASK, rangesOf, scanTasks } from './scan-tasks.ts';
import type { SearchView } from './search-view.ts';
import { ValueBuffers } from './value-buffers.ts';

/**
 * References per scan task, of one or several segments. A task should take at least a millisecond, or the messages cost
 * more than the work, and at most a few, so that searches share the threads fairly.
 */
const CODES_PER_TASK = 524_288;

/** Subjects that a face search ranks by whole embeddings: a share of all, and a minimum. */
const FACES_RANKED = 0.002;
const MIN_FACES_RANKED = 1000;

/** How many subjects are compared. */
export interface ShortlistSize {
  /** Minimum: with fewer, the first stage would decide the end of the list. */
  readonly min: number;
  readonly perCandidate: number;
  /** Share of all subjects. */
  readonly share: number;
  /** For each compared subject, how many are chosen by codes and ranked again by their whole vectors. */
  readonly ranked: number;
}

export const SHORTLIST: ShortlistSize = { min: 2000, perCandidate: 4, share: 0.005, ranked: 1.5 };

/** A part, and the place of its values: one byte per reference with codes, two per reference without. */
interface PlacedPart extends ScanPart {
  readonly offset: number;
  /** Undefined: the references have no codes, or none yet. */
  readonly tables: CodeTables | undefined;
}

interface Scanned {
  /** Of the probe. */
  readonly number: number;
  /** References scanned. */
  readonly read: number;
  /** Those of them whose whole embeddings were read. */
  readonly searched: number;
}

/**
 * Scans the codes of all references, or the embeddings of faces without codes. Ranks the most similar subjects again by
 * whole candidate vectors or embeddings, and compares the best of these. A mate with poor vectors may be missed: `bench
 * search` measures how often, and the audit measures it in production.
 */
export class IndexedScan implements CandidateSource {
  readonly mode = 'indexed';
  readonly #pool: WorkerPool;
  readonly #size: ShortlistSize;
  readonly #buffers = new ValueBuffers();

  constructor(pool: WorkerPool, size: ShortlistSize = SHORTLIST) {
    this.#pool = pool;
    this.#size = size;
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    const { code, finger, face, choose, rerank } = this.#pool.costs;
    const { wanted, ranked: subjects } = this.#sizes(view, 0, isOfFaces(probes));
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
    const parts = placed(scanParts(probes, view));
    const values = this.#buffers.take(endOf(parts.at(-1)));
    let read = 0;
    // For each probe: the references whose whole embeddings were read.
    const whole = probes.map(() => 0);
    await tasks.all(
      this.#scanTasks(parts, values, run).map((job) => async () => {
        const scan = await job();
        read += scan.read;
        whole[scan.number] += scan.searched;
      }),
    );
    // No task is running: unlike after a failure, no thread writes to it.
    if (signal.aborted) this.#buffers.giveBack(values);
    signal.throwIfAborted();
    const end = referencesOf(parts);
    const scanned = end === 0 ? 1 : read / end;
    const { wanted, ranked } = this.#sizes(view, maxCandidates, isOfFaces(probes));
    const task: ChooseTask = {
      kind: 'choose',
      probes: probes.map(({ packed }) => packed),
      parts: parts.map(({ instance, number, segment, end: count, offset, tables }) => {
        const isCoded = tables !== undefined;
        return { instance, probe: number, segment: segment.handle.id, count, offset, isCoded };
      }),
      values,
      ordinals: view.ordinals,
      filter: view.filter,
      ranked,
      wanted,
    };
    const handles = parts.map(({ segment }) => segment.handle);
    const [chosen] = await tasks.all([() => this.#pool.choose(task, handles)]);
    // Not in a finally: after a failed task, its thread may still be writing.
    this.#buffers.giveBack(values);
    const { rates, known, compared, share } = await compareChosen(this.#pool, probes, parts, chosen.order, run);
    // After an incomplete search, the second stage may find further evidence in references that were left out.
    const least = minSum(scanned === 1 && share === 1 ? thresholdLog10 : 0);
    const subjects = view.subjectsWithOrdinals(rates.best(exactShortlist(maxCandidates), least));
    // Whole embeddings rank faces as comparisons do; but similarities to faces of two models do not rank as their rates.
    const isOfOneModel = isOfFaces(probes) && new Set(parts.map(({ packed }) => modelOf(packed))).size < 2;
    const isRanked = isOfOneModel && (chosen.areAll || parts.every(({ tables }) => tables === undefined));
    parts.forEach(({ number, tables }, p) => (whole[number] += tables === undefined ? 0 : chosen.references[p]));
    // Fewer than wanted are all, as in a small gallery of a large store; unless codes have left some out, and those that
    // were ranked have become fewer since, by expunging.
    const isAll = chosen.areAll && chosen.subjects < wanted;
    const mode = isRanked || isAll ? 'exact' : 'indexed';
    const searchedFraction = scanned * share;
    const penetration =
      mode === 'exact' ? searchedFraction : share * (chosen.subjects / Math.max(1, view.subjectsInScope));
    const faceDirections = directionsOf(parts);
    const made = isRanked ? whole : compared;
    return { subjects, compared: made, penetration, mode, searchedFraction, faceDirections, known };
  }

  /** Numbers of subjects to rank by whole vectors, and to compare. */
  #sizes(
    view: SearchView,
    maxCandidates: number,
    isOfFaces: boolean,
  ): { readonly ranked: number; readonly wanted: number } {
    const { min, perCandidate, share, ranked } = this.#size;
    // A comparison of faces reads the same embeddings: a rank by whole embeddings is final.
    if (isOfFaces) {
      const wanted = exactShortlist(maxCandidates);
      return { ranked: Math.max(MIN_FACES_RANKED, wanted, Math.ceil(FACES_RANKED * view.ordinals)), wanted };
    }
    const wanted = Math.ceil(Math.max(min, perCandidate * maxCandidates, share * view.ordinals));
    return { ranked: Math.ceil(ranked * wanted), wanted };
  }

  #scanTasks(parts: readonly PlacedPart[], values: SharedArrayBuffer, run: SearchRun): (() => Promise<Scanned>)[] {
    const uncoded = parts.filter(({ tables }) => tables === undefined);
    return [
      ...groupsOf(parts).map((group) => () => this.#scanCodes(group, values, run)),
      ...uncoded.flatMap((part) =>
        scanTasks(this.#pool, part, FACES_PER_TASK, values, part.offset / 2, run.view, run.stop.scan).map(
          (job) => async () => ({ number: part.number, ...(await job()) }),
        ),
      ),
    ];
  }

  async #scanCodes({ tables, pieces: group }: Group, values: SharedArrayBuffer, { stop }: SearchRun): Promise<Scanned> {
    const { number } = group[0].part;
    if (isStopped(stop.scan)) {
      for (const { part, from, to } of group) new Uint8Array(values, part.offset + from, to - from).fill(0);
      return { number, read: 0, searched: 0 };
    }
    const pieces = group.map(({ part, from, to }): CodePiece => {
      return { segment: part.segment.handle.id, from, to, offset: part.offset };
    });
    const handles = group.map(({ part: { segment } }) => segment.handle);
    const task = { kind: 'scan-codes', tables, pieces, values, stop: stop.scan } as const;
    const { read } = await this.#pool.scanCodes(task, handles);
    return { number, read, searched: 0 };
  }
}

function modelOf(packed: PackedProbe): string | undefined {
  return packed.modality === 'face' ? packed.modelId : undefined;
}

function isOfFaces(probes: readonly Probe[]): boolean {
  return probes.every(({ packed }) => packed?.modality !== 'finger');
}

interface Piece {
  readonly part: PlacedPart;
  readonly from: number;
  readonly to: number;
}

/** Pieces scanned for one probe. */
interface Group {
  readonly tables: CodeTables;
  readonly pieces: Piece[];
}

/** The coded references of each probe, in groups of about CODES_PER_TASK. */
function groupsOf(parts: readonly PlacedPart[]): Group[] {
  const groups: Group[] = [];
  let room = 0;
  for (const part of parts) {
    const { tables } = part;
    if (tables === undefined) continue;
    for (const [from, to] of rangesOf(part.end, CODES_PER_TASK)) {
      const group = groups.at(-1);
      if (group?.tables === tables && to - from <= room) {
        group.pieces.push({ part, from, to });
        room -= to - from;
      } else {
        groups.push({ tables, pieces: [{ part, from, to }] });
        room = CODES_PER_TASK - (to - from);
      }
    }
  }
  return groups;
}

/** Even offsets: values of two bytes must be aligned. */
function placed(parts: readonly ScanPart[]): PlacedPart[] {
  let offset = 0;
  // One table for all segments of a probe.
  const known = new Map<PackedProbe, CodeTables>();
  return parts.map((part) => {
    const tables = known.get(part.packed) ?? tablesOf(part);
    if (tables !== undefined) known.set(part.packed, tables);
    const own = { ...part, offset, tables };
    offset = endOf(own);
    return own;
  });
}

/** The probe's tables for a scan of codes; undefined: the references have no codes. */
function tablesOf({ packed, coder }: ScanPart): CodeTables | undefined {
  if (packed.modality === 'finger') return codeTables(vectorOf(packed.packed), shippedVectorModel().codeBook);
  return coder instanceof FaceCoder ? coder.tables(packed.packed) : undefined;
}

function directionsOf(parts: readonly ScanPart[]): string | undefined {
  for (const { coder } of parts) if (coder instanceof FaceCoder) return coder.directions.hash;
  return undefined;
}

function endOf(part: PlacedPart | undefined): number {
  if (part === undefined) return 0;
  const bytes = part.tables === undefined ? 2 * part.end : part.end;
  return part.offset + 2 * Math.ceil(bytes / 2);
}
