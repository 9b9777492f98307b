/**
 * Rows of clients and their credentials. They are read and written by these lists of columns, and their MACs are made
 * over them: a column that is not listed has no effect.
 */
import type pg from 'pg';
import type { Purpose } from '../access/actions.ts';
import type { RegisteredClient, RegisteredCredential } from '../access/client-directory.ts';
import type { Client, Role } from '../access/principal.ts';
import type { MacColumns } from './row-macs.ts';

/**
 * The columns of `client`, apart from those of the MAC. A later column is one more line. Rows from before it must read
 * as NULL there, so that their MACs still fit.
 */
export const CLIENT_FIELDS = [
  'client_id',
  'kind',
  'agency',
  'roles',
  'galleries',
  'purposes',
  'clearance',
  'calls_per_second',
  'streams',
  'verifications_per_day',
  'create_time',
  'created_by',
  'disable_time',
  'disabled_by',
  'disable_reason',
  'version',
] as const satisfies readonly (keyof ClientRow)[];

/** The columns of `client_credential`; a later one as above. */
export const CREDENTIAL_FIELDS = [
  'credential_id',
  'client_id',
  'kind',
  'fingerprint',
  'name',
  'issuer',
  'issuer_url',
  'create_time',
  'created_by',
  'expire_time',
  'revoke_time',
  'revoked_by',
] as const satisfies readonly (keyof CredentialRow)[];

export interface ClientRow {
  readonly client_id: string;
  readonly kind: 'machine' | 'person';
  readonly agency: string;
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
  readonly disabled_by: string | null;
  readonly disable_reason: string | null;
  /** Counts the states of the client and its credentials. */
  readonly version: string;
}

export interface CredentialRow {
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
  readonly revoked_by: string | null;
}

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

/** What belongs to a client: its MAC covers all of it. */
export interface ClientRows {
  readonly row: ClientRow;
  /** Code of its agency; null: the agency is not there. */
  readonly code: string | null;
  readonly credentials: readonly CredentialRow[];
}

type Stored = ClientRow & MacColumns & { readonly code: string | null };

/**
 * Reads clients, in order of id, with their credentials, oldest first.
 * @param condition - SQL after WHERE, about `client c`
 * @param lock - keeps the clients as they are until the transaction ends
 */
export async function readClientRows(
  client: Pick<pg.ClientBase, 'query'>,
  condition: string,
  values: readonly unknown[],
  lock: '' | 'FOR UPDATE OF c' = '',
): Promise<(ClientRows & { readonly macColumns: MacColumns })[]> {
  const columns = CLIENT_FIELDS.map((name) => `c.${name}`).join(', ');
  const { rows } = await client.query<Stored>(
    `SELECT ${columns}, c.mac, c.mac_key_id, a.code FROM client c LEFT JOIN agency a USING (agency) WHERE ${condition}
     ORDER BY c.client_id COLLATE "C" ${lock}`,
    [...values],
  );
  if (rows.length === 0) return [];
  const { rows: credentials } = await client.query<CredentialRow>(
    `SELECT ${CREDENTIAL_FIELDS.join(', ')} FROM client_credential WHERE client_id = ANY($1)
     ORDER BY create_time, credential_id`,
    [rows.map(({ client_id }) => client_id)],
  );
  const byClient = Map.groupBy(credentials, ({ client_id }) => client_id);
  return rows.map(({ mac, mac_key_id, code, ...row }) => ({
    row,
    code,
    credentials: byClient.get(row.client_id) ?? [],
    macColumns: { mac, mac_key_id },
  }));
}

export function newClientRow(client: Client, version: number, { by, at }: Doing): ClientRow {
  return {
    client_id: client.clientId,
    kind: client.kind,
    agency: client.agency,
    ...rightsOf(client),
    create_time: at,
    created_by: by,
    disable_time: null,
    disabled_by: null,
    disable_reason: null,
    version: String(version),
  };
}

/** The columns of what a client may do, which an administrator can change. */
export function rightsOf({ roles, galleries, purposes, clearance, budgets }: Client) {
  return {
    roles: [...roles],
    galleries: galleries === 'all' ? null : [...galleries],
    purposes: [...purposes],
    clearance,
    calls_per_second: budgets.callsPerSecond ?? null,
    streams: budgets.streams ?? null,
    verifications_per_day: budgets.verificationsPerDay ?? null,
  };
}

export function newCredentialRow(clientId: string, credential: NewCredential, { by, at }: Doing): CredentialRow {
  const { credentialId, kind, fingerprint, name, issuer, expireTime } = credential;
  const bytes = (hex: string | undefined) => (hex === undefined ? null : Buffer.from(hex, 'hex'));
  return {
    credential_id: credentialId,
    client_id: clientId,
    kind,
    fingerprint: bytes(fingerprint),
    name: name ?? null,
    issuer: kind === 'oidc' ? null : bytes(issuer),
    issuer_url: kind === 'oidc' ? (issuer ?? null) : null,
    create_time: at,
    created_by: by,
    expire_time: expireTime ?? null,
    revoke_time: null,
    revoked_by: null,
  };
}

export function toRegistered({ row, code, credentials }: ClientRows): RegisteredClient {
  return {
    client: {
      clientId: row.client_id,
      kind: row.kind,
      agency: row.agency,
      agencyCode: code ?? '',
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
    credentials: credentials.map(toCredential),
    createTime: row.create_time,
    createdBy: row.created_by,
    disableTime: row.disable_time ?? undefined,
    disableReason: row.disable_reason ?? undefined,
    version: Number(row.version),
  };
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
    revokedBy: row.revoked_by ?? undefined,
  };
}
