import type { Socket } from 'node:net';

/** One connection, as far as it matters to who may stay. */
export interface Connection {
  readonly socket: Socket;
  /** Work that the service does for it now: a connection that has some is never ended for another. */
  working: number;
  /** Calls that wait for their caller. */
  waiting: number;
  /** When it last did anything, by performance.now(). */
  lastActive: number;
}

/** Of connections whose calls wait for the caller, those that were quiet for so long may be ended for others. */
const QUIET_MS = 5000;

/**
 * The connections of one surface. There is always room for a new one while any is idle: when all places are taken, an idle
 * connection of the address that holds most of them is ended. So one caller cannot keep the others out by holding
 * connections open.
 */
export class Connections {
  readonly #most: number;
  readonly #open = new Map<Socket, Connection>();
  readonly #onEvicted: () => void;
  #whenEmpty: PromiseWithResolvers<void> | undefined;

  /** @param onEvicted - called whenever a connection is ended to make room */
  constructor(most: number, onEvicted: () => void = () => undefined) {
    this.#most = most;
    this.#onEvicted = onEvicted;
  }

  get count(): number {
    return this.#open.size;
  }

  get all(): Iterable<Connection> {
    return this.#open.values();
  }

  /** Whether a new client would be turned away. */
  get isFull(): boolean {
    return this.#open.size >= this.#most && this.#minNeeded() === undefined;
  }

  /**
   * Enters a new connection until it closes.
   * @returns undefined when there is no room: the connection has been ended
   */
  admit(socket: Socket): Connection | undefined {
    if (this.#open.size >= this.#most) {
      const ended = this.#minNeeded();
      if (ended === undefined) {
        socket.destroy();
        return undefined;
      }
      this.#open.delete(ended.socket);
      ended.socket.destroy();
      this.#onEvicted();
    }
    const connection = { socket, working: 0, waiting: 0, lastActive: performance.now() };
    this.#open.set(socket, connection);
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#open.size > 0) return;
      this.#whenEmpty?.resolve();
      this.#whenEmpty = undefined;
    });
    return connection;
  }

  /** Resolves when none is open. */
  async empty(): Promise<void> {
    while (this.#open.size > 0) await (this.#whenEmpty ??= Promise.withResolvers<void>()).promise;
  }

  /** Ends what has had no call for that long, in milliseconds. */
  endIdle(idleMs: number): void {
    const since = performance.now() - idleMs;
    for (const { socket, working, waiting, lastActive } of this.#open.values())
      if (working === 0 && waiting === 0 && lastActive < since) socket.destroy();
  }

  endAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  /** First those without a call, then those whose callers have been quiet; of the address that has most; the oldest. */
  #minNeeded(): Connection | undefined {
    const held = new Map<string, number>();
    for (const { socket } of this.#open.values()) {
      const address = socket.remoteAddress ?? '';
      held.set(address, (held.get(address) ?? 0) + 1);
    }
    const quietSince = performance.now() - QUIET_MS;
    let least: Connection | undefined;
    let minRank: readonly number[] = [];
    for (const connection of this.#open.values()) {
      const { working, waiting, lastActive, socket } = connection;
      if (working > 0 || (waiting > 0 && lastActive > quietSince)) continue;
      const rank = [waiting > 0 ? 1 : 0, -(held.get(socket.remoteAddress ?? '') ?? 0), lastActive];
      if (least === undefined || isBefore(rank, minRank)) [least, minRank] = [connection, rank];
    }
    return least;
  }
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i >= 0 && (a[i] ?? 0) < (b[i] ?? 0);
}
