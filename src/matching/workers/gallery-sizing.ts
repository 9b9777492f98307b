import type { GallerySizing } from '../../gallery/gallery.ts';
import type { IndexShape } from '../../index-files/index-writer.ts';
import { FACE_CODE_BYTES } from '../kernels/face-codes.ts';
import { CANDIDATE_BYTES, CODE_BYTES, VECTOR_SIZE } from '../model/finger-vector-model.ts';
import { FINGER_PACKED_MAX_BYTES } from '../kernels/kernels.ts';
import { MAX_FACE_BYTES } from './batch-reader.ts';
import { SEGMENT_SCRATCH_BYTES } from './segment-reader.ts';

/** References that a live segment of the service holds before the next one is opened. */
export const SEGMENT_CAPACITY = 65_536;

/**
 * Segment room for the encoders' records and the readers' scratch.
 * @param capacity - references per segment
 */
export function gallerySizing(capacity: number): GallerySizing {
  const sizing = { capacity, scratchBytes: SEGMENT_SCRATCH_BYTES };
  const codes = { codeBytes: FACE_CODE_BYTES, codesArePacked: false };
  const face = { ...sizing, maxRecordBytes: MAX_FACE_BYTES, vectorBytes: 0, ...codes };
  const bytes = { maxRecordBytes: FINGER_PACKED_MAX_BYTES, vectorBytes: VECTOR_SIZE, codeBytes: CODE_BYTES };
  return { finger: { ...sizing, ...bytes }, face: () => face };
}

/** Block layout of the indexes: a block is a megabyte of fingers, read and copied in a millisecond. */
export const INDEX_SHAPE: IndexShape = {
  capacity: SEGMENT_CAPACITY,
  blockSize: 1024,
  vectorBytesOf: ({ modality }) => (modality === 'finger' ? CANDIDATE_BYTES : 0),
};
