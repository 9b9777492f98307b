/** Makes a database what an earlier version left behind. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { Keys } from '../../src/security/keys.ts';

type Query = (sql: string) => Promise<unknown>;

/** Takes the MACs from the rows, and the marks that there were any from the database and the data directory. */
export async function withoutMacs(query: Query, keys: Keys): Promise<void> {
  await query('DROP INDEX audit_record_safeguards');
  await query("DELETE FROM migration WHERE name = '0010_safeguard_records'");
  await query('ALTER TABLE subject DROP COLUMN mac, DROP COLUMN mac_key_id');
  await query("DELETE FROM migration WHERE name = '0009_row_macs'");
  rmSync(join(keys.dataDir, 'rows-signed'), { force: true });
}

/** Takes also the tables of the audit, clients and galleries away. */
export async function withoutGalleryNames(query: Query, keys: Keys): Promise<void> {
  await withoutMacs(query, keys);
  await query('DROP TABLE audit_record; DROP FUNCTION refuse_audit_rewriting');
  await query("DELETE FROM migration WHERE name = '0008_audit'");
  await query('DROP TABLE client_version, client_credential, client, agency; DROP FUNCTION note_client_change');
  await query("DELETE FROM migration WHERE name = '0007_clients'");
  await query('DROP TABLE gallery');
  await query('DROP FUNCTION note_galleries, keep_first_seen CASCADE');
  await query("DELETE FROM migration WHERE name = '0006_galleries'");
}

export function queryOf(database: Pick<pg.Client, 'query'>): Query {
  return (sql) => database.query(sql);
}
