/**
 * Codes of probes that tell how alike two probes are, and nothing else without the key: the signs of a random rotation
 * of an embedding or a candidate vector. The share of different signs is the angle between two vectors (Charikar,
 * "Similarity estimation techniques from rounding algorithms", STOC 2002). The rotation is made of random signs and
 * Hadamard transforms, which cost d · log d instead of d².
 *
 * The key is drawn at the start of a process and never leaves it: codes of two processes cannot be compared.
 */
import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';

/** Bits of a code: the cosine of two probes with one of 0.5 is known to ± 0.06. */
export const CODE_BITS = 512;
export const CODE_WORDS = CODE_BITS / 32;
/** Random signs and transforms: after one of them a single component would still give equal magnitudes. */
const ROUNDS = 3;
const KEY_BYTES = 32;
/** Bytes of a digest that tell equal probes from similar ones. */
const DIGEST_BYTES = 6;

/** A probe's vector: an embedding or a finger's candidate vector, of any length up to 2048. */
export type ProbeVector = Int8Array;

/** Bits that differ between two cosines: fewer than this are at least as similar. */
export function bitsOfCosine(cosine: number): number {
  return Math.round((CODE_BITS * Math.acos(cosine)) / Math.PI);
}

export class LikenessCoder {
  /** A KeyObject: Node.js makes one of other keys at each use, which takes longer than the digest. */
  readonly #key: KeyObject;
  readonly #signs = new Map<number, Float32Array>();

  constructor(key: Uint8Array = randomBytes(KEY_BYTES)) {
    this.#key = createSecretKey(key);
  }

  /** @returns CODE_WORDS words of signs */
  code(vector: ProbeVector): Uint32Array {
    const size = Math.max(CODE_BITS, 2 ** Math.ceil(Math.log2(vector.length)));
    const signs = this.#signsOf(size);
    const values = new Float32Array(size);
    values.set(vector);
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0, at = round * size; i < size; i++, at++) values[i] *= signs[at];
      transform(values);
    }
    const words = new Uint32Array(CODE_WORDS);
    for (let bit = 0; bit < CODE_BITS; bit++) if (values[bit] >= 0) words[bit >>> 5] |= 1 << (bit & 31);
    return words;
  }

  /** A keyed digest: equal for equal vectors of one trait, and no dictionary of them without the key. */
  digest(trait: string, vector: ProbeVector): number {
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    return createHmac('sha256', this.#key).update(trait).update(bytes).digest().readUIntBE(0, DIGEST_BYTES);
  }

  #signsOf(size: number): Float32Array {
    const known = this.#signs.get(size);
    if (known !== undefined) return known;
    const bits = expanded(this.#key, size, (ROUNDS * size) / 8);
    const made = Float32Array.from({ length: ROUNDS * size }, (_, i) => ((bits[i >>> 3] >>> (i & 7)) & 1 ? 1 : -1));
    this.#signs.set(size, made);
    return made;
  }
}

/** Bytes that follow from the key, for one size. */
function expanded(key: KeyObject, size: number, length: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, block) =>
    createHmac('sha256', key).update(`signs ${size} ${block}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

/** The fast Hadamard transform, in place. */
function transform(values: Float32Array): void {
  for (let half = 1; half < values.length; half *= 2) {
    for (let block = 0; block < values.length; block += 2 * half) {
      for (let i = block; i < block + half; i++) {
        const first = values[i];
        const second = values[i + half];
        values[i] = first + second;
        values[i + half] = first - second;
      }
    }
  }
}
