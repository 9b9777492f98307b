import { codeTables, type CodeTables } from '../kernels/code-tables.ts';
import { FaceCoder } from '../kernels/face-codes.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { vectorOf } from '../kernels/similarity.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';
import type { ChosenPart } from '../workers/messages.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { SearchRun } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import { codeTasks, type PlacedPart } from './code-tasks.ts';
import { scanParts, type ScanPart } from './scan-parts.ts';
import { FACES_PER_TASK, scanTasks } from './scan-tasks.ts';
import { inSharedOrder } from './shared-order.ts';
import type { SearchView } from './search-view.ts';

/** What a scan has read. */
export interface CodesRead {
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
): Promise<CodesRead> {
  const whole = probes.map(() => 0);
  let read = 0;
  const ofCodes = codeTasks(pool, parts, values, run.view.filter?.classes, run.stop.scan).map(
    ({ name, run: scan }) => ({
      name,
      run: async () => {
        const scanned = await scan();
        read += scanned;
      },
    }),
  );
  const uncoded = parts.filter(({ tables }) => tables === undefined);
  const ofFaces = uncoded.flatMap((part) =>
    scanTasks(pool, part, FACES_PER_TASK, values, part.offset / 2, run.view, run.stop.scan).map(
      ({ name, run: scan }) => ({
        name,
        run: async () => {
          const scanned = await scan();
          read += scanned.read;
          whole[part.number] += scanned.searched;
        },
      }),
    ),
  );
  await run.tasks.all(inSharedOrder([...ofCodes, ...ofFaces], () => pool.joinable()));
  return { read, whole };
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
