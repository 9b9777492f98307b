/** Encryption of stored templates. Each is bound to its reference: two cannot be exchanged. */
import type { Keys, Sealed } from '../security/keys.ts';

/** The columns needed to decrypt a row's template. */
export interface SealedRow {
  readonly reference_id: string;
  readonly key_id: string | null;
  readonly template: Buffer;
}

export function sealTemplate(keys: Keys, referenceId: string, template: Uint8Array): Sealed {
  return keys.seal(template, 'template', contextOf(referenceId));
}

/** @throws Failure KEY_MISSING, SEALED_DATA_DAMAGED */
export function unsealTemplate(keys: Keys, { reference_id, key_id, template }: SealedRow): Buffer {
  if (key_id === null) return template;
  return keys.unseal({ keyId: key_id, bytes: template }, 'template', contextOf(reference_id));
}

function contextOf(referenceId: string): string {
  return `reference ${referenceId}`;
}
