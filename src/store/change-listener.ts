import type pg from 'pg';
import { CHANGE_CHANNEL } from './changes.ts';
import { CLIENT_CHANNEL } from './client-store.ts';
import { connectionTo } from './connection.ts';

/**
 * Listens (LISTEN/NOTIFY) on its own connection for changes of subjects and clients that other processes commit. It only saves time: its users
 * also poll for changes.
 */
export class ChangeListener {
  readonly #url: string;
  readonly #isOwn: (backend: number) => boolean;
  #client: pg.Client | undefined;
  #connecting: Promise<void> | undefined;
  #stopped = false;

  /** @param isOwn - whether a database backend belongs to this process, whose own changes need no notification */
  constructor(url: string, isOwn: (backend: number) => boolean) {
    this.#url = url;
    this.#isOwn = isOwn;
  }

  /**
   * Starts listening unless it already is. Call it periodically: this restores a lost connection.
   * @param onChange - called with the number of another process's latest change
   * @param onClients - called when another process has changed clients
   */
  ensure(onChange: (seq: number) => void, onClients: () => void): Promise<void> {
    if (this.#stopped || this.#client !== undefined) return Promise.resolve();
    return (this.#connecting ??= this.#connect(onChange, onClients).finally(() => (this.#connecting = undefined)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#connecting;
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(onChange: (seq: number) => void, onClients: () => void): Promise<void> {
    const client = connectionTo(this.#url);
    const forget = () => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on('error', forget);
    client.on('end', forget);
    client.on('notification', ({ channel, processId, payload }) => {
      if (this.#isOwn(processId)) return;
      if (channel === CLIENT_CHANNEL) onClients();
      else onChange(Number(payload));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANGE_CHANNEL}`);
      await client.query(`LISTEN ${CLIENT_CHANNEL}`);
      this.#client = client;
    } catch {
      // The database is unreachable; the next poll reports it.
      await client.end().catch(() => undefined);
    }
  }
}
