import type pg from 'pg';
import { CHANGE_CHANNEL } from './changes.ts';
import { connectionTo } from './connection.ts';

/**
 * Hears of the changes that other processes make, in the moment of their commit (LISTEN/NOTIFY), on a connection of its
 * own. Nothing depends on it: whoever listens also looks for changes now and then.
 */
export class ChangeListener {
  readonly #url: string;
  readonly #isOwn: (backend: number) => boolean;
  #client: pg.Client | undefined;
  #connecting: Promise<void> | undefined;
  #stopped = false;

  /** @param isOwn - whether a backend of the database works for this process, which knows of its own changes */
  constructor(url: string, isOwn: (backend: number) => boolean) {
    this.#url = url;
    this.#isOwn = isOwn;
  }

  /**
   * Listens, if it does not yet. To be called now and then: that is how a connection that was lost comes back.
   * @param onChange - told the number of the last change of another process
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
      // The database is away: the next look at it says so.
      await client.end().catch(() => undefined);
    }
  }
}
