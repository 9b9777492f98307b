/**
 * Notices a caller that feels its way to a stored template: many probes that resemble each other and are not the same.
 * A traveller at a gate gives a few; reading a template out, or climbing to it, takes hundreds. The caller is alarmed
 * about, then slowed down where it goes on with these probes, then disabled.
 *
 * Only codes and digests of probes are kept, in memory, under a key that never leaves it (likeness-code.ts): a restart
 * forgets them. That a client was alarmed about and slowed down is in the audit, and is noted again.
 */
import { LRUCache } from 'lru-cache';
import { Failure } from '../failure.ts';
import { bitsOfCosine, LikenessCoder, type ProbeVector } from './likeness-code.ts';
import type { Client } from './principal.ts';
import { ENTRY_BYTES, RecentCodes, type CodedProbe } from './recent-codes.ts';
import { SteadyClock } from './steady-clock.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How long every probe is remembered. */
export const RECENT_MS = 30 * MINUTE_MS;
/** How long a probe is remembered that resembled a recent one: otherwise a patient caller would go unnoticed. */
export const KEPT_MS = DAY_MS;
/** Cosine from which probes of one client count as alike: 93 % of the pairs of real faces of one person, 3 of 100,000 others. */
export const ALIKE = 0.5;
/** The same for the probes of all clients of an agency, which are of more people: 1 in a million others. */
export const ALIKE_OF_AGENCY = 0.6;
/** Calls with like probes until the alarm: a traveller gives ten at most. */
export const CALLS_TO_ALARM = 32;
export const CALLS_TO_ALARM_OF_AGENCY = 48;
/** Further calls with like probes, refused or not, within a day until the client is disabled. */
export const CALLS_TO_DISABLE = 64;
/** Pause after the first such call; each further one doubles it. */
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 10 * MINUTE_MS;

/** Probes remembered of a client, and of those with a like one; an agency's are ROOM_OF_AGENCY times as many. */
const RECENT_PROBES = 4096;
const KEPT_PROBES = 2048;
const ROOM_OF_AGENCY = 2;
/** Of clients and of agencies. */
const MAX_TRAILS = 10_000;
/** All entries together, 45 MB; beyond it what is longest unused is forgotten. */
const MAX_BYTES = 45_000_000;

/** What the window must know of a client. */
export type WatchedClient = Pick<Client, 'clientId' | 'agency'>;

/** A sample as the window takes it. */
export interface WatchedProbe {
  /** Probes of different traits are not compared: `face:` and the model, or `finger`. */
  readonly trait: string;
  /** The quantised embedding, or the candidate vector of a finger. */
  readonly vector: ProbeVector;
}

/** Like probes were noticed. Contains nothing of the probes. */
export interface ProbeAlarm {
  readonly clientId: string;
  readonly agency: string;
  /** Whether the client alone reached the limit, or the clients of its agency together. */
  readonly scope: 'client' | 'agency';
  /** Earlier calls with like probes. */
  readonly calls: number;
}

export interface ProbeWindowEvents {
  /** Once for each run of like probes. */
  alarm(alarm: ProbeAlarm): void;
  /** The client is to be disabled; called again only if it goes on. */
  disable(alarm: ProbeAlarm): void;
}

/** What is known of one client, or of one agency. */
class Trail {
  readonly recent: RecentCodes;
  readonly kept: RecentCodes;
  /** Calls with like probes after the alarm, by time. */
  strikes: number[] = [];
  delayMs = 0;
  notBeforeMs = -Infinity;

  constructor(room: number) {
    this.recent = new RecentCodes(room * RECENT_PROBES);
    this.kept = new RecentCodes(room * KEPT_PROBES);
  }

  get bytes(): number {
    return (this.recent.room + this.kept.room) * ENTRY_BYTES;
  }
}

interface Scope {
  readonly scope: ProbeAlarm['scope'];
  readonly key: string;
  readonly room: number;
  readonly maxBits: number;
  readonly callsToAlarm: number;
}

export class ProbeWindow {
  readonly #events: ProbeWindowEvents;
  readonly #clock: SteadyClock;
  readonly #coder: LikenessCoder;
  readonly #trails: LRUCache<string, Trail>;
  readonly #traits = new Map<string, number>();
  readonly #maxBytes: number;
  #bytes = 0;
  #calls = 0;

  constructor(events: ProbeWindowEvents, clock = new SteadyClock(), coder = new LikenessCoder(), maxBytes = MAX_BYTES) {
    this.#events = events;
    this.#clock = clock;
    this.#coder = coder;
    this.#maxBytes = maxBytes;
    this.#trails = new LRUCache({ max: MAX_TRAILS, dispose: (trail) => (this.#bytes -= trail.bytes) });
  }

