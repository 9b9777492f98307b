/**
 * What the messages of all callers take in memory, from their first byte until the service is done with them; or answers,
 * until they are taken. When it is more than it may be, the callers who hold most and keep the service waiting have their
 * calls ended.
 */
import type { Failure } from '../failure.ts';
import type { Connection } from '../network/connections.ts';

/** Messages of at most so many bytes have a part of the memory to themselves, which larger ones cannot take. */
const SMALL_BYTES = 65_536;
const SMALL_PART = 1 / 4;

/** A call that has messages in memory. */
export interface Holder {
  readonly held: number;
  /** Ends it, so that it holds nothing. */
  end(failure: Failure): void;
}

/** What one connection has. */
export interface Share {
  readonly connection: Connection;
  /** Its calls that wait for their caller, and may be ended. */
  readonly waiting: Set<Holder>;
  held: number;
}

export class MessageMemory {
  readonly #most: number;
  readonly #tooMuch: () => Failure;
  readonly #shares = new Map<Connection, Share>();
  #held = 0;
  #heldByLarge = 0;

  /** @param tooMuch - makes what calls are ended with */
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
   * A call holds more, or less, than before.
   * @param now - all that it holds
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

  /** Ends calls of those connections that hold most, and of those the calls that do. */
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
