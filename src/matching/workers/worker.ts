/**
 * A worker thread: takes a task, runs kernels, answers. It keeps one reader per segment until the segment is closed. It
 * handles no subjects, requests or database.
 */
import { workerData } from 'piscina';
import type { SegmentHandle } from '../../gallery/segment-layout.ts';
import { clearMasked } from '../../gallery/subject-filter.ts';
import { Calibrations, type OwnTables } from '../rates/calibrations.ts';
import { CandidateChoice } from './candidate-choice.ts';
import { DirectComparer } from './direct-comparison.ts';
import {
  SEGMENT_UNKNOWN,
  type CompareResult,
  type CompareTask,
  type SegmentId,
  type WorkerMessage,
  type WorkerResult,
  type TaskKind,
  type TaskMap,
} from './messages.ts';
import { FACE_CODE_BYTES, FaceCoder, type FaceDirections } from '../kernels/face-codes.ts';
import { ReferenceEncoder } from '../kernels/reference-encoder.ts';
import type { SegmentReader } from './segment-reader.ts';
import { SegmentReaders, type MetSegment } from './segment-readers.ts';
import { Shortlister } from './shortlister.ts';

class SegmentUnknown extends Error {}

const calibrations = new Calibrations(workerData as OwnTables);
const segments = new SegmentReaders(calibrations);
let encoder: ReferenceEncoder | undefined;
let shortlister: Shortlister | undefined;
let choice: CandidateChoice | undefined;
let coder: FaceCoder | undefined;
let comparer: DirectComparer | undefined;

/** The coder for these directions, reused: directions come with every task and seldom change. */
function coderOf(directions: FaceDirections): FaceCoder {
  if (coder?.directions.hash !== directions.hash) coder = new FaceCoder(directions);
  return coder;
}

/** The subject ordinals of some references of a segment. */
function ownersIn({ memory, layout }: SegmentHandle, from: number, count: number): Uint32Array {
  return new Uint32Array(memory.buffer, layout.ownersAddress + from * Uint32Array.BYTES_PER_ELEMENT, count);
}

function met(id: SegmentId): MetSegment {
  const segment = segments.get(id);
  if (segment === undefined) throw new SegmentUnknown();
  return segment;
}

/** A task's result, with the time it took. */
function timed<T>(work: () => T): T & { busyMs: number } {
  const started = performance.now();
  const result = work();
  return { ...result, busyMs: performance.now() - started };
}

/** The entry point that the pool calls. */
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

type Handlers = { readonly [Kind in TaskKind]: (task: TaskMap[Kind]['task']) => TaskMap[Kind]['result'] };

const HANDLERS: Handlers = {
  scan: ({ probe, segment, from, to, similarities, offset, filter, stop }) => {
    const { reader } = met(segment);
    const out = new Int16Array(similarities, (offset + from) * 2, to - from);
    return timed(() => reader.scan(probe, from, to, out, stop, filter));
  },
  'scan-codes': ({ scans }) => {
    const segments = scans[0].pieces.map(({ segment }) => met(segment));
    return timed(() => {
      const read = scans.map(() => 0);
      segments.forEach(({ reader: { batches }, handle }, i) => {
        const readings = scans.map(({ tables, pieces, values, stop }) => {
          const { from, to, offset } = pieces[i];
          return { tables, to, out: new Uint8Array(values, offset + from, to - from), stop };
        });
        const { from } = scans[0].pieces[i];
        batches.scanCodes(readings, from).forEach((count, s) => (read[s] += count));
        readings.forEach(({ out }, s) => {
          const { classes } = scans[s];
          if (classes !== undefined) clearMasked(out, ownersIn(handle, from, out.length), classes);
        });
      });
      return { read };
    });
  },
  'scan-faces': ({ segment, from, scans }) => {
    const { reader } = met(segment);
    const readings = scans.map(({ probe, to, similarities, offset, stop }) => {
      return { face: probe.packed, to, out: new Int16Array(similarities, (offset + from) * 2, to - from), stop };
    });
    return timed(() => reader.batches.scanFaces(readings, from));
  },
  choose: (task) => {
    const parts = task.parts.map((part) => ({ ...part, segment: met(part.segment) }));
    choice ??= new CandidateChoice();
    const own = choice;
    return timed(() => own.choose({ ...task, parts }));
  },
  place: (task) => {
    const parts = task.parts.map((part) => ({ ...part, segment: met(part.segment) }));
    choice ??= new CandidateChoice();
    const own = choice;
    return timed(() => own.place({ ...task, parts }));
  },
  shortlist: (task) => {
    const parts = task.parts.map((part) => {
      const rates = part.face && calibrations.faceRates(part.face);
      return { ...part, segment: met(part.segment).handle, rates };
    });
    shortlister ??= new Shortlister();
    const list = shortlister;
    return timed(() => ({ subjects: list.choose({ ...task, parts }) }));
  },
  compare: (task) => {
    const pieces = task.pieces.map(({ segment, indices }) => ({ reader: met(segment).reader, indices }));
    return timed(() => comparePieces(task, pieces));
  },
  'encode-faces': ({ directions, segment, from, to }) => {
    const { reader } = met(segment);
    const coder = coderOf(directions);
    const codes = new Uint8Array((to - from) * FACE_CODE_BYTES);
    for (let i = from; i < to; i++) {
      const face = reader.record(i, directions.dimension);
      if (face !== undefined) codes.set(coder.encode(face), (i - from) * FACE_CODE_BYTES);
    }
    return { codes };
  },
  'cross-compare': ({ probes, references }) => {
    comparer ??= new DirectComparer();
    const direct = comparer;
    return { scores: probes.map((probe) => references.map((reference) => direct.comparePacked(probe, reference))) };
  },
  encode: ({ templates }) => {
    encoder ??= new ReferenceEncoder();
    const fingers = encoder;
    return { packed: templates.map((template) => fingers.encode(template)) };
  },
  explain: ({ probe, references }) => {
    comparer ??= new DirectComparer();
    const direct = comparer;
    return {
      explained: references.map((reference) =>
        reference instanceof Uint8Array
          ? direct.explainPacked(probe, reference)
          : met(reference.segment).reader.explain(probe, reference.index),
      ),
    };
  },
};

/** Runs the handler of the task's kind. */
function carryOut<Kind extends TaskKind>(task: TaskMap[Kind]['task'] & { readonly kind: Kind }): WorkerResult {
  return HANDLERS[task.kind](task);
}

function comparePieces(
  { probe, stop, minSupport }: CompareTask,
  pieces: readonly { readonly reader: SegmentReader; readonly indices: Uint32Array }[],
): Omit<CompareResult, 'busyMs'> {
  const scores = new Int32Array(pieces.reduce((sum, { indices }) => sum + indices.length, 0));
  let [next, compared] = [0, 0];
  for (const { reader, indices } of pieces) {
    const result = reader.compare(probe, indices, stop, minSupport);
    scores.set(result.scores, next);
    next += indices.length;
    compared += result.compared;
  }
  return { scores, compared };
}
