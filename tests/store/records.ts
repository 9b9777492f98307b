/** Valid records for the store's tests, without any meaning. */
import { createHash, randomUUID } from 'node:crypto';
import type { NewEnrolment, NewReference } from '../../src/store/records.ts';
import { UNLIMITED } from '../../src/store/records.ts';

export function reference(changes: Partial<NewReference> = {}): NewReference {
  return {
    referenceId: randomUUID(),
    modality: 'finger',
    fingerPosition: 2,
    format: 'iso-19794-2-2005',
    storedFormat: 'iso-19794-2-2005',
    quality: 60,
    modelId: undefined,
    dimension: undefined,
    minutiaCount: 30,
    comparable: true,
    captureTime: undefined,
    template: Uint8Array.of(0xde, 0xad, 0xbe, 0xef),
    ...changes,
  };
}

/** @param content - the request's digest is computed from it */
export function enrolment(changes: Partial<NewEnrolment['subject']> = {}, requestId?: string, content = 'x') {
  return {
    subject: {
      subjectId: randomUUID(),
      contributor: 'agency',
      externalId: undefined,
      galleries: ['main'],
      caveats: [],
      provenance: 'field',
      ...UNLIMITED,
      ...changes,
    },
    references: [reference()],
    clientRequest:
      requestId === undefined ? undefined : { id: requestId, digest: createHash('sha256').update(content).digest() },
  } satisfies NewEnrolment as NewEnrolment;
}

/** A readable face template without meaning: it has as many bytes as components. */
export function faceReference(dimension: number, modelId = 'model') {
  return reference({
    modality: 'face',
    fingerPosition: 0,
    format: 'face-embedding-int8',
    storedFormat: 'face-values-int8',
    minutiaCount: 0,
    modelId,
    dimension,
    template: Uint8Array.from({ length: dimension }, (_, i) => (i * 7919) & 255),
  });
}
