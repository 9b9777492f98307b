/** Clients and their credentials, in PostgreSQL. Every method throws Failure. */
import type pg from 'pg';
import type { Purpose } from '../access/actions.ts';
import type { ClientSource, RegisteredClient, RegisteredCredential } from '../access/client-directory.ts';
import type { Client, Role } from '../access/principal.ts';
import { Failure } from '../failure.ts';
import { inTransaction, READ_ONLY, withConnection } from './transaction.ts';

/** NOTIFY channel of changes to clients; the trigger of the tables names it too. */
export const CLIENT_CHANNEL = 'ridgewatch_client';

/** A credential to register. */
export type NewCredential = Pick<
  RegisteredCredential,
  'credentialId' | 'kind' | 'fingerprint' | 'name' | 'issuer' | 'expireTime'
>;

/** Who does something, and when. */
export interface Doing {
  /** Id of the client. */
  readonly by: string;
  readonly at: Date;
}

export class ClientStore implements ClientSource {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async clientVersion(): Promise<number> {
    return withConnection(this.#pool, readVersion);
  }

  async readClients(): Promise<{ readonly version: number; readonly clients: readonly RegisteredClient[] }> {
    return inTransaction(
      this.#pool,
      async (client) => ({ version: await readVersion(client), clients: await readAll(client) }),
      READ_ONLY,
    );
  }

  /** @throws Failure CLIENT_EXISTS, AGENCY_CODE_TAKEN, CREDENTIAL_TAKEN */
  async addClient(added: Client, credentials: readonly NewCredential[], doing: Doing): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await enterAgency(client, added);
      const { rowCount } = await client.query(
        `INSERT INTO client (client_id, kind, agency, roles, galleries, purposes, clearance, calls_per_second, streams,
           verifications_per_day, create_time, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
        [
          added.clientId,
          added.kind,
          added.agency,
          [...added.roles],
          added.galleries === 'all' ? null : [...added.galleries],
          [...added.purposes],
          added.clearance,
          added.budgets.callsPerSecond ?? null,
          added.budgets.streams ?? null,
          added.budgets.verificationsPerDay ?? null,
          doing.at,
          doing.by,
        ],
      );
      if (rowCount === 0) throw clientExists();
      for (const credential of credentials) await insertCredential(client, added.clientId, credential, doing);
    });
  }

  /**
   * Gives a client another credential. One that it has already, and that was not revoked, gets the new expiry instead:
   * a name in certificates stays the same when they are renewed.
   * @param othersExpire - when its other credentials of this kind expire, if they would last longer; undefined: unchanged
   * @throws Failure CLIENT_NOT_FOUND, CLIENT_DISABLED, CREDENTIAL_TAKEN
   */
  async addCredential(
    clientId: string,
    credential: NewCredential,
    othersExpire: Date | undefined,
    doing: Doing,
  ): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await lockEnabled(client, clientId);
      if (othersExpire !== undefined)
        await client.query(
          `UPDATE client_credential SET expire_time = $3
           WHERE client_id = $1 AND kind = $2 AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > $3)`,
          [clientId, credential.kind, othersExpire],
        );
      if (await renewCredential(client, clientId, credential)) return;
      await insertCredential(client, clientId, credential, doing);
    });
  }

  /** @throws Failure CLIENT_NOT_FOUND, LAST_ADMINISTRATOR */
  async disableClient(clientId: string, reason: string, { by, at }: Doing): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      // Two administrators that disable each other at once must not both succeed.
      await client.query("SELECT FROM client WHERE 'administrator' = ANY(roles) ORDER BY client_id FOR UPDATE");
      const { rows } = await client.query<{ disable_time: Date | null; roles: string[] }>(
        'SELECT disable_time, roles FROM client WHERE client_id = $1 FOR UPDATE',
        [clientId],
      );
      if (rows[0] === undefined) throw clientNotFound();
      if (rows[0].disable_time !== null) return;
      if (rows[0].roles.includes('administrator') && (await otherAdministrators(client, clientId)) === 0)
        throw lastAdministrator();
      await client.query(
        'UPDATE client SET disable_time = $2, disabled_by = $3, disable_reason = $4 WHERE client_id = $1',
        [clientId, at, by, reason],
      );
    });
  }
}

interface ClientRow {
  readonly client_id: string;
  readonly kind: 'machine' | 'person';
  readonly agency: string;
  readonly code: string;
  readonly roles: Role[];
  readonly galleries: string[] | null;
  readonly purposes: Purpose[];
  readonly clearance: number;
  readonly calls_per_second: number | null;
  readonly streams: number | null;
  readonly verifications_per_day: number | null;
  readonly create_time: Date;
  readonly created_by: string;
  readonly disable_time: Date | null;
  readonly disable_reason: string | null;
}

interface CredentialRow {
  readonly credential_id: string;
  readonly client_id: string;
  readonly kind: RegisteredCredential['kind'];
  readonly fingerprint: Buffer | null;
  readonly name: string | null;
  readonly issuer: Buffer | null;
  readonly issuer_url: string | null;
  readonly create_time: Date;
  readonly created_by: string;
  readonly expire_time: Date | null;
  readonly revoke_time: Date | null;
}

async function readVersion(client: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const { rows } = await client.query<{ version: string }>('SELECT version FROM client_version');
  return Number(rows[0]?.version ?? 0);
}

async function readAll(client: pg.PoolClient): Promise<RegisteredClient[]> {
  const { rows } = await client.query<ClientRow>(
    'SELECT c.*, a.code FROM client c JOIN agency a USING (agency) ORDER BY client_id COLLATE "C"',
  );
  const { rows: credentials } = await client.query<CredentialRow>(
    'SELECT * FROM client_credential ORDER BY create_time, credential_id',
  );
  const byClient = Map.groupBy(credentials, ({ client_id }) => client_id);
  return rows.map((row) => ({
    client: {
      clientId: row.client_id,
      kind: row.kind,
      agency: row.agency,
      agencyCode: row.code,
      roles: new Set(row.roles),
      galleries: row.galleries === null ? 'all' : new Set(row.galleries),
      purposes: new Set(row.purposes),
      clearance: row.clearance,
      budgets: {
        callsPerSecond: row.calls_per_second ?? undefined,
        streams: row.streams ?? undefined,
        verificationsPerDay: row.verifications_per_day ?? undefined,
      },
    },
    credentials: (byClient.get(row.client_id) ?? []).map(toCredential),
    createTime: row.create_time,
    createdBy: row.created_by,
    disableTime: row.disable_time ?? undefined,
    disableReason: row.disable_reason ?? undefined,
  }));
}

function toCredential(row: CredentialRow): RegisteredCredential {
  return {
    credentialId: row.credential_id,
    kind: row.kind,
    fingerprint: row.fingerprint?.toString('hex'),
    name: row.name ?? undefined,
    issuer: row.issuer_url ?? row.issuer?.toString('hex'),
    createTime: row.create_time,
    createdBy: row.created_by,
    expireTime: row.expire_time ?? undefined,
    revokeTime: row.revoke_time ?? undefined,
  };
}

/** Two agencies that caveats could not tell apart are refused. */
async function enterAgency(client: pg.PoolClient, { agency, agencyCode }: Client): Promise<void> {
  await client.query('INSERT INTO agency (agency, code) VALUES ($1, $2) ON CONFLICT DO NOTHING', [agency, agencyCode]);
  const { rowCount } = await client.query('SELECT FROM agency WHERE agency = $1 AND code = $2', [agency, agencyCode]);
  if (rowCount === 1) return;
  const sentence = `Another agency has the code ${agencyCode}, by which caveats would name this one: choose another name.`;
  throw new Failure('already-exists', 'AGENCY_CODE_TAKEN', sentence, { field: 'client.agency' });
}

async function insertCredential(
  client: pg.PoolClient,
  clientId: string,
  { credentialId, kind, fingerprint, name, issuer, expireTime }: NewCredential,
  { by, at }: Doing,
): Promise<void> {
  const bytes = (hex: string | undefined) => (hex === undefined ? null : Buffer.from(hex, 'hex'));
  const { rowCount } = await client.query(
    `INSERT INTO client_credential (credential_id, client_id, kind, fingerprint, name, issuer, issuer_url, create_time,
       created_by, expire_time)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
    [
      ...[credentialId, clientId, kind, bytes(fingerprint), name ?? null],
      ...[kind === 'oidc' ? null : bytes(issuer), kind === 'oidc' ? issuer : null, at, by, expireTime ?? null],
    ],
  );
  if (rowCount !== 0) return;
  const sentence = 'This certificate, or this name or person under this issuer, belongs to a client already.';
  throw new Failure('already-exists', 'CREDENTIAL_TAKEN', sentence, { field: 'credential' });
}

