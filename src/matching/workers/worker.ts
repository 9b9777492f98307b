/**
 * A worker thread: takes a task, runs kernels, answers. It keeps one reader for each segment it has met, until the segment
 * is closed; it knows no subjects, no requests and no database.
 */
import { workerData } from 'piscina';
import { Calibrations, type OwnTables } from '../rates/calibrations.ts';
import { orderComparisons } from './comparison-order.ts';
import { DirectComparer } from './direct-comparison.ts';
import {
  SEGMENT_UNKNOWN,
  type CompareResult,
  type CompareTask,
  type SegmentId,
  type WorkerMessage,
  type WorkerResult,
  type WorkerTask,
} from './messages.ts';
import { ReferenceEncoder } from '../kernels/reference-encoder.ts';
import type { SegmentReader } from './segment-reader.ts';
import { SegmentReaders, type MetSegment } from './segment-readers.ts';
import { Shortlister } from './shortlister.ts';

class SegmentUnknown extends Error {}

const calibrations = new Calibrations(workerData as OwnTables);
const segments = new SegmentReaders(calibrations);
let encoder: ReferenceEncoder | undefined;
let shortlister: Shortlister | undefined;
let comparer: DirectComparer | undefined;

function met(id: SegmentId): MetSegment {
  const segment = segments.get(id);
  if (segment === undefined) throw new SegmentUnknown();
  return segment;
}

/** Work and what it cost. */
function timed<T>(work: () => T): T & { busyMs: number } {
  const started = performance.now();
  const result = work();
  return { ...result, busyMs: performance.now() - started };
}

/** The entry that the pool calls. */
export default function run({ task, handles }: WorkerMessage): WorkerResult | typeof SEGMENT_UNKNOWN {
  segments.forgetClosed();
  for (const handle of handles) segments.meet(handle);
  try {
    return carryOut(task);
  } catch (error) {
    if (error instanceof SegmentUnknown) return SEGMENT_UNKNOWN;
    throw error;
  }
}

function carryOut(task: WorkerTask): WorkerResult {
  switch (task.kind) {
    case 'resemble': {
      const { by, probe, segment, from, to, similarities, offset, filter, stop } = task;
      const { reader } = met(segment);
      const out = new Int16Array(similarities, (offset + from) * 2, to - from);
      return timed(() => reader.resemble(by, probe, from, to, out, stop, filter));
    }
    case 'shortlist': {
      const parts = task.parts.map((part) => {
        const rates = task.by === 'comparison' && part.face ? calibrations.faceRates(part.face) : undefined;
        return { ...part, segment: met(part.segment).handle, rates };
      });
      shortlister ??= new Shortlister();
      const list = shortlister;
      return timed(() => {
        const request = { ...task, parts };
        const subjects = list.choose(request);
        const order = task.by === 'vector' ? orderComparisons(subjects, request) : { first: [], rest: [] };
        return { subjects, order };
      });
    }
    case 'compare': {
      const pieces = task.pieces.map(({ segment, indices }) => ({ reader: met(segment).reader, indices }));
      return timed(() => comparePieces(task, pieces));
    }
    case 'cross-compare': {
      comparer ??= new DirectComparer();
      const direct = comparer;
      return {
        scores: task.probes.map((probe) => task.references.map((reference) => direct.comparePacked(probe, reference))),
      };
    }
    case 'encode': {
      encoder ??= new ReferenceEncoder();
      const fingers = encoder;
      return { packed: task.templates.map((template) => fingers.encode(template)) };
    }
    case 'explain': {
      comparer ??= new DirectComparer();
      const direct = comparer;
      return {
        explained: task.references.map((reference) =>
          reference instanceof Uint8Array
            ? direct.explainPacked(task.probe, reference)
            : met(reference.segment).reader.explain(task.probe, reference.index),
        ),
      };
    }
  }
}

function comparePieces(
  { probe, stop }: CompareTask,
  pieces: readonly { readonly reader: SegmentReader; readonly indices: Uint32Array }[],
): Omit<CompareResult, 'busyMs'> {
  const scores = new Int32Array(pieces.reduce((sum, { indices }) => sum + indices.length, 0));
  let [next, compared] = [0, 0];
  for (const { reader, indices } of pieces) {
    const result = reader.compare(probe, indices, stop);
    scores.set(result.scores, next);
    next += indices.length;
    compared += result.compared;
  }
  return { scores, compared };
}
