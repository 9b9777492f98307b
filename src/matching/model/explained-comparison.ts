import type { MinutiaType } from '../../templates/finger-template.ts';
import { pointsOf, type FingerExplanation } from './finger-explanation.ts';
import type { FingerModel } from './finger-model.ts';
import { packedOffsets } from './packed-layout.ts';
import { SCORE_TERMS } from './score-terms.ts';

/** A minutia as the comparison used it. */
export interface ComparedMinutia {
  /** Position in the template, from 0. */
  readonly index: number;
  /** Pixels at 500 dpi to the right, from the smallest x of the print's minutiae. */
  readonly x: number;
  /** Pixels at 500 dpi upwards, from the smallest y of the print's minutiae. */
  readonly y: number;
  /** 256ths of a turn, counter-clockwise, 0 to 255. */
  readonly angle: number;
  readonly type: MinutiaType;
}

export interface ExplainedTerm {
  readonly name: string;
  readonly meaning: string;
  readonly points: number;
}

/** A finger comparison score for an examiner: plain values that threads and calls can pass on. It is biometric data. */
export interface ExplainedComparison {
  readonly score: number;
  /** At most MAX_MINUTIAE; empty without an alignment. */
  readonly pairs: readonly { readonly probe: ComparedMinutia; readonly reference: ComparedMinutia }[];
  /** As in FingerExplanation, in the coordinates of ComparedMinutia. */
  readonly alignment: FingerExplanation['alignment'];
  /** All terms, in the order of SCORE_TERMS. */
  readonly terms: readonly ExplainedTerm[];
}

/**
 * Converts the kernel's result to an examiner's terms.
 * @param probe - the packed finger
 * @param reference - the packed finger; bytes after it are not read
 */
export function explainedComparison(
  explanation: FingerExplanation,
  probe: Uint8Array,
  reference: Uint8Array,
  { weights }: FingerModel,
): ExplainedComparison {
  const points = pointsOf(explanation, weights);
  return {
    score: explanation.score,
    pairs: explanation.pairs.map((pair) => ({
      probe: minutiaAt(probe, pair.probe),
      reference: minutiaAt(reference, pair.reference),
    })),
    alignment: explanation.alignment,
    terms: SCORE_TERMS.map(({ name, meaning }, t) => ({ name, meaning, points: points[t]?.points ?? 0 })),
  };
}

/** A minutia of a packed finger. */
export function minutiaAt(packed: Uint8Array, index: number): ComparedMinutia {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const { x, y, angle, attributes } = packedOffsets(view.getUint8(0));
  return {
    index,
    x: view.getInt16(x + 2 * index, true),
    y: view.getInt16(y + 2 * index, true),
    angle: view.getUint8(angle + index),
    type: (view.getUint8(attributes + index) & 3) as MinutiaType,
  };
}

/** All minutiae of a packed finger, in the order of the template. */
export function minutiaeOf(packed: Uint8Array): ComparedMinutia[] {
  return Array.from({ length: packed[0] ?? 0 }, (_, index) => minutiaAt(packed, index));
}