/** @returns false: the client has no such credential */
async function renewCredential(
  client: pg.PoolClient,
  clientId: string,
  { kind, fingerprint, name, issuer, expireTime }: NewCredential,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE client_credential SET expire_time = $6
     WHERE client_id = $1 AND kind = $2 AND revoke_time IS NULL AND fingerprint IS NOT DISTINCT FROM decode($3, 'hex')
       AND name IS NOT DISTINCT FROM $4
       AND (kind = 'oidc' AND issuer_url = $5 OR kind <> 'oidc' AND encode(issuer, 'hex') IS NOT DISTINCT FROM $5)`,
    [clientId, kind, fingerprint ?? null, name ?? null, issuer ?? null, expireTime ?? null],
  );
  return rowCount === 1;
}

async function lockEnabled(client: pg.PoolClient, clientId: string): Promise<void> {
  const { rows } = await client.query<{ disable_time: Date | null }>(
    'SELECT disable_time FROM client WHERE client_id = $1 FOR UPDATE',
    [clientId],
  );
  if (rows[0] === undefined) throw clientNotFound();
  if (rows[0].disable_time === null) return;
  const sentence = 'The client has been disabled: add another one.';
  throw new Failure('failed-precondition', 'CLIENT_DISABLED', sentence, { field: 'client_id' });
}

async function otherAdministrators(client: pg.PoolClient, clientId: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*) FROM client c WHERE 'administrator' = ANY(roles) AND disable_time IS NULL AND client_id <> $1
       AND EXISTS (SELECT FROM client_credential k WHERE k.client_id = c.client_id AND revoke_time IS NULL
         AND (expire_time IS NULL OR expire_time > now()))`,
    [clientId],
  );
  return Number(rows[0]?.count ?? 0);
}

function clientExists(): Failure {
  const sentence = 'There is a client with this id; a disabled one keeps its id too.';
  return new Failure('already-exists', 'CLIENT_EXISTS', sentence, { field: 'client.client_id' });
}

function clientNotFound(): Failure {
  return new Failure('not-found', 'CLIENT_NOT_FOUND', 'There is no client with this id.', { field: 'client_id' });
}

function lastAdministrator(): Failure {
  const sentence = 'No other enabled client could manage clients: add another administrator first.';
  return new Failure('failed-precondition', 'LAST_ADMINISTRATOR', sentence, { field: 'client_id' });
}
