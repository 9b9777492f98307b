/** Clients and their credentials, in PostgreSQL. Every method throws Failure. */
import type pg from 'pg';
import type { ClientSource, DamagedClient, RegisteredClient } from '../access/client-directory.ts';
import type { Client } from '../access/principal.ts';
import type { Keys } from '../security/keys.ts';
import { clientDamaged, clientDisabled, clientNotFound, lastAdministrator } from './client-failure.ts';
import { lockAdministrators, lockClient } from './client-locks.ts';
import { readStoredClients } from './client-macs.ts';
import {
  newClientRow,
  newCredentialRow,
  toRegistered,
  type ClientRow,
  type ClientRows,
  type CredentialRow,
  type Doing,
  type NewCredential,
} from './client-rows.ts';
import {
  enterAgency,
  insertClient,
  insertCredential,
  replaceClient,
  restoreAgency,
  updateClient,
} from './client-writing.ts';
import { holdKeys } from './held-keys.ts';
import { inTransaction, READ_ONLY, withConnection } from './transaction.ts';

/** NOTIFY channel of changes to clients; the trigger of the tables names it too. */
export const CLIENT_CHANNEL = 'ridgewatch_client';

export class ClientStore implements ClientSource {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  /** @param keys - of the MACs of clients */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  async clientVersion(): Promise<number> {
    return withConnection(this.#pool, readVersion);
  }

