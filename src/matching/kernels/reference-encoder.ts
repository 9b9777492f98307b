import type { FingerTemplate } from '../../templates/finger-template.ts';
import { FingerEncoder } from './finger-encoder.ts';
import { VectorEncoder } from './finger-vector.ts';
import { withVector } from './similarity.ts';

/** Encodes finger templates as references are kept: the packed finger followed by its candidate vector. */
export class ReferenceEncoder {
  readonly #fingers = new FingerEncoder();
  readonly #vectors = new VectorEncoder();

  /** @returns undefined when the template has fewer than MINIMUM_MINUTIAE minutiae */
  encode(template: FingerTemplate): Uint8Array | undefined {
    const packed = this.#fingers.encode(template);
    return packed && withVector(packed, this.#vectors.encode(packed));
  }
}
