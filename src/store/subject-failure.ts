/** Requests that the stored subjects and galleries do not permit. */
import { Failure } from '../failure.ts';
import { ROW_EXPUNGED, ROW_MAC_MISMATCH, ROW_PUT_BACK, ROW_UNSIGNED } from './proven-subjects.ts';

export function externalIdTaken(): Failure {
  const sentence = 'The contributor has a subject with this external id.';
  return new Failure('already-exists', 'EXTERNAL_ID_TAKEN', sentence, { field: 'data.external_id' });
}

export function requestIdReused(): Failure {
  const sentence = 'This request id was used for an enrolment with other content.';
  return new Failure('already-exists', 'CLIENT_REQUEST_ID_REUSED', sentence, { field: 'client_request_id' });
}

export function subjectExpunged(): Failure {
  const sentence = 'The subject enrolled by this request was expunged since; a repetition does not bring it back.';
  return new Failure('failed-precondition', 'SUBJECT_EXPUNGED', sentence, { field: 'client_request_id' });
}

export function subjectNotFound(): Failure {
  return new Failure('not-found', 'SUBJECT_NOT_FOUND', 'There is no subject with this id.', { field: 'subject_id' });
}

/** An unreadable subject can neither be returned nor changed. */
export function subjectDamaged(): Failure {
  const sentence =
    'The subject is stored and cannot be read: its row is damaged. ridgewatch store check says what can be done.';
  return new Failure('failed-precondition', 'SUBJECT_DAMAGED', sentence, { field: 'subject_id' });
}

/** What is wrong with rows that are not what this program wrote last. */
const CHANGED: Readonly<Record<string, string>> = {
  [ROW_UNSIGNED]: 'The row of the subject has no MAC, and every row of this store was signed',
  [ROW_MAC_MISMATCH]:
    'The rows of the subject are not what was written: they, or their MAC, were changed outside this program',
  [ROW_PUT_BACK]: 'The rows of the subject are an earlier state, which was put back outside this program',
  [ROW_EXPUNGED]: 'The subject was expunged, and its rows were put back outside this program',
};

/** @param reason - SUBJECT_DAMAGED, or why its rows are not what this program wrote last */
export function subjectUnreadable(reason: string): Failure {
  const what = CHANGED[reason];
  if (what === undefined) return subjectDamaged();
  const sentence = `${what}. ridgewatch store check names its references and --expunge removes it; then enrol it again.`;
  return new Failure('failed-precondition', reason, sentence, { field: 'subject_id' });
}

/** @param reason - the damage */
export function referenceDamaged(reason: string): Failure {
  const sentence = 'Stored data is not what was encrypted or written: it was damaged or exchanged.';
  return new Failure('internal', reason, sentence);
}

/**
 * Not `not-found`: a caller that takes it for "the person was not found" in a search would admit everyone.
 * @param fields - that name unknown galleries
 */
export function galleryUnknown(...fields: readonly string[]): Failure {
  const description = 'No subject ever belonged to a gallery of this name.';
  return new Failure('failed-precondition', 'GALLERY_UNKNOWN', description, {
    field: fields[0] ?? '',
    violations: fields.map((field) => ({ field, description })),
  });
}

export function versionMismatch(present: number): Failure {
  const sentence = 'The subject was changed since the version that the update is based on.';
  return new Failure('aborted', 'VERSION_MISMATCH', sentence, {
    field: 'expected_version',
    metadata: { present_version: String(present) },
  });
}
