import type pg from 'pg';
import type { Keys } from '../security/keys.ts';

/**
 * Keeps the keys in use until the transaction ends. A rotation waits for such transactions, and only then looks for
 * what was made with the old key: this comes before anything is made with the keys, and before the transaction waits
 * for another one. Another process may have rotated the keys meanwhile, hence the refresh.
 */
export async function holdKeys(client: pg.PoolClient, keys: Keys): Promise<void> {
  await client.query('SELECT FROM template_key FOR KEY SHARE');
  keys.refresh();
}
