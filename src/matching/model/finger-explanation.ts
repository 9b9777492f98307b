import { KNOT_COUNT, SCORE_TERMS, FIRST_KNOTS, WEIGHTS_PER_POINT, WHOLE } from './score-terms.ts';

/** How the comparison score of two fingers came about. */
export interface FingerExplanation {
  /** 0: no alignment was found. */
  readonly score: number;
  /** Paired minutiae, as positions in the two templates. Empty without an alignment. */
  readonly pairs: readonly { readonly probe: number; readonly reference: number }[];
  /** x' = a x + b y + c, y' = d x + e y + f: from the probe's packed coordinates to the reference's. */
  readonly alignment: readonly [a: number, b: number, c: number, d: number, e: number, f: number] | undefined;
  /** Mass of each knot of the score's terms, in 256ths. */
  readonly masses: Int32Array;
}

/** Reads the output of the kernel's explainFingers. */
export function readExplanation(buffer: ArrayBufferLike, address: number): FingerExplanation {
  const [score, count] = new Int32Array(buffer, address, 2);
  const alignment = Array.from(new Float64Array(buffer, address + 8, 6));
  const probe = new Uint8Array(buffer, address + 912, count);
  const reference = new Uint8Array(buffer, address + 976, count);
  return {
    score,
    pairs: Array.from(probe, (minutia, z) => ({ probe: minutia, reference: reference[z] })),
    alignment: count === 0 ? undefined : (alignment as unknown as FingerExplanation['alignment']),
    masses: new Int32Array(new Int32Array(buffer, address + 56, KNOT_COUNT)),
  };
}

/** Points that a term contributed. */
export interface TermPoints {
  readonly name: string;
  readonly points: number;
}

/** The score term by term. The points sum to the score, except for rounding and the bounds of the score. */
export function pointsOf({ masses }: FingerExplanation, weights: Int32Array): TermPoints[] {
  return SCORE_TERMS.map(({ name, knots }, t) => {
    let points = 0;
    for (let k = FIRST_KNOTS[t]; k < FIRST_KNOTS[t] + knots; k++) points += masses[k] * weights[k];
    return { name, points: points / (WHOLE * WEIGHTS_PER_POINT) };
  });
}
