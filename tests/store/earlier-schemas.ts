/** Makes a database what an earlier version left behind. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { Keys } from '../../src/security/keys.ts';

type Query = (sql: string) => Promise<unknown>;

/** Takes the histories of subjects from the database. */
async function withoutHistories(query: Query): Promise<void> {
  await query('DROP TABLE subject_history');
  await query('DROP FUNCTION refuse_history_rewriting(), keep_history_of_present()');
  await query("DELETE FROM migration WHERE name = '0017_subject_history'");
}

/** Takes cases from the database. */
async function withoutCases(query: Query): Promise<void> {
  await withoutHistories(query);
  await query('DROP TABLE review_case, case_step');
  await query('DROP FUNCTION refuse_step_rewriting()');
  await query("DELETE FROM migration WHERE name = '0016_cases'");
}

/** Takes the limits in time of records, suspensions and what owners ask for from the database. */
async function withoutRecordLife(query: Query): Promise<void> {
  await withoutCases(query);
  await query(`ALTER TABLE subject DROP COLUMN review_time, DROP COLUMN suspended, DROP COLUMN minor_until,
    DROP COLUMN handling_code, DROP COLUMN handling_instructions, DROP COLUMN handling_contact`);
  await query("DELETE FROM migration WHERE name = '0015_record_life'");
}

/** Takes proposals to expunge from the database. */
async function withoutProposals(query: Query): Promise<void> {
  await withoutRecordLife(query);
  await query('DROP TABLE expunge_proposal');
  await query("DELETE FROM migration WHERE name = '0014_expunge_proposals'");
}

/** Takes hits from the database. */
async function withoutHits(query: Query): Promise<void> {
  await withoutProposals(query);
  await query('DROP TRIGGER hits_are_noted ON audit_record');
  await query('DROP TABLE hit, hit_counter, hit_cursor');
  await query('DROP FUNCTION note_hits(), refuse_hit_rewriting()');
  await query("DELETE FROM migration WHERE name = '0013_hits'");
}

/** Takes persons who sign in at a provider from the credentials. */
async function withoutSignIns(query: Query): Promise<void> {
  await query(`ALTER TABLE client_credential DROP COLUMN issuer_url,
    DROP CONSTRAINT client_credential_kind_check, DROP CONSTRAINT client_credential_name_of_kind,
    DROP CONSTRAINT client_credential_issuer_of_kind`);
  await query(`ALTER TABLE client_credential
    ADD CHECK (kind IN ('certificate', 'certificate-name', 'token')),
    ADD CONSTRAINT client_credential_check
      CHECK ((kind = 'certificate-name') = (name IS NOT NULL AND issuer IS NOT NULL))`);
  await query("DELETE FROM migration WHERE name = '0012_sign_in'");
}

/** Takes the MACs from changes and clients, and the marks that there were any. */
export async function withoutChangeMacs(query: Query, keys: Keys): Promise<void> {
  await withoutHits(query);
  await withoutSignIns(query);
  await query('ALTER TABLE change DROP COLUMN mac, DROP COLUMN mac_key_id');
  await query('ALTER TABLE client DROP COLUMN version, DROP COLUMN mac, DROP COLUMN mac_key_id');
  await query('DROP TRIGGER change_counter_only_grows ON change_counter');
  await query('DROP FUNCTION refuse_lower_counter(), pass_changes_ahead(bigint, bigint)');
  await query("DELETE FROM migration WHERE name = '0011_change_client_macs'");
  for (const file of ['changes-signed', 'clients-signed']) rmSync(join(keys.dataDir, file), { force: true });
}

/** Takes also the MACs from the rows of subjects, and the marks that there were any from the database and the data directory. */
export async function withoutMacs(query: Query, keys: Keys): Promise<void> {
  await withoutChangeMacs(query, keys);
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