  async readClients(): Promise<{
    readonly version: number;
    readonly clients: readonly RegisteredClient[];
    readonly damaged: readonly DamagedClient[];
  }> {
    return inTransaction(
      this.#pool,
      async (client) => {
        const version = await readVersion(client);
        const stored = await readStoredClients(client, this.#keys, 'true');
        return {
          version,
          clients: stored.filter(({ damage }) => damage === undefined).map(toRegistered),
          damaged: stored.flatMap(({ row, damage }) =>
            damage === undefined ? [] : [{ clientId: row.client_id, reason: damage }],
          ),
        };
      },
      READ_ONLY,
    );
  }

  /** @throws Failure CLIENT_EXISTS, AGENCY_CODE_TAKEN, CREDENTIAL_TAKEN */
  async addClient(added: Client, credentials: readonly NewCredential[], doing: Doing): Promise<void> {
    await this.#change(async (client) => {
      await enterAgency(client, added);
      await insertClient(client, this.#keys, {
        row: newClientRow(added, 1, doing),
        code: added.agencyCode,
        credentials: credentials.map((one) => newCredentialRow(added.clientId, one, doing)),
      });
    });
  }

  /**
   * Gives a client another credential. One that it has already, and that was not revoked, gets the new expiry instead:
   * a name in certificates stays the same when they are renewed.
   * @param othersExpire - when its other credentials of this kind expire, if they would last longer; undefined: unchanged
   * @throws Failure CLIENT_NOT_FOUND, CLIENT_DAMAGED, CLIENT_DISABLED, CREDENTIAL_TAKEN
   */
  async addCredential(
    clientId: string,
    credential: NewCredential,
    othersExpire: Date | undefined,
    doing: Doing,
  ): Promise<void> {
    await this.#change(async (client) => {
      const stored = await lockClient(client, this.#keys, clientId);
      if (stored.row.disable_time !== null) throw clientDisabled();
      await this.#addCredential(client, stored, credential, othersExpire, doing);
    });
  }

  /**
   * Disables a client for ever. Of one that was changed in the database nothing else is kept: neither its roles nor its
   * credentials.
   * @throws Failure CLIENT_NOT_FOUND, LAST_ADMINISTRATOR
   */
  async disableClient(clientId: string, reason: string, doing: Doing): Promise<void> {
    const { by, at } = doing;
    await this.#change(async (client) => {
      // Two administrators that disable each other at once must not both succeed.
      const administrators = await lockAdministrators(client, this.#keys);
      const [stored] = await readStoredClients(client, this.#keys, 'c.client_id = $1', [clientId], 'FOR UPDATE OF c');
      if (stored === undefined) throw clientNotFound();
      const disabled = { disable_time: at, disabled_by: by, disable_reason: reason };
      if (stored.damage !== undefined) {
        await replaceClient(client, this.#keys, stored, { ...blank(stored.row, doing), ...disabled }, stored.code);
        return;
      }
      if (stored.row.disable_time !== null) return;
      const others = administrators.filter(({ row }) => row.client_id !== clientId);
      if (stored.row.roles.includes('administrator') && others.length === 0) throw lastAdministrator();
      await updateClient(client, this.#keys, { ...stored, row: { ...stored.row, ...disabled } });
    });
  }

  /**
   * Gives a client another credential where no administrator can.
   * @param substitute - takes the place of what is stored of the client, where that was changed or removed in the
   * database, or the client was disabled and no administrator is left; undefined: nothing does
   * @throws Failure CLIENT_NOT_FOUND, CLIENT_DAMAGED, CLIENT_DISABLED, AGENCY_CODE_TAKEN, CREDENTIAL_TAKEN
   */
  async recoverClient(
    clientId: string,
    substitute: Client | undefined,
    credential: NewCredential,
    doing: Doing,
  ): Promise<void> {
    await this.#change(async (client) => {
      const administrators = await lockAdministrators(client, this.#keys);
      const [stored] = await readStoredClients(client, this.#keys, 'c.client_id = $1', [clientId], 'FOR UPDATE OF c');
      const isSound = stored?.damage === undefined && stored?.row.disable_time === null;
      if (isSound) return this.#addCredential(client, stored, credential, undefined, doing);
      if (
        substitute === undefined ||
        (stored?.damage === undefined && stored !== undefined && administrators.length > 0)
      )
        throw stored === undefined
          ? clientNotFound()
          : stored.damage === undefined
            ? clientDisabled()
            : clientDamaged();
      await restoreAgency(client, substitute);
      const row = newClientRow(substitute, doing.at.getTime(), doing);
      const credentials = [newCredentialRow(clientId, credential, doing)];
      if (stored === undefined)
        await insertClient(client, this.#keys, { row, code: substitute.agencyCode, credentials });
      else await replaceClient(client, this.#keys, stored, row, substitute.agencyCode, credentials);
    });
  }

  /** A change, under keys that stay. */
  #change<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return inTransaction(this.#pool, async (client) => {
      await holdKeys(client, this.#keys);
      return work(client);
    });
  }

  async #addCredential(
    client: pg.PoolClient,
    stored: ClientRows,
    credential: NewCredential,
    othersExpire: Date | undefined,
    doing: Doing,
  ): Promise<void> {
    const added = newCredentialRow(stored.row.client_id, credential, doing);
    const present =
      othersExpire === undefined ? stored.credentials : shortened(stored.credentials, added, othersExpire);
    const same = present.find((one) => one.revoke_time === null && isSame(one, added));
    const credentials =
      same === undefined
        ? [...present, added]
        : present.map((one) => (one === same ? { ...one, expire_time: added.expire_time } : one));
    if (same === undefined) await insertCredential(client, added);
    for (const one of credentials)
      if (one !== added && !stored.credentials.includes(one))
        await client.query('UPDATE client_credential SET expire_time = $2 WHERE credential_id = $1', [
          one.credential_id,
          one.expire_time,
        ]);
    await updateClient(client, this.#keys, { ...stored, credentials });
  }
}

async function readVersion(client: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const { rows } = await client.query<{ version: string }>('SELECT version FROM client_version');
  return Number(rows[0]?.version ?? 0);
}

/**
 * A client of which nothing is known but that it exists. Its version says nothing either; the time is later than every
 * version that a service may have seen.
 */
function blank({ client_id, kind, agency }: ClientRow, doing: Doing): ClientRow {
  const none = new Set<never>();
  const nothing = { agencyCode: '', roles: none, galleries: none, purposes: none, clearance: 0, budgets: {} };
  return newClientRow({ ...nothing, clientId: client_id, kind, agency }, doing.at.getTime(), doing);
}

/** Credentials of the same kind as another one, which end at a time. */
function shortened(credentials: readonly CredentialRow[], { kind }: CredentialRow, end: Date): CredentialRow[] {
  return credentials.map((one) => {
    const lasts = one.kind === kind && one.revoke_time === null && (one.expire_time === null || one.expire_time > end);
    return lasts ? { ...one, expire_time: end } : one;
  });
}

function isSame(one: CredentialRow, other: CredentialRow): boolean {
  const hex = (bytes: Buffer | null) => bytes?.toString('hex');
  return (
    one.kind === other.kind &&
    one.name === other.name &&
    hex(one.fingerprint) === hex(other.fingerprint) &&
    hex(one.issuer) === hex(other.issuer) &&
    one.issuer_url === other.issuer_url
  );
}
