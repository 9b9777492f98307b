/** The order in which connections give way to others. It is kept, for there may be ten thousand when a new one comes. */
import { KeptOrder } from './kept-order.ts';

/** What a connection's turn depends on. */
export interface Evictable {
  /** Where it comes from. */
  readonly address: string;
  /** Work that the service does for it now: one that has some never gives way. */
  readonly working: number;
  /** Calls that wait for their caller. */
  readonly waiting: number;
  /** When it last did anything, in milliseconds. */
  readonly lastActive: number;
}

interface Address<T> {
  readonly all: Set<T>;
  /** Of them, those that may give way. */
  readonly idle: KeptOrder<T>;
  readonly quiet: KeptOrder<T>;
}

/** First those without a call, then those whose callers have been quiet; of the address that has most; the oldest. */
export class EvictionOrder<T extends Evictable> {
  readonly #quietMs: number;
  readonly #addresses = new Map<string, Address<T>>();
  readonly #withIdle: KeptOrder<Address<T>>;
  readonly #withQuiet: KeptOrder<Address<T>>;
  /** Those whose callers were not quiet for long enough when they were last looked at. */
  readonly #heard = new KeptOrder<T>(isOlder);

  /** @param quietMs - of connections whose calls wait for the caller, those that were quiet for so long may give way */
  constructor(quietMs: number) {
    this.#quietMs = quietMs;
    this.#withIdle = new KeptOrder((a, b) => isSooner(a.all.size, a.idle.first, b.all.size, b.idle.first));
    this.#withQuiet = new KeptOrder((a, b) => isSooner(a.all.size, a.quiet.first, b.all.size, b.quiet.first));
  }

  /** Enters a connection, or puts one that has changed in its place. */
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

  /** Which one gives way; undefined: none may. */
  first(now: number): T | undefined {
    const { first: withIdle } = this.#withIdle;
    if (withIdle !== undefined) return withIdle.idle.first;
    // Each is moved once after it was heard of.
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
