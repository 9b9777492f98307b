/**
 * Accounts for the memory of all callers' messages, from their first byte until the service is done with them, or of
 * answers, until they are read. Above the limit, calls that keep the service waiting are ended, starting with the
 * connections that hold the most.
 */
import type { Failure } from '../failure.ts';
import type { Connection } from '../network/connections.ts';

/** Messages up to this size have a share of the memory reserved that larger ones cannot use. */
const SMALL_BYTES = 65_536;
const SMALL_PART = 1 / 4;

/** A call that holds messages in memory. */
export interface Holder {
  readonly held: number;
  /** Ends the call, which releases its memory. */
  end(failure: Failure): void;
}

/** Memory use of one connection. */
export interface Share {
  readonly connection: Connection;
  /** Calls that wait for the caller. Only these may be ended. */
  readonly waiting: Set<Holder>;
  held: number;
}

export class MessageMemory {
  readonly #most: number;
  readonly #tooMuch: () => Failure;
  readonly #shares = new Map<Connection, Share>();
  #held = 0;
  #heldByLarge = 0;

  /** @param tooMuch - creates the failure that calls are ended with */
  constructor(most: number, tooMuch: () => Failure) {
    this.#most = most;
    this.#tooMuch = tooMuch;
  }

  get held(): number {
    return this.#held;
  }

  shareOf(connection: Connection): Share {
    const known = this.#shares.get(connection);
    if (known !== undefined) return known;
    const share: Share = { connection, waiting: new Set(), held: 0 };
    this.#shares.set(connection, share);
    connection.socket.once('close', () => this.#shares.delete(connection));
    return share;
  }

  /**
   * Records a change in the bytes that a call holds.
   * @param now - bytes held after the change
   */
  changed(connection: Connection, now: number, change: number): void {
    this.shareOf(connection).held += change;
    this.#held += change;
    this.#heldByLarge += ofLarge(now) - ofLarge(now - change);
    if (change <= 0) return;
    const mostOfLarge = this.#most * (1 - SMALL_PART);
    if (this.#heldByLarge > mostOfLarge) this.#relieve(SMALL_BYTES, () => this.#heldByLarge > mostOfLarge);
    if (this.#held > this.#most) this.#relieve(0, () => this.#held > this.#most);
  }

  /** Ends calls of the connections that hold the most, the largest calls first. */
  #relieve(beyond: number, isTooMuch: () => boolean): void {
    const shares = [...this.#shares.values()].filter(({ waiting }) => waiting.size > 0);
    for (const { waiting } of shares.sort((a, b) => b.held - a.held)) {
      const holders = [...waiting].filter(({ held }) => held > beyond).sort((a, b) => b.held - a.held);
      for (const holder of holders) {
        if (!isTooMuch()) return;
        holder.end(this.#tooMuch());
      }
    }
  }
}

function ofLarge(held: number): number {
  return held > SMALL_BYTES ? held : 0;
}
