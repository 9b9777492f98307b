import { codeTables, type CodeTables } from '../kernels/code-tables.ts';
import { FaceCoder } from '../kernels/face-codes.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { vectorOf } from '../kernels/similarity.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';
import type { ChosenPart, CodePiece } from '../workers/messages.ts';
import { isStopped } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { SearchRun } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import { scanParts, type ScanPart } from './scan-parts.ts';
import { FACES_PER_TASK, rangesOf, scanTasks } from './scan-tasks.ts';
import type { SearchView } from './search-view.ts';

/**
 * References per scan task, of one or several segments. A task should take at least a millisecond, or the messages cost
 * more than the work, and at most a few, so that searches share the threads fairly.
 */
const CODES_PER_TASK = 524_288;

/** A part, and the place of its values: one byte per reference with codes, two per reference without. */
export interface PlacedPart extends ScanPart {
  readonly offset: number;
  /** Undefined: the references have no codes, or none yet. */
  readonly tables: CodeTables | undefined;
}

export interface CodeScan {
  /** References scanned. */
  readonly read: number;
  /** For each probe: the references whose whole embeddings were read. */
  readonly whole: readonly number[];
}

/** The parts of a search, with room for the values of a scan. Even offsets: values of two bytes must be aligned. */
export function placedParts(probes: readonly Probe[], view: SearchView): PlacedPart[] {
  let offset = 0;
  // One table for all segments of a probe.
  const known = new Map<PackedProbe, CodeTables>();
  return scanParts(probes, view).map((part) => {
    const tables = known.get(part.packed) ?? tablesOf(part);
    if (tables !== undefined) known.set(part.packed, tables);
    const own = { ...part, offset, tables };
    offset = endOf(own);
    return own;
  });
}

/** Bytes of the values of all parts. */
export function valueBytes(parts: readonly PlacedPart[]): number {
  return endOf(parts.at(-1));
}

/** The parts as a thread is told to choose by their values. */
export function chosenParts(parts: readonly PlacedPart[]): ChosenPart[] {
  return parts.map(({ instance, number, segment, end: count, offset, tables }) => {
    const isCoded = tables !== undefined;
    return { instance, probe: number, segment: segment.handle.id, count, offset, isCoded };
  });
}

/**
 * Scans the codes of all parts, or the embeddings of faces without codes.
 * @param values - valueBytes; while the promise is pending, or after it was rejected, threads may be writing to it
 * @returns when no task is running any more; after a stop fewer references were read than there are
 */
export async function scanCodes(
  pool: WorkerPool,
  probes: readonly Probe[],
  parts: readonly PlacedPart[],
  values: SharedArrayBuffer,
  run: SearchRun,
): Promise<CodeScan> {
  const whole = probes.map(() => 0);
  let read = 0;
  const uncoded = parts.filter(({ tables }) => tables === undefined);
  const jobs = [
    ...groupsOf(parts).map((group) => () => scanGroup(pool, group, values, run)),
    ...uncoded.flatMap((part) =>
      scanTasks(pool, part, FACES_PER_TASK, values, part.offset / 2, run.view, run.stop.scan).map((job) => async () => {
        return { number: part.number, ...(await job()) };
      }),
    ),
  ];
  await run.tasks.all(
    jobs.map((job) => async () => {
      const scan = await job();
      read += scan.read;
      whole[scan.number] += scan.searched;
    }),
  );
  return { read, whole };
}

interface Scanned {
  /** Of the probe. */
  readonly number: number;
  /** References scanned. */
  readonly read: number;
  /** Those of them whose whole embeddings were read. */
  readonly searched: number;
}

async function scanGroup(
  pool: WorkerPool,
  { tables, pieces: group }: Group,
  values: SharedArrayBuffer,
  { stop }: SearchRun,
): Promise<Scanned> {
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
  const { read } = await pool.scanCodes(task, handles);
  return { number, read, searched: 0 };
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

/** The probe's tables for a scan of codes; undefined: the references have no codes. */
function tablesOf({ packed, coder }: ScanPart): CodeTables | undefined {
  if (packed.modality === 'finger') return codeTables(vectorOf(packed.packed), shippedVectorModel().codeBook);
  return coder instanceof FaceCoder ? coder.tables(packed.packed) : undefined;
}

function endOf(part: PlacedPart | undefined): number {
  if (part === undefined) return 0;
  const bytes = part.tables === undefined ? 2 * part.end : part.end;
  return part.offset + 2 * Math.ceil(bytes / 2);
}
