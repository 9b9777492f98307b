/** Calls a second and streams at a time, for each client. */
import { LRUCache } from 'lru-cache';
import { Failure } from '../failure.ts';
import type { BudgetedClient } from './budgets.ts';
import { SteadyClock } from './steady-clock.ts';

/** A gate makes a call every few seconds, an examiner fewer; a checkpoint that shares one client, a few a second. */
export const CALLS_PER_SECOND = 20;
/** Unused calls are saved up for this long: those of a group that arrives together. */
const BURST_SECONDS = 5;
/** Streams at a time. */
export const STREAMS = 8;
/** How soon a refused stream may be tried again: streams end when callers end them. */
const STREAM_RETRY_MS = 1000;
/** Beyond it the longest unused bucket is forgotten: a full one, unless this many clients call within its burst. */
const MAX_CLIENTS = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class CallRates {
  readonly #clock: SteadyClock;
  readonly #buckets: LRUCache<string, Bucket>;
  /** Clients with open streams only. */
  readonly #streams = new Map<string, number>();

  constructor(clock = new SteadyClock(), maxClients = MAX_CLIENTS) {
    this.#clock = clock;
    this.#buckets = new LRUCache({ max: maxClients });
  }

  /**
   * Takes one call, or one message of a stream, from the client's token bucket.
   * @throws Failure RATE_LIMITED with the time until the next call fits
   */
  take({ clientId, budgets }: BudgetedClient): void {
    const perSecond = budgets.callsPerSecond ?? CALLS_PER_SECOND;
    const capacity = perSecond > 0 ? Math.max(1, perSecond * BURST_SECONDS) : 0;
    const now = this.#clock.now();
    const { tokens, atMs } = this.#buckets.get(clientId) ?? { tokens: capacity, atMs: now };
    const filled = Math.min(capacity, tokens + ((now - atMs) / 1000) * perSecond);
    const isAllowed = filled >= 1;
    this.#buckets.set(clientId, { tokens: isAllowed ? filled - 1 : filled, atMs: now });
    if (isAllowed) return;
    const sentence = `This client may make ${perSecond} calls a second.`;
    const detail = perSecond > 0 ? { retryAfterMs: Math.ceil(((1 - filled) / perSecond) * 1000) } : {};
    throw new Failure('resource-exhausted', 'RATE_LIMITED', sentence, detail);
  }

  /**
   * Counts a stream until it ends.
   * @returns to be called when the stream has ended; a second call has no effect
   * @throws Failure STREAMS_EXHAUSTED
   */
  openStream({ clientId, budgets }: BudgetedClient): () => void {
    const most = budgets.streams ?? STREAMS;
    const open = this.#streams.get(clientId) ?? 0;
    if (open >= most) {
      const sentence = `This client may have ${most} streams at a time.`;
      const detail = { retryAfterMs: STREAM_RETRY_MS };
      throw new Failure('resource-exhausted', 'STREAMS_EXHAUSTED', sentence, detail);
    }
    this.#streams.set(clientId, open + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#streams.get(clientId) ?? 1) - 1;
      if (left > 0) this.#streams.set(clientId, left);
      else this.#streams.delete(clientId);
    };
  }
}
