/** Writes clients and their credentials, with the MACs that cover them. */
import type pg from 'pg';
import type { Client } from '../access/principal.ts';
import type { Keys } from '../security/keys.ts';
import { agencyCodeTaken, clientExists, credentialTaken } from './client-failure.ts';
import { clientMac } from './client-macs.ts';
import {
  CLIENT_FIELDS,
  CREDENTIAL_FIELDS,
  type ClientRow,
  type ClientRows,
  type CredentialRow,
} from './client-rows.ts';

/**
 * Adds a client with its credentials.
 * @param client - that holds the keys, see holdKeys
 * @throws Failure CLIENT_EXISTS, CREDENTIAL_TAKEN
 */
export async function insertClient(client: pg.PoolClient, keys: Keys, rows: ClientRows): Promise<void> {
  const values = valuesOf(keys, rows);
  const { rowCount } = await client.query(
    `INSERT INTO client (${CLIENT_FIELDS.join(', ')}, mac_key_id, mac) VALUES (${placesOf(values)})
     ON CONFLICT DO NOTHING`,
    values,
  );
  if (rowCount === 0) throw clientExists();
  for (const one of rows.credentials) await insertCredential(client, one);
}

/**
 * Writes the next state of a client, with the next version. Its credentials are written by the caller.
 * @param client - that holds the keys and has locked the client
 * @param rows - what was read and fitted its MAC, as changed
 */
export async function updateClient(
  client: pg.PoolClient,
  keys: Keys,
  { row, code, credentials }: ClientRows,
): Promise<void> {
  const next = { ...row, version: String(Number(row.version) + 1) };
  await write(client, keys, { row: next, code, credentials });
}

/** Puts a client in the place of one that was changed in the database, of which nothing stays. */
export async function replaceClient(
  client: pg.PoolClient,
  keys: Keys,
  { row: { client_id: clientId } }: ClientRows,
  row: ClientRow,
  code: string | null,
  credentials: readonly CredentialRow[] = [],
): Promise<void> {
  await client.query('DELETE FROM client_credential WHERE client_id = $1', [clientId]);
  for (const one of credentials) await insertCredential(client, one);
  await write(client, keys, { row, code, credentials });
}

async function write(client: pg.PoolClient, keys: Keys, rows: ClientRows): Promise<void> {
  const values = valuesOf(keys, rows);
  await client.query(
    `UPDATE client SET (${CLIENT_FIELDS.join(', ')}, mac_key_id, mac) = ROW(${placesOf(values)}) WHERE client_id = $1`,
    values,
  );
}

/** The values of a client's row, in order of CLIENT_FIELDS, and of its MAC. */
function valuesOf(keys: Keys, rows: ClientRows): unknown[] {
  const { keyId, bytes } = clientMac(keys, rows);
  return [...CLIENT_FIELDS.map((name) => rows.row[name]), keyId, bytes];
}

/**
 * Two agencies that caveats could not tell apart are refused.
 * @throws Failure AGENCY_CODE_TAKEN
 */
export async function enterAgency(client: pg.PoolClient, { agency, agencyCode }: Client): Promise<void> {
  await client.query('INSERT INTO agency (agency, code) VALUES ($1, $2) ON CONFLICT DO NOTHING', [agency, agencyCode]);
  const { rowCount } = await client.query('SELECT FROM agency WHERE agency = $1 AND code = $2', [agency, agencyCode]);
  if (rowCount === 1) return;
  throw agencyCodeTaken(agencyCode);
}

/** Gives an agency its code again, which may have been changed in the database. @throws Failure AGENCY_CODE_TAKEN */
export async function restoreAgency(client: pg.PoolClient, agency: Client): Promise<void> {
  const sql = `UPDATE agency SET code = $2 WHERE agency = $1 AND NOT EXISTS (SELECT FROM agency WHERE code = $2)`;
  await client.query(sql, [agency.agency, agency.agencyCode]);
  await enterAgency(client, agency);
}

/** @throws Failure CREDENTIAL_TAKEN */
export async function insertCredential(client: pg.PoolClient, credential: CredentialRow): Promise<void> {
  const values = CREDENTIAL_FIELDS.map((name) => credential[name]);
  const { rowCount } = await client.query(
    `INSERT INTO client_credential (${CREDENTIAL_FIELDS.join(', ')}) VALUES (${placesOf(values)})
     ON CONFLICT DO NOTHING`,
    values,
  );
  if (rowCount === 0) throw credentialTaken();
}

function placesOf(values: readonly unknown[]): string {
  return values.map((_, i) => `$${i + 1}`).join(', ');
}
