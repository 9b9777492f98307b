/**
 * MACs over clients: over the row, the code of its agency and all credentials together. A client that was added or
 * changed in the database has none that fits, and is not let in.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { CLIENT_FIELDS, CREDENTIAL_FIELDS, readClientRows, type ClientRows } from './client-rows.ts';
import { isKeyKnown } from './key-proofs.ts';
import type { MacColumns, RowMac } from './row-macs.ts';

/** The client, the code of its agency or one of its credentials is not what was written. */
export const CLIENT_MAC_MISMATCH = 'CLIENT_MAC_MISMATCH';
/** The client has no MAC, though this store has signed its clients. */
export const CLIENT_UNSIGNED = 'CLIENT_UNSIGNED';
export type ClientDamage = typeof CLIENT_MAC_MISMATCH | typeof CLIENT_UNSIGNED;

/** A client as it is stored. */
export interface StoredClient extends ClientRows {
  /** Why it is not what was written; undefined: it is. */
  readonly damage: ClientDamage | undefined;
}

/** Makes the MAC of a client with the current key: 32 bytes. */
export function clientMac(keys: Keys, rows: ClientRows): RowMac {
  const keyId = keys.ring.currentId;
  return { keyId, bytes: tagOf(keys, keyId, rows) };
}

/** Reads clients as `readClientRows` does. @throws Failure KEY_MISSING when a key that the database knows is not available */
export async function readStoredClients(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  condition: string,
  values: readonly unknown[] = [],
  lock: '' | 'FOR UPDATE OF c' = '',
): Promise<StoredClient[]> {
  const stored: StoredClient[] = [];
  for (const { macColumns, ...rows } of await readClientRows(client, condition, values, lock))
    stored.push({ ...rows, damage: await damageOf(client, keys, rows, macColumns) });
  return stored;
}

async function damageOf(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  rows: ClientRows,
  { mac, mac_key_id: keyId }: MacColumns,
): Promise<ClientDamage | undefined> {
  if (mac === null) return CLIENT_UNSIGNED;
  if (keyId === null) return CLIENT_MAC_MISMATCH;
  try {
    const tag = tagOf(keys, keyId, rows);
    return mac.length === tag.length && timingSafeEqual(mac, tag) ? undefined : CLIENT_MAC_MISMATCH;
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'KEY_MISSING') throw error;
    // A key that the database does not know never made anything.
    if (await isKeyKnown(client, keyId)) throw error;
    return CLIENT_MAC_MISMATCH;
  }
}

function tagOf(keys: Keys, keyId: string, { row, code, credentials }: ClientRows): Buffer {
  const ordered = [...credentials].sort((a, b) => (a.credential_id < b.credential_id ? -1 : 1));
  const facts = [valuesOf(row, CLIENT_FIELDS), code, ordered.map((one) => valuesOf(one, CREDENTIAL_FIELDS))];
  return createHmac('sha256', keys.key(keyId, 'client'))
    .update(`ridgewatch client 1 ${JSON.stringify(facts)}`)
    .digest();
}

/** Names and values, without those that are NULL: a column that is added later changes no MAC as long as it is. */
function valuesOf<Name extends string>(row: Readonly<Record<Name, unknown>>, names: readonly Name[]): unknown[] {
  return names.flatMap((name) => (row[name] === null ? [] : [[name, plain(row[name])]]));
}

/** JSON has neither bytes nor times, nor PostgreSQL's infinite numbers and times. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.getTime();
  if (Buffer.isBuffer(value)) return value.toString('hex');
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
