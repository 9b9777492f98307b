import type { Failure } from './failure.ts';

/** A caller. Turns are shared between names, and within a name between connections. */
export interface Party {
  /** Name in the certificate, otherwise the address; empty: unknown. */
  readonly name: string;
  readonly connection: string;
}

/** A request that waits for a turn. */
export interface Asker {
  /** Gives up the place in the queue when aborted. */
  readonly signal: AbortSignal;
  /** Called only when needed. Undefined: work without a caller. */
  readonly party?: () => Party;
}

interface Place {
  readonly party: Party;
  readonly start: () => void;
  readonly refuse: (why: unknown) => void;
}

/** The party of work without a caller. */
export const NO_PARTY: Party = { name: '', connection: '' };

/**
 * Lets a bounded number of requests run and a bounded number wait. Waiting requests take turns by name, and within a
 * name by connection: a caller's only request waits for at most one request of each other caller. When the queue is
 * full, the newest request of the caller with the most is refused: no caller can keep others out.
 */
export class FairTurns {
  readonly #concurrency: number;
  readonly #maxWaiting: number;
  readonly #full: (party: Party, level: number) => Failure;
  /** Most urgent level first. */
  readonly #levels: readonly Ring[];
  #running = 0;
  #idle: (() => void)[] = [];

  /**
   * @param concurrency - maximum of running requests, at least 1
   * @param maxWaiting - maximum of waiting requests
   * @param full - makes the refusal of a request without room
   * @param levels - number of levels of urgency
   */
  constructor(concurrency: number, maxWaiting: number, full: (party: Party, level: number) => Failure, levels = 1) {
    this.#concurrency = concurrency;
    this.#maxWaiting = maxWaiting;
    this.#full = full;
    this.#levels = Array.from({ length: levels }, () => new Ring());
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#levels.reduce((sum, ring) => sum + ring.size, 0);
  }

  /** Whether the next request has to wait. */
  get isBusy(): boolean {
    return this.#running >= this.#concurrency;
  }

  /** Resolves when no request runs or waits. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#idle.push(resolve));
  }

  /** Requests of each level that would run before a new one; for its own level, the maximum. */
  ahead(party: Party, level: number): number[] {
    return this.#levels.map((ring, other) => (other < level ? ring.size : other === level ? ring.ahead(party) : 0));
  }

  /** Whether a new request may wait. */
  hasRoom(party: Party): boolean {
    return this.waiting < this.#maxWaiting || this.#heaviest(party) !== undefined;
  }

