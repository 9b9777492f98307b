import { BLOCK, CODE_BYTES, packedOffsets } from '../model/packed-layout.ts';

/** A packed finger, unpacked. */
export interface Finger {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly angle: readonly number[];
  /** 0 other, 1 ridge ending, 2 ridge bifurcation. */
  readonly type: readonly number[];
  /** 1 to 63; 0: not stated. */
  readonly quality: readonly number[];
  readonly codes: readonly Uint8Array[];
}

/** A minutia of the first finger and one of the second. */
export interface Pair {
  readonly i: number;
  readonly j: number;
}

/** A shortlisted pair: the positions of its minutiae, their relative rotation, and its weight. */
export interface ShortlistedPair extends Pair {
  readonly ax: number;
  readonly ay: number;
  readonly bx: number;
  readonly by: number;
  readonly c: number;
  readonly s: number;
  readonly weight: number;
}

/** Two fingers before alignment. */
export interface Comparison {
  readonly a: Finger;
  readonly b: Finger;
  /** Code distances: row = minutia of the first. */
  readonly distances: readonly (readonly number[])[];
  /** Mean code distance of the shortlist. */
  readonly meanDistance: number;
}

/** Reads a packed finger. */
export function unpackFinger(packed: Uint8Array): Finger {
  const count = packed[0];
  const offsets = packedOffsets(count);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const each = <T>(read: (i: number) => T) => Array.from({ length: count }, (_, i) => read(i));
  return {
    x: each((i) => view.getInt16(offsets.x + 2 * i, true)),
    y: each((i) => view.getInt16(offsets.y + 2 * i, true)),
    angle: each((i) => packed[offsets.angle + i]),
    type: each((i) => packed[offsets.attributes + i] & 3),
    quality: each((i) => packed[offsets.attributes + i] >> 2),
    codes: each((i) => {
      const first = offsets.codes + Math.floor(i / BLOCK) * BLOCK * CODE_BYTES + (i % BLOCK);
      return Uint8Array.from({ length: CODE_BYTES }, (_, k) => packed[first + k * BLOCK]);
    }),
  };
}
