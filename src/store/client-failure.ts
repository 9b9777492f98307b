/** Requests that the stored clients do not permit. */
import { Failure } from '../failure.ts';

export function clientDisabled(): Failure {
  const sentence = 'The client has been disabled: add another one.';
  return new Failure('failed-precondition', 'CLIENT_DISABLED', sentence, { field: 'client_id' });
}

export function clientDamaged(): Failure {
  const sentence =
    'What is stored of the client is not what was written: it was changed outside this program. Disable it, and add another one.';
  return new Failure('failed-precondition', 'CLIENT_DAMAGED', sentence, { field: 'client_id' });
}

export function clientExists(): Failure {
  const sentence = 'There is a client with this id; a disabled one keeps its id too.';
  return new Failure('already-exists', 'CLIENT_EXISTS', sentence, { field: 'client.client_id' });
}

export function clientNotFound(): Failure {
  return new Failure('not-found', 'CLIENT_NOT_FOUND', 'There is no client with this id.', { field: 'client_id' });
}

export function lastAdministrator(): Failure {
  const sentence = 'No other enabled client could manage clients: add another administrator first.';
  return new Failure('failed-precondition', 'LAST_ADMINISTRATOR', sentence, { field: 'client_id' });
}

export function agencyCodeTaken(code: string): Failure {
  const sentence = `Another agency has the code ${code}, by which caveats would name this one: choose another name.`;
  return new Failure('already-exists', 'AGENCY_CODE_TAKEN', sentence, { field: 'client.agency' });
}

export function credentialTaken(): Failure {
  const sentence = 'This certificate, or this name or person under this issuer, belongs to a client already.';
  return new Failure('already-exists', 'CREDENTIAL_TAKEN', sentence, { field: 'credential' });
}
