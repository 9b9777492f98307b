/**
 * A worker thread: takes a task, runs kernels, answers. It keeps one reader for each segment it has met; it knows no
 * subjects, no requests and no database.
 */
import type { SegmentHandle } from '../gallery/segment-layout.ts';
import { DirectComparer } from './direct-comparison.ts';
import { ReferenceEncoder } from './reference-encoder.ts';
import type {
  CompareResult,
  CrossCompareResult,
  EncodeResult,
  ExplainResult,
  ResembleResult,
  ShortlistResult,
  WorkerTask,
} from './messages.ts';
import { SegmentReader } from './segment-reader.ts';
import { referencesOf, Shortlister } from './shortlister.ts';

const readers = new Map<number, SegmentReader>();
let encoder: ReferenceEncoder | undefined;
let shortlister: Shortlister | undefined;
let comparer: DirectComparer | undefined;

function readerOf(handle: SegmentHandle): SegmentReader {
  let reader = readers.get(handle.id);
  if (reader === undefined) {
    reader = new SegmentReader(handle);
    readers.set(handle.id, reader);
  }
  return reader;
}

/** Work and what it cost. */
function timed<T>(work: () => T): T & { busyMs: number } {
  const started = performance.now();
  const result = work();
  return { ...result, busyMs: performance.now() - started };
}

type Result = ResembleResult | ShortlistResult | CompareResult | CrossCompareResult | EncodeResult | ExplainResult;

/** The entry that the pool calls. */
export default function run(task: WorkerTask): Result {
  switch (task.kind) {
    case 'resemble': {
      const { by, probe, segment, from, to, similarities, offset, control } = task;
      const out = new Int16Array(similarities, (offset + from) * 2, to - from);
      return timed(() => readerOf(segment).resemble(by, probe, from, to, out, new Int32Array(control)));
    }
    case 'shortlist': {
      shortlister ??= new Shortlister();
      const list = shortlister;
      return timed(() => {
        const subjects = list.choose(task);
        return { subjects, references: task.by === 'vector' ? referencesOf(subjects, task) : [] };
      });
    }
    case 'compare':
      return timed(() => {
        const control = task.control && new Int32Array(task.control);
        return readerOf(task.segment).compare(task.probe, task.indices, control);
      });
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
            : readerOf(reference.segment).explain(task.probe, reference.index),
        ),
      };
    }
  }
}
