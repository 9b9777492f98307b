import type { Socket } from 'node:net';
import { EvictionOrder, type Evictable } from './eviction-order.ts';

/** Remote address and port, by which connections are found. */
export interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** One connection, as the eviction order sees it. */
export class Connection implements Evictable {
  readonly socket: Socket;
  readonly address: string;
  readonly #changed: (connection: Connection) => void;
  #working = 0;
  #waiting = 0;
  #lastActive = performance.now();

  /** @param changed - called after each change */
  constructor(socket: Socket, changed: (connection: Connection) => void) {
    this.socket = socket;
    this.address = socket.remoteAddress ?? '';
    this.#changed = changed;
  }

  get working(): number {
    return this.#working;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get lastActive(): number {
    return this.#lastActive;
  }

  /** Records activity: differences in the calls that the service works on, and in those that wait for the caller. */
  change(working: number, waiting: number): void {
    this.#working += working;
    this.#waiting += waiting;
    this.#lastActive = performance.now();
    this.#changed(this);
  }
}

/** A connection whose calls only wait for the caller may be evicted after this time without activity. */
const QUIET_MS = 5000;

/**
 * The connections of one surface. When all places are taken, an idle connection of the address with the most connections
 * is ended for a new one: no caller can keep others out by holding connections open.
 */
export class Connections {
  readonly #most: number;
  readonly #open = new Map<Socket, Connection>();
  readonly #byPeer = new Map<string, Connection>();
  readonly #order = new EvictionOrder<Connection>(QUIET_MS);
  readonly #onEvicted: () => void;
  #whenEmpty: PromiseWithResolvers<void> | undefined;

  /** @param onEvicted - called after each eviction */
  constructor(most: number, onEvicted: () => void = () => undefined) {
    this.#most = most;
    this.#onEvicted = onEvicted;
  }

  /** The connection of a peer; undefined once it has closed. */
  of(peer: Peer): Connection | undefined {
    return this.#byPeer.get(keyOf(peer));
  }

  get count(): number {
    return this.#open.size;
  }

  get all(): Iterable<Connection> {
    return this.#open.values();
  }

  /** Whether a new client would be turned away. */
  get isFull(): boolean {
    return this.#open.size >= this.#most && this.#order.first(performance.now()) === undefined;
  }

  /**
   * Enters a new connection until it closes.
   * @returns undefined if there is no room: the connection was ended
   */
  admit(socket: Socket): Connection | undefined {
    if (this.#open.size >= this.#most) {
      const ended = this.#order.first(performance.now());
      if (ended === undefined) {
        socket.destroy();
        return undefined;
      }
      this.#remove(ended);
      ended.socket.destroy();
      this.#onEvicted();
    }
    const connection = new Connection(socket, (changed) => {
      if (this.#open.has(socket)) this.#order.put(changed);
    });
    const key = keyOf(socket);
    this.#open.set(socket, connection);
    this.#byPeer.set(key, connection);
    this.#order.put(connection);
    socket.once('close', () => {
      this.#remove(connection);
      if (this.#byPeer.get(key) === connection) this.#byPeer.delete(key);
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

  /** Ends connections without a call for this time, in milliseconds. */
  endIdle(idleMs: number): void {
    const since = performance.now() - idleMs;
    for (const { socket, working, waiting, lastActive } of this.#open.values())
      if (working === 0 && waiting === 0 && lastActive < since) socket.destroy();
  }

  endAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  #remove(connection: Connection): void {
    this.#open.delete(connection.socket);
    this.#order.delete(connection);
  }
}

function keyOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress ?? ''}:${remotePort ?? 0}`;
}
