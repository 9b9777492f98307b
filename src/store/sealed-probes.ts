/**
 * Encryption of the probes of cases: each has a key of its own, which is encrypted with the store's. Where both are
 * deleted, the probe is gone, whoever has the store's keys.
 */
import { createSecretKey, randomBytes } from 'node:crypto';
import { Failure } from '../failure.ts';
import { decrypt, encrypt, NONCE_BYTES } from '../security/aead.ts';
import type { Keys } from '../security/keys.ts';

const KEY_BYTES = 32;

/** The columns of a probe. */
export interface SealedProbe {
  readonly probe: Uint8Array;
  readonly probe_key: Uint8Array;
  readonly probe_key_id: string;
}

export function sealProbe(keys: Keys, caseId: string, plain: Uint8Array): SealedProbe {
  const secret = randomBytes(KEY_BYTES);
  const probe = encrypt(createSecretKey(secret), randomBytes(NONCE_BYTES), plain, contextOf(caseId));
  const { keyId, bytes } = keys.seal(secret, 'probe', contextOf(caseId));
  secret.fill(0);
  return { probe, probe_key: bytes, probe_key_id: keyId };
}

/** @throws Failure KEY_MISSING, SEALED_DATA_DAMAGED */
export function unsealProbe(keys: Keys, caseId: string, { probe, probe_key, probe_key_id }: SealedProbe): Buffer {
  const secret = keys.unseal({ keyId: probe_key_id, bytes: probe_key }, 'probe', contextOf(caseId));
  try {
    return decrypt(createSecretKey(secret), probe, contextOf(caseId));
  } catch (cause) {
    const sentence = 'The probe of the case is not what was encrypted: it was damaged or exchanged.';
    throw new Failure('internal', 'SEALED_DATA_DAMAGED', sentence, { cause });
  } finally {
    secret.fill(0);
  }
}

/** The same probe, its key encrypted with the current key of the store. @throws as `unsealProbe` */
export function resealProbeKey(keys: Keys, caseId: string, sealed: SealedProbe): SealedProbe {
  const secret = keys.unseal({ keyId: sealed.probe_key_id, bytes: sealed.probe_key }, 'probe', contextOf(caseId));
  const { keyId, bytes } = keys.seal(secret, 'probe', contextOf(caseId));
  secret.fill(0);
  return { probe: sealed.probe, probe_key: bytes, probe_key_id: keyId };
}

function contextOf(caseId: string): string {
  return `case ${caseId}`;
}
