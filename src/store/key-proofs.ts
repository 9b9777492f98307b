/** The encryption keys that the database knows: each has a proof, which only the right key can compute. */
import type pg from 'pg';
import { Failure } from '../failure.ts';
import { keyMissing, type KeyRing } from '../security/key-ring.ts';
import type { Keys } from '../security/keys.ts';
import { blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import { SIGNED_TABLES } from './signed-mark.ts';
import { unsealTemplate, type SealedRow } from './sealed-templates.ts';
import { withoutTimeLimit } from './transaction.ts';

/**
 * Checks that the available keys are those that the database knows, as far as templates use them.
 * @returns ids of keys that are missing or different, and that encrypt no template
 * @throws Failure KEY_MISSING, KEY_WRONG
 */
export async function requireProofs(client: Pick<pg.ClientBase, 'query'>, keys: Keys): Promise<string[]> {
  const { rows } = await client.query<{ key_id: string; proof: Buffer }>(
    'SELECT key_id, proof FROM template_key ORDER BY key_id',
  );
  const missing: string[] = [];
  for (const { key_id, proof } of rows) {
    const own = keys.ring.proof(key_id);
    if (own?.equals(proof) === true) continue;
    // The current key must be the same in all processes.
    const isNeeded = key_id === keys.ring.currentId || (await isKeyUsed(client, key_id));
    if (!isNeeded) {
      missing.push(key_id);
      continue;
    }
    if (own === undefined) throw keyMissing(key_id);
    const sentence = `Key ${key_id} in ${keys.file} is not the one that the stored templates were encrypted with: bring back the right key file.`;
    throw new Failure('failed-precondition', 'KEY_WRONG', sentence);
  }
  return missing;
}

/** Whether the database knows a key. */
export async function isKeyKnown(client: Pick<pg.ClientBase, 'query'>, keyId: string | null): Promise<boolean> {
  const { rows } = await client.query('SELECT FROM template_key WHERE key_id = $1', [keyId]);
  return rows.length > 0;
}

/** Whether a key encrypts any template or made the MAC of any row. Reads whole tables if it did not. */
export async function isKeyUsed(client: Pick<pg.ClientBase, 'query'>, keyId: string): Promise<boolean> {
  await withoutTimeLimit(client);
  const signed = [...SIGNED_TABLES, 'review_case'].map((table) => `${table} WHERE mac_key_id`);
  for (const use of ['reference WHERE key_id', ...signed, 'review_case WHERE probe_key_id']) {
    const { rows } = await client.query(`SELECT FROM ${use} = $1 LIMIT 1`, [keyId]);
    if (rows.length > 0) return true;
  }
  return false;
}

export async function enterKey(client: Pick<pg.ClientBase, 'query'>, ring: KeyRing, id: string): Promise<void> {
  await client.query('INSERT INTO template_key VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING', [id, ring.proof(id)]);
}

/**
 * Re-enters the used keys of the key file that the database has lost. In a read-only transaction it only checks that
 * this is possible.
 * @throws Failure KEYS_UNREADABLE; KEY_MISSING, KEY_WRONG: a key is not available, or decrypts no template
 */
export async function enterKeysAtHand(client: pg.PoolClient, keys: Keys): Promise<void> {
  keys.read();
  await withoutTimeLimit(client);
  const used = new Map<string, SealedRow[]>();
  const { readable } = await blocksOf(client, 'reference');
  const sql = (within: string) => `SELECT key_id, min(ctid) AS place FROM reference
    WHERE key_id IS NOT NULL AND ${within} GROUP BY key_id`;
  for (const { key_id, place } of await readBlocks<{ key_id: string; place: string }>(client, readable, sql)) {
    const template = 'SELECT reference_id, key_id, template FROM reference WHERE ctid = $1::tid';
    const found = await tryRead(client, () => client.query<SealedRow>(template, [place]));
    used.set(key_id, [...(used.get(key_id) ?? []), ...(found?.rows ?? [])]);
  }
  const { rows: mode } = await client.query<{ transaction_read_only: string }>('SHOW transaction_read_only');
  const isTrial = mode[0]?.transaction_read_only === 'on';
  for (const [id, rows] of used) {
    if (!keys.ring.ids.includes(id)) throw keyMissing(id);
    if (!rows.some((row) => opens(keys, row))) {
      const sentence = `Key ${id} in ${keys.file} opens no stored template: bring back the right key file.`;
      throw new Failure('failed-precondition', 'KEY_WRONG', sentence);
    }
  }
  // Those that only made MACs belong to them, too.
  if (!isTrial) for (const id of keys.ring.ids) await enterKey(client, keys.ring, id);
}

function opens(keys: Keys, row: SealedRow): boolean {
  try {
    unsealTemplate(keys, row);
    return true;
  } catch {
    return false;
  }
}
