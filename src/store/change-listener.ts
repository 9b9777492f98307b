import type pg from 'pg';
import { CHANGE_CHANNEL } from './changes.ts';
import { CLIENT_CHANNEL } from './client-store.ts';
import { connectionTo } from './connection.ts';
import { HIT_CHANNEL } from './hit-store.ts';

/** What is to be told. */
export interface ChangeHearers {
  /** Called with the number of another process's latest change. */
  readonly onChange: (seq: number) => void;
  /** Called when another process has changed clients. */
  readonly onClients: () => void;
  /** Called with the agency that has new hits, by whichever process. */
  readonly onHits: (agency: string) => void;
}

/**
 * Listens (LISTEN/NOTIFY) on its own connection for hits, and for changes of subjects and clients that other processes
 * commit. It only saves time: its users also poll for changes.
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
   */
  ensure(hearers: ChangeHearers): Promise<void> {
    if (this.#stopped || this.#client !== undefined) return Promise.resolve();
    return (this.#connecting ??= this.#connect(hearers).finally(() => (this.#connecting = undefined)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#connecting;
    await this.#client?.end().catch(() => undefined);
  }

  async #connect({ onChange, onClients, onHits }: ChangeHearers): Promise<void> {
    const client = connectionTo(this.#url);
    const forget = () => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on('error', forget);
    client.on('end', forget);
    client.on('notification', ({ channel, processId, payload }) => {
      if (this.#isOwn(processId)) return;
      if (channel === CLIENT_CHANNEL) onClients();
      else if (channel === HIT_CHANNEL) onHits(payload ?? '');
      else onChange(Number(payload));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANGE_CHANNEL}`);
      await client.query(`LISTEN ${CLIENT_CHANNEL}`);
      await client.query(`LISTEN ${HIT_CHANNEL}`);
      this.#client = client;
    } catch {
      // The database is unreachable; the next poll reports it.
      await client.end().catch(() => undefined);
    }
  }
}
