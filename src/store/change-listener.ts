import type pg from 'pg';
import { CHANGE_CHANNEL } from './changes.ts';
import { connectionTo } from './connection.ts';

/**
 * Listens (LISTEN/NOTIFY) on its own connection for changes that other processes commit. It only saves time: its users
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
   */
  ensure(onChange: (seq: number) => void): Promise<void> {
    if (this.#stopped || this.#client !== undefined) return Promise.resolve();
    return (this.#connecting ??= this.#connect(onChange).finally(() => (this.#connecting = undefined)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#connecting;
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(onChange: (seq: number) => void): Promise<void> {
    const client = connectionTo(this.#url);
    const forget = () => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on('error', forget);
    client.on('end', forget);
    client.on('notification', ({ processId, payload }) => {
      if (!this.#isOwn(processId)) onChange(Number(payload));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANGE_CHANNEL}`);
      this.#client = client;
    } catch {
      // The database is unreachable; the next poll reports it.
      await client.end().catch(() => undefined);
    }
  }
}
