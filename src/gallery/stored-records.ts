/** What the gallery makes of stored records. */
import type { ReferenceRecord, SubjectWithReferences } from '../store/records.ts';
import type { FaceTemplate } from '../templates/face-template.ts';
import type { FingerTemplate } from '../templates/finger-template.ts';
import { decodeStored } from '../templates/sample.ts';
import type { PartitionName, SubjectAttributes } from './catalogue.ts';

export function templateOf(reference: ReferenceRecord): FingerTemplate | FaceTemplate {
  return decodeStored({
    storedFormat: reference.storedFormat,
    template: reference.template,
    fingerPosition: reference.fingerPosition,
    quality: reference.quality,
    modelId: reference.modelId ?? '',
    dimension: reference.dimension ?? 0,
  });
}

/** The partition that a stored reference belongs to. */
export function partitionOf(reference: ReferenceRecord): PartitionName {
  return reference.modality === 'finger'
    ? { modality: 'finger', position: reference.fingerPosition }
    : { modality: 'face', modelId: reference.modelId ?? '', dimension: reference.dimension ?? 0 };
}

export function attributesOf({ subject, references }: SubjectWithReferences): SubjectAttributes {
  return {
    version: subject.version,
    contributor: subject.contributor,
    galleries: new Set(subject.galleries),
    caveats: subject.caveats,
    provenance: subject.provenance,
    expireTimeMs: subject.expireTime?.getTime(),
    notComparableCount: references.filter(({ comparable }) => !comparable).length,
  };
}
