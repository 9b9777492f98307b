import type { ClassFilter } from '../../gallery/subject-filter.ts';
import type { CodeTables } from '../kernels/code-tables.ts';
import type { CodePiece, CodeScan } from '../workers/messages.ts';
import { namesOf } from '../workers/scan-batches.ts';
import { isStopped, type StopMark } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { ScanPart } from './scan-parts.ts';
import { rangesOf } from './scan-tasks.ts';
import type { SharedJob } from './shared-order.ts';

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

/**
 * Scans of the coded references of all parts, as tasks that are skipped once the search is stopped.
 * @param values - see CodeScan
 * @param classes - see CodeScan
 * @returns tasks that return the number of references scanned
 */
export function codeTasks(
  pool: WorkerPool,
  parts: readonly PlacedPart[],
  values: SharedArrayBuffer,
  classes: ClassFilter | undefined,
  stop: StopMark,
): SharedJob<number>[] {
  return mergedIfMany(groupsOf(parts), pool).map(({ name, groups }) => ({
    name,
    run: async () => {
      if (isStopped(stop)) {
        for (const { pieces } of groups)
          for (const { part, from, to } of pieces) new Uint8Array(values, part.offset + from, to - from).fill(0);
        return 0;
      }
      const scans = groups.map(({ tables, pieces }): CodeScan => {
        return { tables, pieces: pieces.map(codePieceOf), values, classes, stop };
      });
      const handles = groups[0].pieces.map(({ part: { segment } }) => segment.handle);
      const { read } = await pool.scanCodes(scans, handles);
      return read.reduce((sum, count) => sum + count, 0);
    },
  }));
}

function codePieceOf({ part: { segment, offset }, from, to }: Piece): CodePiece {
  return { segment: segment.handle.id, from, to, offset };
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

/**
 * Groups that read the same references, as with several samples of one finger, become one task if there are more groups
 * than threads. Otherwise each thread takes one of them: the answer comes sooner.
 */
function mergedIfMany(
  groups: readonly Group[],
  { size, maxBatchProbes }: WorkerPool,
): { readonly name: string; readonly groups: readonly Group[] }[] {
  const named = groups.map((group) => ({ name: namesOf('codes', group.pieces.map(codePieceOf)), group }));
  if (groups.length <= size) return named.map(({ name, group }) => ({ name, groups: [group] }));
  return [...Map.groupBy(named, ({ name }) => name)].flatMap(([name, same]) =>
    rangesOf(same.length, maxBatchProbes).map(([from, to]) => {
      return { name, groups: same.slice(from, to).map(({ group }) => group) };
    }),
  );
}
