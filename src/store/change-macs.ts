/**
 * MACs over the rows of `change`. A change says that a subject is there, in which version, or that it was expunged: one
 * that was written by hand would remove a person from every service. The number is part of the MAC, so no change can be
 * repeated under another one.
 *
 * The identity of the store is not part of it: it is made anew when a lost counter is rebuilt. Ids of subjects are
 * random, so a change of another store concerns no subject of this one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Keys } from '../security/keys.ts';
import type { MacColumns } from './row-macs.ts';

/** The row was not written by this program, or was changed since. */
export const CHANGE_MAC_MISMATCH = 'CHANGE_MAC_MISMATCH';
/** The row has no MAC, though this store has signed its changes. */
export const CHANGE_UNSIGNED = 'CHANGE_UNSIGNED';
export type ChangeDamage = typeof CHANGE_MAC_MISMATCH | typeof CHANGE_UNSIGNED;

/** What a MAC of a change says. */
export interface ChangeFacts {
  readonly seq: number;
  readonly kind: 'upsert' | 'expunge';
  readonly subjectId: string;
  readonly version: number;
  readonly reason: string | null;
  readonly at: Date;
}

/** A row of `change`, see CHANGE_FACTS. */
export interface ChangeRow extends MacColumns {
  readonly seq: string;
  readonly kind: 'upsert' | 'expunge';
  readonly subject_id: string;
  readonly subject_version: string;
  readonly reason: string | null;
  readonly at: Date | number;
}

export const CHANGE_FACTS = 'seq, kind, subject_id, subject_version, reason, at, mac, mac_key_id';

/** The MAC of a change with a key: 32 bytes. @throws Failure KEY_MISSING */
export function changeMac(
  keys: Keys,
  keyId: string,
  { seq, kind, subjectId, version, reason, at }: ChangeFacts,
): Buffer {
  return tagOf(keys, keyId, [seq, kind, subjectId, version, reason, at.getTime()]);
}

/**
 * @returns why the row is no change that this program wrote; undefined: it is one
 * @throws Failure KEY_MISSING
 */
export function changeDamage(keys: Keys, row: ChangeRow): ChangeDamage | undefined {
  const { mac, mac_key_id: keyId, at } = row;
  if (mac === null) return CHANGE_UNSIGNED;
  // PostgreSQL has times that JavaScript has not; no change was written with one.
  if (keyId === null || !(at instanceof Date)) return CHANGE_MAC_MISMATCH;
  const facts = [Number(row.seq), row.kind, row.subject_id, Number(row.subject_version), row.reason, at.getTime()];
  const tag = tagOf(keys, keyId, facts);
  return mac.length === tag.length && timingSafeEqual(mac, tag) ? undefined : CHANGE_MAC_MISMATCH;
}

/** JSON of an array of fixed length is unambiguous. */
function tagOf(keys: Keys, keyId: string, facts: readonly (string | number | null)[]): Buffer {
  return createHmac('sha256', keys.key(keyId, 'change'))
    .update(`ridgewatch change 1 ${JSON.stringify(facts)}`)
    .digest();
}
