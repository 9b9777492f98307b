/**
 * A worker thread: takes a task, runs kernels, answers. It keeps one reader for each segment it has met; it knows no
 * subjects, no requests and no database.
 */
import type { SegmentHandle } from '../gallery/segment-layout.ts';
import { DirectComparer } from './direct-comparison.ts';
import { FingerEncoder } from './finger-encoder.ts';
import type {
  CompareResult,
  CrossCompareResult,
  EncodeResult,
  ExplainResult,
  ScanResult,
  WorkerTask,
} from './messages.ts';
import { SegmentReader } from './segment-reader.ts';

const readers = new Map<number, SegmentReader>();
let encoder: FingerEncoder | undefined;
let comparer: DirectComparer | undefined;

function readerOf(handle: SegmentHandle): SegmentReader {
  let reader = readers.get(handle.id);
  if (reader === undefined) {
    reader = new SegmentReader(handle);
    readers.set(handle.id, reader);
  }
  return reader;
}

type Result = ScanResult | CompareResult | CrossCompareResult | EncodeResult | ExplainResult;

/** The entry that the pool calls. */
export default function run(task: WorkerTask): Result {
  switch (task.kind) {
    case 'scan':
      return readerOf(task.segment).scan(task.probe, task.from, task.to, task.floor, new Int32Array(task.control));
    case 'compare':
      return { scores: readerOf(task.segment).compare(task.probe, task.indices) };
    case 'cross-compare': {
      comparer ??= new DirectComparer();
      const direct = comparer;
      return {
        scores: task.probes.map((probe) => task.references.map((reference) => direct.comparePacked(probe, reference))),
      };
    }
    case 'encode': {
      encoder ??= new FingerEncoder();
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
            : readerOf(reference.segment).explain(task.probe, reference.index),
        ),
      };
    }
  }
}