  /** Bytes of all codes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes the probes of one search, or of one comparison with an enrolled subject, before it is made. The samples of a
   * call may resemble each other: the calls are counted.
   * @param probes - all samples of the call, fewer than 100
   * @throws Failure PROBES_ALIKE with the time to wait. Other probes of the client are not affected
   */
  admit(client: WatchedClient, probes: readonly WatchedProbe[]): void {
    const now = this.#clock.now();
    const call = (this.#calls = (this.#calls + 1) >>> 0);
    const coded = probes.map(({ trait, vector }) => ({
      trait: this.#traitOf(trait),
      code: this.#coder.code(vector),
      digest: this.#coder.digest(trait, vector),
    }));
    // Both take every call, even where the first refuses it.
    const waits = scopesOf(client).map((scope) => this.#follow(scope, client, coded, call, now));
    const wait = Math.max(...waits);
    if (wait <= 0) return;
    const sentence = 'Many probes of this client resemble each other: further ones are slowed down.';
    throw new Failure('resource-exhausted', 'PROBES_ALIKE', sentence, { retryAfterMs: Math.ceil(wait) });
  }

  /**
   * Notes an alarm of an earlier process: within a day of it there is no other one, and calls with like probes count as
   * those after an alarm. Pauses begin again at their shortest.
   */
  noteAlarm({ scope, ...client }: WatchedClient & Pick<ProbeAlarm, 'scope'>, ageMs: number): void {
    const found = scopesOf(client).find((own) => own.scope === scope);
    if (found === undefined || ageMs >= DAY_MS) return;
    const trail = this.#trailOf(found);
    trail.strikes.push(this.#clock.now() - ageMs);
    trail.delayMs = FIRST_DELAY_MS;
    this.#limitBytes();
  }

  /** Notes a call that an earlier process refused as PROBES_ALIKE: after an alarm, it counts on the way to the end. */
  noteRefusal(client: WatchedClient, ageMs: number): void {
    if (ageMs >= DAY_MS) return;
    for (const { key } of scopesOf(client)) {
      const trail = this.#trails.get(key);
      if (trail === undefined || trail.strikes.length === 0) continue;
      trail.strikes = [...trail.strikes.slice(1 - CALLS_TO_DISABLE), this.#clock.now() - ageMs];
    }
  }

  /** @returns milliseconds to wait; 0: the call may go on */
  #follow(scope: Scope, client: WatchedClient, probes: readonly CodedProbe[], call: number, now: number): number {
    const trail = this.#trailOf(scope);
    const before = trail.bytes;
    trail.recent.forgetBefore(now - RECENT_MS);
    trail.kept.forgetBefore(now - KEPT_MS);
    const calls = probes.map(() => new Set<number>());
    trail.recent.near(probes, scope.maxBits, calls);
    trail.kept.near(probes, scope.maxBits, calls);
    const most = Math.max(0, ...calls.map(({ size }) => size));
    const resembling = probes.filter((_, i) => calls[i].size > 0);
    // Only now: the samples of a call must not meet each other.
    for (const probe of resembling) trail.kept.add(probe, call, now);
    for (const probe of probes) trail.recent.add(probe, call, now);
    this.#bytes += trail.bytes - before;
    const wait = most < scope.callsToAlarm ? 0 : this.#strike(trail, scope, client, most, now);
    this.#limitBytes();
    return wait;
  }

  #strike(trail: Trail, { scope }: Scope, { clientId, agency }: WatchedClient, calls: number, now: number): number {
    trail.strikes = trail.strikes.filter((at) => at > now - DAY_MS);
    const alarm = { clientId, agency, scope, calls };
    if (trail.strikes.length === 0) {
      trail.delayMs = 0;
      this.#events.alarm(alarm);
    }
    trail.strikes.push(now);
    if (trail.strikes.length > CALLS_TO_DISABLE) {
      trail.strikes = trail.strikes.slice(-CALLS_TO_DISABLE);
      this.#events.disable(alarm);
    }
    if (now < trail.notBeforeMs) return trail.notBeforeMs - now;
    trail.delayMs = Math.min(LONGEST_DELAY_MS, Math.max(FIRST_DELAY_MS, 2 * trail.delayMs));
    trail.notBeforeMs = now + trail.delayMs;
    return 0;
  }

  #trailOf({ key, room }: Scope): Trail {
    const known = this.#trails.get(key);
    if (known !== undefined) return known;
    const made = new Trail(room);
    this.#bytes += made.bytes;
    this.#trails.set(key, made);
    return made;
  }

  #limitBytes(): void {
    while (this.#bytes > this.#maxBytes && this.#trails.size > 2) this.#trails.pop();
  }

  /** Traits are few: face models are configured. */
  #traitOf(name: string): number {
    const known = this.#traits.get(name);
    if (known !== undefined) return known;
    const number = this.#traits.size;
    this.#traits.set(name, number);
    return number;
  }
}

function scopesOf({ clientId, agency }: WatchedClient): readonly Scope[] {
  return [
    {
      scope: 'client',
      key: `client ${clientId}`,
      room: 1,
      maxBits: bitsOfCosine(ALIKE),
      callsToAlarm: CALLS_TO_ALARM,
    },
    {
      scope: 'agency',
      key: `agency ${agency}`,
      room: ROOM_OF_AGENCY,
      maxBits: bitsOfCosine(ALIKE_OF_AGENCY),
      callsToAlarm: CALLS_TO_ALARM_OF_AGENCY,
    },
  ];
}
