/** Whether two clients can be two persons. */
import type pg from 'pg';
import { LOCAL_CLIENT } from '../access/local-client.ts';
import type { Keys } from '../security/keys.ts';
import { readStoredClients, type StoredClient } from './client-macs.ts';

/** Registrations that follow one another. An installation has a few; a longer chain is not followed to its end. */
const MAX_STEPS = 32;

/**
 * Who registered a client, or gave it a credential, can act as that client. Two clients are independent if neither
 * stands behind the other one in this way, directly or through others, and no third client stands behind both. The
 * client of the machine does not count as the third one: the first administrators are registered by it, and it may
 * expunge alone.
 * @param client - in a transaction
 * @returns false also if a client behind them is not what was registered, or not there
 */
export async function areIndependent(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  one: StoredClient,
  other: StoredClient,
): Promise<boolean> {
  const [id, otherId] = [one.row.client_id, other.row.client_id];
  if (id === otherId) return false;
  const behind = await clientsBehind(client, keys, one);
  const behindOther = await clientsBehind(client, keys, other);
  if (behind === undefined || behindOther === undefined) return false;
  if (behind.has(otherId) || behindOther.has(id)) return false;
  return ![...behind].some((third) => third !== LOCAL_CLIENT && behindOther.has(third));
}

/** @returns undefined: it cannot be told */
async function clientsBehind(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  stored: StoredClient,
): Promise<Set<string> | undefined> {
  const found = new Set<string>();
  let level: readonly StoredClient[] = [stored];
  for (let step = 0; step < MAX_STEPS; step++) {
    const makers = new Set(level.flatMap(makersOf));
    const next = [...makers].filter((id) => !found.has(id));
    for (const id of next) found.add(id);
    // Nothing that stands behind the client of the machine makes a difference.
    const asked = next.filter((id) => id !== LOCAL_CLIENT);
    if (asked.length === 0) return found;
    level = await readStoredClients(client, keys, 'c.client_id = ANY($1)', [asked]);
    if (level.length < asked.length || level.some(({ damage }) => damage !== undefined)) return undefined;
  }
  return undefined;
}

/** Clients that can act as this one, beside itself. Revoked and expired credentials count: they may have been used. */
function makersOf({ row, credentials }: StoredClient): string[] {
  return [row.created_by, ...credentials.map((one) => one.created_by)].filter((id) => id !== row.client_id);
}
