/** The vectors of references that graphs hold: candidate vectors of fingers, embeddings of faces. */
import type { PartitionName, ReferenceLocation } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { vectorOf } from '../kernels/similarity.ts';
import { VECTOR_SIZE } from '../model/finger-vector-model.ts';

/**
 * Principal directions of a graph. The variance of embeddings lies in few directions, that of candidate vectors is
 * spread over most: with fewer directions a graph misses more mates, with more its searches take longer.
 */
const FACE_DIRECTIONS = 64;
const FINGER_DIRECTIONS = 128;

/** References that the directions of a graph are learned from, at most: more hardly change them. */
export const LEARNED_FROM = 10_000;

/** Maximum number of components: the time for learning directions grows with its third power. */
export const MAX_GRAPH_DIMENSION = 1024;

/** Components of a vector. */
export function vectorDimension(partition: PartitionName): number {
  return partition.modality === 'finger' ? VECTOR_SIZE : partition.dimension;
}

/** Principal directions of a graph. */
export function directionsOf(partition: PartitionName): number {
  return partition.modality === 'finger' ? FINGER_DIRECTIONS : Math.min(FACE_DIRECTIONS, partition.dimension);
}

/** The vector of a probe. It shares the probe's memory. */
export function probeVector(probe: PackedProbe): Int8Array {
  const { packed } = probe;
  if (probe.modality === 'finger') return vectorOf(packed);
  return new Int8Array(packed.buffer, packed.byteOffset, probe.dimension);
}

/** A copy of a reference's vector; undefined: it was removed. */
export function vectorAt({ partition, segment, index }: ReferenceLocation, dimension: number): Int8Array | undefined {
  if (segment.addressOf(index) === 0) return undefined;
  const packed = segment.packed(index);
  // A face's record may be longer than the face.
  return partition.modality === 'finger' ? vectorOf(packed) : new Int8Array(packed.buffer, 0, dimension);
}

export function isSamePartition(a: PartitionName, b: PartitionName): boolean {
  if (a.modality === 'finger') return b.modality === 'finger' && a.position === b.position;
  return b.modality === 'face' && a.modelId === b.modelId && a.dimension === b.dimension;
}

/**
 * Reads, subject by subject, the vectors of the references with the least ordinals. After a start these are of the
 * first subjects by id.
 * @returns i8 [count × dimension]
 */
export function* firstVectors(
  gallery: Gallery,
  partition: PartitionName,
  dimension: number,
  most: number,
): Generator<void, Int8Array> {
  const rows = new Int8Array(most * dimension);
  let count = 0;
  for (let ordinal = 0; ordinal < gallery.ordinalEnd && count < most; ordinal++) {
    for (const location of gallery.subjectWithOrdinal(ordinal)?.references ?? []) {
      if (count === most || !isSamePartition(location.partition, partition)) continue;
      const vector = vectorAt(location, dimension);
      if (vector !== undefined) rows.set(vector, dimension * count++);
    }
    yield;
  }
  return rows.slice(0, count * dimension);
}
