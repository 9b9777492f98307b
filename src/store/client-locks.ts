/** Clients that stay as they are until a transaction ends. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { clientDamaged, clientNotFound } from './client-failure.ts';
import { readStoredClients, type StoredClient } from './client-macs.ts';
import type { CredentialRow } from './client-rows.ts';

/** @throws Failure CLIENT_NOT_FOUND, CLIENT_DAMAGED */
export async function lockClient(client: pg.PoolClient, keys: Keys, clientId: string): Promise<StoredClient> {
  const [stored] = await readStoredClients(client, keys, 'c.client_id = $1', [clientId], 'FOR UPDATE OF c');
  if (stored === undefined) throw clientNotFound();
  if (stored.damage !== undefined) throw clientDamaged();
  return stored;
}

/**
 * Two administrators that end each other's rights at once must not both succeed.
 * @returns the enabled administrators with a valid credential; those that were added in the database are none
 */
export async function lockAdministrators(client: pg.PoolClient, keys: Keys): Promise<StoredClient[]> {
  const condition = "'administrator' = ANY(c.roles)";
  const stored = await readStoredClients(client, keys, condition, [], 'FOR UPDATE OF c');
  return stored.filter(
    ({ row, damage, credentials }) =>
      damage === undefined && row.disable_time === null && credentials.some(isValidCredential),
  );
}

export function isValidCredential({ revoke_time, expire_time }: CredentialRow): boolean {
  return revoke_time === null && (expire_time === null || expire_time > new Date());
}
