/** Converts stored records for the gallery. */
import type { DamagedReference, ReferenceRecord, SubjectWithReferences } from '../store/records.ts';
import type { FaceTemplate } from '../templates/face-template.ts';
import type { FingerTemplate } from '../templates/finger-template.ts';
import { decodeStored } from '../templates/sample.ts';
import type { PartitionName, SubjectAttributes } from './catalogue.ts';
import type { SearchableReference } from './gallery.ts';
import { searchedUntilMs } from './record-life.ts';
import { sharedHandling } from './shared-handling.ts';

/** Encodes templates for the kernels; undefined where one cannot be compared. */
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
    searchedUntilMs: searchedUntilMs(subject),
    minorUntilMs: subject.minorUntil?.getTime(),
    handling: subject.handling && sharedHandling(subject.handling),
    notComparableCount: references.filter(({ comparable }) => !comparable).length,
  };
}

/**
 * Packs references, by id.
 * @param references - comparable references
 * @returns references that could not be packed: they differ from the enrolled ones
 */
export async function packStored(
  pack: PackTemplates,
  references: readonly ReferenceRecord[],
  packed: Map<string, Uint8Array>,
): Promise<DamagedReference[]> {
  const damaged: DamagedReference[] = [];
  const readable: { readonly reference: ReferenceRecord; readonly template: FingerTemplate | FaceTemplate }[] = [];
  for (const reference of references) {
    try {
      readable.push({ reference, template: templateOf(reference) });
    } catch {
      damaged.push(damagedAs(reference, 'TEMPLATE_UNREADABLE'));
    }
  }
  const results = await pack(readable.map(({ template }) => template));
  readable.forEach(({ reference }, i) => {
    const result = results[i];
    // It was comparable at enrolment.
    if (result === undefined) damaged.push(damagedAs(reference, 'TEMPLATE_UNREADABLE'));
    else packed.set(reference.referenceId, result);
  });
  return damaged;
}

/** Why a stored reference has no readable template; undefined: it is readable. */
export function faultOf(reference: ReferenceRecord): DamagedReference | undefined {
  try {
    templateOf(reference);
    return undefined;
  } catch {
    return damagedAs(reference, 'TEMPLATE_UNREADABLE');
  }
}

function damagedAs({ referenceId, subjectId }: ReferenceRecord, reason: string): DamagedReference {
  return { referenceId, subjectId, reason };
}

/**
 * The searchable references of a subject, with their packed form where known.
 * @param damaged - ids of damaged references
 */
export function searchable(
  { references }: SubjectWithReferences,
  packed: ReadonlyMap<string, Uint8Array>,
  damaged: ReadonlySet<string> = new Set(),
): SearchableReference[] {
  return references
    .filter(({ comparable, referenceId }) => comparable && !damaged.has(referenceId))
    .map((reference) => ({
      referenceId: reference.referenceId,
      partition: partitionOf(reference),
      packed: packed.get(reference.referenceId),
    }));
}
