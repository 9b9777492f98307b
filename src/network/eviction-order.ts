/** The order in which connections are evicted. It is kept sorted: a new connection may meet ten thousand. */
import { KeptOrder } from './kept-order.ts';

/** What a connection's place in the order depends on. */
export interface Evictable {
  /** Remote address. */
  readonly address: string;
  /** Calls that the service works on: a connection with any is never evicted. */
  readonly working: number;
  /** Calls that wait for the caller. */
  readonly waiting: number;
  /** Time of its last activity, in milliseconds. */
  readonly lastActive: number;
}

interface Address<T> {
  readonly all: Set<T>;
  /** Connections that may be evicted: without a call, and with quiet callers. */
  readonly idle: KeptOrder<T>;
  readonly quiet: KeptOrder<T>;
}

/**
 * First connections without a call, then those with quiet callers. Within each group: of the address with the most
 * connections, the longest inactive one.
 */
export class EvictionOrder<T extends Evictable> {
  readonly #quietMs: number;
  readonly #addresses = new Map<string, Address<T>>();
  readonly #withIdle: KeptOrder<Address<T>>;
  readonly #withQuiet: KeptOrder<Address<T>>;
  /** Connections whose callers were not quiet for long enough at the last check. */
  readonly #heard = new KeptOrder<T>(isOlder);

  /** @param quietMs - inactivity after which a connection whose calls only wait for the caller may be evicted */
  constructor(quietMs: number) {
    this.#quietMs = quietMs;
    this.#withIdle = new KeptOrder((a, b) => isSooner(a.all.size, a.idle.first, b.all.size, b.idle.first));
    this.#withQuiet = new KeptOrder((a, b) => isSooner(a.all.size, a.quiet.first, b.all.size, b.quiet.first));
  }

  /** Adds a connection, or moves a changed one to its place. */
  put(connection: T): void {
    const address = this.#addresses.get(connection.address) ?? this.#enter(connection.address);
    address.all.add(connection);
    address.quiet.delete(connection);
    const { working, waiting } = connection;
    if (working === 0 && waiting === 0) address.idle.put(connection);
    else address.idle.delete(connection);
    if (working === 0 && waiting > 0) this.#heard.put(connection);
    else this.#heard.delete(connection);
    this.#place(address);
  }

  delete(connection: T): void {
    const address = this.#addresses.get(connection.address);
    if (address === undefined) return;
    address.all.delete(connection);
    address.idle.delete(connection);
    address.quiet.delete(connection);
    this.#heard.delete(connection);
    this.#place(address);
    if (address.all.size === 0) this.#addresses.delete(connection.address);
  }

  /** The next connection to evict; undefined if none may be. */
  first(now: number): T | undefined {
    const { first: withIdle } = this.#withIdle;
    if (withIdle !== undefined) return withIdle.idle.first;
    // Amortised: a connection is moved at most once for each activity.
    for (let oldest = this.#heard.first; oldest !== undefined; oldest = this.#heard.first) {
      if (oldest.lastActive > now - this.#quietMs) break;
      this.#heard.delete(oldest);
      const address = this.#addresses.get(oldest.address);
      if (address === undefined) continue;
      address.quiet.put(oldest);
      this.#place(address);
    }
    return this.#withQuiet.first?.quiet.first;
  }

  #enter(name: string): Address<T> {
    const address = { all: new Set<T>(), idle: new KeptOrder<T>(isOlder), quiet: new KeptOrder<T>(isOlder) };
    this.#addresses.set(name, address);
    return address;
  }

  #place(address: Address<T>): void {
    if (address.idle.first === undefined) this.#withIdle.delete(address);
    else this.#withIdle.put(address);
    if (address.quiet.first === undefined) this.#withQuiet.delete(address);
    else this.#withQuiet.put(address);
  }
}

function isOlder(a: Evictable, b: Evictable): boolean {
  return a.lastActive < b.lastActive;
}

function isSooner(
  held: number,
  first: Evictable | undefined,
  otherHeld: number,
  other: Evictable | undefined,
): boolean {
  if (held !== otherHeld || first === undefined || other === undefined) return held > otherHeld;
  return isOlder(first, other);
}
