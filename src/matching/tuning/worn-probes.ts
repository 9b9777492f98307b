import type { ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import { Random } from '../../random.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { positionOf } from '../search/sample-scores.ts';
import type { ListKind } from '../workers/list-lengths.ts';
import { numberOf } from './drawn-subjects.ts';
import { NOISE_PAIRS, wornFace } from './worn-face.ts';
import { wornFinger } from './worn-finger.ts';

/** Faces of other subjects that the noise of a worn face is made of. */
export const OTHER_FACES = 2 * NOISE_PAIRS;

/**
 * The references of a subject that probes of a kind are made from: one for each instance, the same ones in every
 * gallery that holds the same references.
 * @param isCoded - whether searches of a reference's partition scan codes; others are exact
 * @returns undefined: the subject has too few
 */
export function enrolledFor(
  kind: ListKind,
  { references }: SubjectEntry,
  isCoded: (reference: ReferenceLocation) => boolean,
): readonly ReferenceLocation[] | undefined {
  const byId = [...references].sort((a, b) => numberOf(a.referenceId) - numberOf(b.referenceId));
  const fingers = byId.filter(({ partition }) => partition.modality === 'finger');
  const face = byId.find((reference) => reference.partition.modality === 'face' && isCoded(reference));
  const [one] = fingers;
  if (kind === 'face') return face && [face];
  if (one === undefined) return undefined;
  if (kind === 'finger') return [one];
  if (kind === 'finger+face') return face && [one, face];
  const other = fingers.find((finger) => isKnown(finger) && positionOf(finger) !== positionOf(one));
  return isKnown(one) && other !== undefined ? [one, other] : undefined;
}

/** Fingers of unknown position may be one finger. */
function isKnown(finger: ReferenceLocation): boolean {
  return positionOf(finger) !== 0;
}

/**
 * Another capture of each of a subject's references. The same references give the same captures.
 * @param others - OTHER_FACES faces of the model, of other subjects; unused for fingers
 * @returns undefined: a reference was removed meanwhile
 */
export function wornTemplates(
  enrolled: readonly ReferenceLocation[],
  others: readonly Int8Array[],
): readonly (FingerTemplate | FaceTemplate)[] | undefined {
  const templates: (FingerTemplate | FaceTemplate)[] = [];
  for (const { referenceId, partition, segment, index } of enrolled) {
    if (!segment.isLive(index)) return undefined;
    const random = new Random(numberOf(referenceId));
    const packed = segment.packed(index);
    if (partition.modality === 'finger') templates.push(wornFinger(packed, partition.position, random));
    else {
      const { modelId, dimension } = partition;
      const values = wornFace(signed(packed, dimension), others, random);
      templates.push({ modality: 'face', modelId, dimension, quality: 0, values });
    }
  }
  return templates;
}

/** The embedding of a face in memory; undefined: it was removed. */
export function faceAt({ segment, index, partition }: ReferenceLocation): Int8Array | undefined {
  if (partition.modality !== 'face' || !segment.isLive(index)) return undefined;
  return signed(segment.packed(index), partition.dimension);
}

function signed({ buffer, byteOffset }: Uint8Array, length: number): Int8Array {
  return new Int8Array(buffer, byteOffset, length);
}
