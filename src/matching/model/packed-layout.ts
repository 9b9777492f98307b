/**
 * The packed finger: a template as the kernels read it. Little-endian, 16-byte aligned, b = ceil(n / 16) blocks.
 *
 *   0            u8 n, u8 b, 14 zero bytes
 *   16           i16 x [16 b]          pixels at 500 dpi
 *   16 + 32 b    i16 y [16 b]
 *   16 + 64 b    u8 angle [16 b]       256ths of a turn
 *   16 + 80 b    u8 attributes [16 b]      quality << 2 | type; quality 1 to 63, 0: not stated
 *   16 + 96 b    b blocks of codes     16 byte planes × 16 minutiae
 *
 * Codes are stored by planes: the distances of one probe code to sixteen reference codes then take sixteen loads of
 * sixteen bytes, each compared with one splatted byte of the probe. There are no shuffles and no gathers, and the
 * sixteen distances come out side by side. assembly/finger/layout.ts repeats these numbers for the kernels.
 */
import { MAX_MINUTIAE } from '../../templates/finger-template.ts';

/** Minutiae in a block. */
export const BLOCK = 16;
/** Bytes of a minutia code: 128 bits. */
export const CODE_BYTES = 16;
export const PACKED_HEADER_BYTES = 16;
const BYTES_PER_BLOCK = BLOCK * (2 + 2 + 1 + 1 + CODE_BYTES);

/** Offsets of the parts of a packed finger of n minutiae. */
export interface PackedOffsets {
  readonly blocks: number;
  readonly x: number;
  readonly y: number;
  readonly angle: number;
  readonly attributes: number;
  readonly codes: number;
  /** Total bytes. */
  readonly length: number;
}

export function packedOffsets(minutiae: number): PackedOffsets {
  const blocks = Math.ceil(minutiae / BLOCK);
  const x = PACKED_HEADER_BYTES;
  return {
    blocks,
    x,
    y: x + blocks * 32,
    angle: x + blocks * 64,
    attributes: x + blocks * 80,
    codes: x + blocks * 96,
    length: x + blocks * BYTES_PER_BLOCK,
  };
}

/** Bytes of the largest packed finger. */
export const FINGER_PACKED_MAX_BYTES = packedOffsets(MAX_MINUTIAE).length;
