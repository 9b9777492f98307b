import type { FingerTemplate } from '../../templates/finger-template.ts';
import { FingerEncoder } from './finger-encoder.ts';
import { CodeEncoder } from './finger-codes.ts';
import { VectorEncoder } from './finger-vector.ts';
import { withCandidateBytes } from './similarity.ts';

/**
 * Encodes finger templates in the form of stored references: packed finger, candidate vector, and the vector's codes.
 */
export class ReferenceEncoder {
  readonly #fingers = new FingerEncoder();
  readonly #vectors = new VectorEncoder();
  readonly #codes = new CodeEncoder();

  /** @returns undefined when the template has fewer than MINIMUM_MINUTIAE minutiae */
  encode(template: FingerTemplate): Uint8Array | undefined {
    const packed = this.#fingers.encode(template);
    if (packed === undefined) return undefined;
    const vector = this.#vectors.encode(packed);
    return withCandidateBytes(packed, vector, this.#codes.encode(vector));
  }
}
