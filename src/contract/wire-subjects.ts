/** Conversion of stored subjects to wire messages. */
import type { ReferenceRecord, SubjectRecord, SubjectWithReferences } from '../store/records.ts';
import type { StoredFormat } from '../templates/sample.ts';
import type { EnrollRequest, Reference, Subject, SubjectData } from './generated/ridgewatch/v1/gallery.ts';
import { Modality, TemplateFormat, type Sample } from './generated/ridgewatch/v1/sample.ts';
import { toWireHandling } from './wire-handling.ts';
import { provenanceToWire } from './wire-names.ts';
import { formatToWire } from './wire-samples.ts';

/** The subject as returned by calls, without templates. */
export function toWireSubject({ subject, references, damaged = [] }: SubjectWithReferences): Subject {
  return {
    subjectId: subject.subjectId,
    version: subject.version,
    data: toWireData(subject),
    references: references.map(toWireReference),
    createTime: subject.createTime,
    updateTime: subject.updateTime,
    damagedReferenceIds: damaged.map(({ referenceId }) => referenceId),
  };
}

/**
 * A request that enrols the subject again, including its templates. Samples have their stored form: each view of a
 * record with several is a record of its own, and a face has its quantised bytes. The subject id is the
 * client_request_id, so that enrolling the request twice creates one subject.
 */
export function toEnrollRequest({ subject, references }: SubjectWithReferences): EnrollRequest {
  return { data: toWireData(subject), samples: references.map(toWireSample), clientRequestId: subject.subjectId };
}

function toWireData(subject: SubjectRecord): SubjectData {
  return {
    contributor: subject.contributor,
    externalId: subject.externalId ?? '',
    galleries: [...subject.galleries],
    caveats: [...subject.caveats],
    provenance: provenanceToWire(subject.provenance),
    expireTime: subject.expireTime,
    reviewTime: subject.reviewTime,
    suspended: subject.suspended,
    minorUntil: subject.minorUntil,
    handling: subject.handling && toWireHandling(subject.handling),
  };
}

function toWireReference(reference: ReferenceRecord): Reference {
  return {
    referenceId: reference.referenceId,
    modality: modalityOf(reference),
    fingerPosition: reference.fingerPosition,
    format: formatToWire(reference.format),
    quality: reference.quality,
    modelId: reference.modelId ?? '',
    minutiaCount: reference.minutiaCount,
    captureTime: reference.captureTime,
    comparable: reference.comparable,
  };
}

const STORED_FORMATS: Readonly<Record<StoredFormat, TemplateFormat>> = {
  'iso-19794-2-2005': TemplateFormat.ISO_19794_2_2005,
  'incits-378-2004': TemplateFormat.INCITS_378_2004,
  'face-values-int8': TemplateFormat.FACE_EMBEDDING_INT8,
};

function toWireSample(reference: ReferenceRecord): Sample {
  return {
    modality: modalityOf(reference),
    format: STORED_FORMATS[reference.storedFormat],
    data: Buffer.from(reference.template),
    fingerPosition: reference.fingerPosition,
    quality: reference.quality,
    modelId: reference.modelId ?? '',
    dimension: reference.dimension ?? 0,
    captureTime: reference.captureTime,
  };
}

function modalityOf({ modality }: ReferenceRecord): Modality {
  return modality === 'finger' ? Modality.FINGER : Modality.FACE;
}
