/** A thread that compares prints: reads and encodes a set once, then compares the requested rows. */
import { packPrints } from '../../index-builder/train/comparisons.ts';
import type { FingerBatch } from '../../src/matching/kernels/finger-batch.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { readSource, type PrintSource } from './print-source.ts';

export interface ComparisonTask {
  readonly source: PrintSource;
  /** Probes `from` to `to` − 1 of the set's list are compared with every print after them. */
  readonly from: number;
  readonly to: number;
}

const known = new Map<string, { readonly prints: number; readonly batch: FingerBatch }>();

/** Called by the pool. @returns scores, row after row */
export default function run({ source, from, to }: ComparisonTask): Int32Array {
  const key = JSON.stringify(source);
  let packed = known.get(key);
  if (packed === undefined) {
    const { list } = readSource(source);
    packed = { prints: list.length, batch: packPrints(list, shippedFingerModel()) };
    known.set(key, packed);
  }
  const { prints, batch } = packed;
  let length = 0;
  for (let a = from; a < to; a++) length += prints - a - 1;
  const scores = new Int32Array(length);
  let at = 0;
  for (let a = from; a < Math.min(to, prints - 1); a++) {
    scores.set(batch.compare(a, a + 1), at);
    at += prints - a - 1;
  }
  return scores;
}
