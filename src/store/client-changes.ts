/** Changes of registered clients, in PostgreSQL. Every method throws Failure. */
import type pg from 'pg';
import { etagOf } from '../access/client-etag.ts';
import type { ClientPatch } from '../access/principal.ts';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { clientDisabled, lastAdministrator } from './client-failure.ts';
import { isValidCredential, lockAdministrators, lockClient } from './client-locks.ts';
import type { StoredClient } from './client-macs.ts';
import { rightsOf, toRegistered, type Doing } from './client-rows.ts';
import { updateClient } from './client-writing.ts';
import { holdKeys } from './held-keys.ts';
import { inTransaction } from './transaction.ts';

export class ClientChanges {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  /** @param keys - of the MACs of clients */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * @param etag - of the client that the change is based on, see etagOf
   * @throws Failure CLIENT_NOT_FOUND, CLIENT_DAMAGED, CLIENT_DISABLED, CLIENT_CHANGED, LAST_ADMINISTRATOR
   */
  async update(clientId: string, etag: string, patch: ClientPatch): Promise<void> {
    await this.#change(clientId, async (client, stored, isOnlyAdministrator) => {
      const present = toRegistered(stored).client;
      if (etagOf(present) !== etag) throw clientChanged();
      const changed = { ...present, ...patch, budgets: { ...present.budgets, ...patch.budgets } };
      if (isOnlyAdministrator && !changed.roles.has('administrator')) throw lastAdministrator();
      await updateClient(client, this.#keys, { ...stored, row: { ...stored.row, ...rightsOf(changed) } });
    });
  }

  /**
   * Refuses a credential from now on. One that was revoked before stays as it is.
   * @throws Failure CLIENT_NOT_FOUND, CLIENT_DAMAGED, CLIENT_DISABLED, CREDENTIAL_NOT_FOUND, LAST_ADMINISTRATOR
   */
  async revokeCredential(clientId: string, credentialId: string, { by, at }: Doing): Promise<void> {
    await this.#change(clientId, async (client, stored, isOnlyAdministrator) => {
      const revoked = stored.credentials.find(({ credential_id }) => credential_id === credentialId);
      if (revoked === undefined) throw credentialNotFound();
      const isLast = !stored.credentials.some((one) => one !== revoked && isValidCredential(one));
      if (isLast && isOnlyAdministrator) throw lastAdministrator();
      if (revoked.revoke_time !== null) return;
      const sql = 'UPDATE client_credential SET revoke_time = $2, revoked_by = $3 WHERE credential_id = $1';
      await client.query(sql, [credentialId, at, by]);
      const credentials = stored.credentials.map((one) =>
        one === revoked ? { ...one, revoke_time: at, revoked_by: by } : one,
      );
      await updateClient(client, this.#keys, { ...stored, credentials });
    });
  }

  /** @param work - gets the client, and whether no other one could manage clients */
  async #change(
    clientId: string,
    work: (client: pg.PoolClient, stored: StoredClient, isOnlyAdministrator: boolean) => Promise<void>,
  ): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      await holdKeys(client, this.#keys);
      const administrators = await lockAdministrators(client, this.#keys);
      const stored = await lockClient(client, this.#keys, clientId);
      if (stored.row.disable_time !== null) throw clientDisabled();
      const isAdministrator = stored.row.roles.includes('administrator');
      const hasOthers = administrators.some(({ row }) => row.client_id !== clientId);
      await work(client, stored, isAdministrator && !hasOthers);
    });
  }
}

function clientChanged(): Failure {
  const sentence = 'The client was changed since the state that the change is based on: read it again.';
  return new Failure('aborted', 'CLIENT_CHANGED', sentence, { field: 'etag' });
}

function credentialNotFound(): Failure {
  const sentence = 'The client has no credential with this id.';
  return new Failure('not-found', 'CREDENTIAL_NOT_FOUND', sentence, { field: 'credential_id' });
}
