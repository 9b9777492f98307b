/** What the gallery makes of stored records. */
import type { ReferenceRecord, SubjectWithReferences } from '../store/records.ts';
import type { FaceTemplate } from '../templates/face-template.ts';
import type { FingerTemplate } from '../templates/finger-template.ts';
import { decodeStored } from '../templates/sample.ts';
import type { PartitionName, SubjectAttributes } from './catalogue.ts';
import type { SearchableReference } from './gallery.ts';

/** Brings templates into the kernels' form; undefined where one cannot be compared. */
export type PackTemplates = (
  templates: readonly (FingerTemplate | FaceTemplate)[],
) => Promise<readonly (Uint8Array | undefined)[]>;

function templateOf(reference: ReferenceRecord): FingerTemplate | FaceTemplate {
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
function partitionOf(reference: ReferenceRecord): PartitionName {
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

/** Packs references, and adds them by id; those that cannot be packed are left out. */
export async function packStored(
  pack: PackTemplates,
  references: readonly ReferenceRecord[],
  packed: Map<string, Uint8Array>,
): Promise<void> {
  const results = await pack(references.map(templateOf));
  references.forEach(({ referenceId }, i) => {
    const result = results[i];
    if (result !== undefined) packed.set(referenceId, result);
  });
}

/** The references of a subject that can be searched, with what is packed of them. */
export function searchable(
  { references }: SubjectWithReferences,
  packed: ReadonlyMap<string, Uint8Array>,
): SearchableReference[] {
  return references
    .filter(({ comparable }) => comparable)
    .map((reference) => ({
      referenceId: reference.referenceId,
      partition: partitionOf(reference),
      packed: packed.get(reference.referenceId),
    }));
}