  /**
   * Does the work in its turn.
   * @throws the Failure of `full`; the signal's reason if it is aborted before or during the wait
   */
  async run<T>({ signal, party = () => NO_PARTY }: Asker, work: () => Promise<T>, level = 0): Promise<T> {
    signal.throwIfAborted();
    if (this.isBusy) await this.#wait(party(), signal, level);
    else this.#running++;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#running--;
      this.#next();
    }
  }

  async #wait(party: Party, signal: AbortSignal, level: number): Promise<void> {
    if (this.waiting >= this.#maxWaiting) this.#makeRoom(party, level);
    const { promise, resolve: start, reject: refuse } = Promise.withResolvers<void>();
    const place = { party, start, refuse };
    const ring = this.#levels[level];
    if (ring === undefined) throw new RangeError('there is no such level');
    ring.add(place);
    const giveUp = () => {
      // A request that was just started is no longer waiting; `run` returns its turn.
      if (ring.remove(place)) refuse(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #next(): void {
    while (!this.isBusy) {
      const place = this.#levels.find((ring) => ring.size > 0)?.take();
      if (place === undefined) break;
      this.#running++;
      place.start();
    }
    if (this.#running > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #makeRoom(party: Party, level: number): void {
    const heaviest = this.#heaviest(party);
    if (heaviest === undefined) throw this.#full(party, level);
    // Least urgent level first.
    for (const [lower, ring] of [...this.#levels.entries()].reverse()) {
      const newest = ring.newestOf(heaviest);
      if (newest === undefined) continue;
      ring.remove(newest);
      newest.refuse(this.#full(heaviest, lower));
      return;
    }
  }

  /** The caller that gives way to a new request; undefined if none has more waiting than the new one's caller. */
  #heaviest({ name, connection }: Party): Party | undefined {
    const counts = new Map<string, Map<string, number>>();
    for (const ring of this.#levels) ring.count(counts);
    const own = counts.get(name);
    const most = largest([...counts].map(([other, connections]) => [other, sum(connections.values())]));
    const heavy = most !== undefined && most[1] > sum(own?.values() ?? []) + 1 ? most[0] : name;
    const within = largest([...(counts.get(heavy) ?? [])]);
    if (within === undefined) return undefined;
    if (heavy === name && within[1] <= (own?.get(connection) ?? 0) + 1) return undefined;
    return { name: heavy, connection: within[0] };
  }
}

/** Waiting requests of one level: in turn by name, within a name by connection, within a connection in order. */
class Ring {
  /** In the order of turns. */
  readonly #names = new Map<string, Map<string, Place[]>>();
  size = 0;

  add(place: Place): void {
    const { name, connection } = place.party;
    const connections = this.#names.get(name) ?? new Map<string, Place[]>();
    const places = connections.get(connection) ?? [];
    places.push(place);
    connections.set(connection, places);
    this.#names.set(name, connections);
    this.size++;
  }

  take(): Place | undefined {
    const [first] = this.#names;
    if (first === undefined) return undefined;
    const [name, connections] = first;
    const [next] = connections;
    const place = next?.[1].shift();
    if (next === undefined || place === undefined) return undefined;
    this.size--;
    connections.delete(next[0]);
    if (next[1].length > 0) connections.set(next[0], next[1]);
    this.#names.delete(name);
    if (connections.size > 0) this.#names.set(name, connections);
    return place;
  }

  /** @returns whether the request was waiting */
  remove(place: Place): boolean {
    const { name, connection } = place.party;
    const connections = this.#names.get(name);
    const places = connections?.get(connection);
    const at = places?.indexOf(place) ?? -1;
    if (connections === undefined || places === undefined || at < 0) return false;
    places.splice(at, 1);
    this.size--;
    if (places.length === 0) connections.delete(connection);
    if (connections.size === 0) this.#names.delete(name);
    return true;
  }

  newestOf({ name, connection }: Party): Place | undefined {
    return this.#names.get(name)?.get(connection)?.at(-1);
  }

  ahead({ name, connection }: Party): number {
    const own = this.#names.get(name);
    const before = own?.get(connection)?.length ?? 0;
    // Before its turn, every other connection of the name had as many turns, and then every other name.
    const ofOwn = [...(own ?? [])].map(([other, { length }]) =>
      other === connection ? length : Math.min(before + 1, length),
    );
    const rank = sum(ofOwn) + 1;
    const ofOthers = [...this.#names].filter(([other]) => other !== name);
    return rank - 1 + sum(ofOthers.map(([, connections]) => Math.min(rank, sizeOf(connections))));
  }

  count(counts: Map<string, Map<string, number>>): void {
    for (const [name, connections] of this.#names) {
      const known = counts.get(name) ?? new Map<string, number>();
      for (const [connection, { length }] of connections) known.set(connection, (known.get(connection) ?? 0) + length);
      counts.set(name, known);
    }
  }
}

function sizeOf(connections: ReadonlyMap<string, readonly Place[]>): number {
  return sum([...connections.values()].map(({ length }) => length));
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function largest(counts: readonly (readonly [string, number])[]): readonly [string, number] | undefined {
  return counts.reduce<readonly [string, number] | undefined>(
    (most, one) => (most === undefined || one[1] > most[1] ? one : most),
    undefined,
  );
}
