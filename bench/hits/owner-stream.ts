/** The owner's end of the stream of hits: it calls again whenever it was cut off. */
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, Metadata } from '@grpc/grpc-js';
import {
  SharingClient,
  type AcknowledgeHitsResponse,
  type WatchHitsResponse,
} from '../../src/contract/generated/ridgewatch/v1/sharing.ts';
import type { Random } from '../../src/random.ts';
import { channelOf } from '../service/channel.ts';
import { promised } from '../service/process.ts';
import type { Arrival } from './judgement.ts';

/** Pause before the owner calls again, in milliseconds. */
const PAUSE_MS = 50;
/** A stream that brings nothing for so long is dead: twice the service's time between signs of life, in milliseconds. */
const SILENCE_MS = 30_000;
const DEADLINE_MS = 5000;
/** Share of the messages that are acknowledged. */
const ACKNOWLEDGED = 0.2;

export class OwnerStream {
  readonly arrivals: Arrival[] = [];
  /** How often the stream was opened. */
  opened = 0;
  readonly #address: string;
  readonly #token: string;
  readonly #random: Random;
  readonly #onHit: ((requestId: string) => void) | undefined;
  #acknowledged = 0;
  /** Position up to which the last word of the service was that there are no more hits. */
  #caughtUp = -1;
  #isEnding = false;
  #cancel: () => void = () => undefined;
  readonly #ended: Promise<void>;

  /** @param address - host:port; what is there may be cut and come back at any time */
  constructor(address: string, token: string, random: Random, onHit?: (requestId: string) => void) {
    this.#address = address;
    this.#token = token;
    this.#random = random;
    this.#onHit = onHit;
    this.#ended = this.#run();
  }

  /** Waits until the service says that there are no hits after a position. @throws Error after `maxMs` */
  async caughtUp(position: number, maxMs: number): Promise<void> {
    for (const end = performance.now() + maxMs; this.#caughtUp < position; await delay(PAUSE_MS))
      if (performance.now() > end) throw new Error(`the owner was not told of all hits within ${maxMs} ms`);
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#cancel();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      await this.#watchOnce();
      await delay(PAUSE_MS);
    }
  }

  /** One connection, until it ends. */
  async #watchOnce(): Promise<void> {
    const local = { ...channelOf(this.#address, this.#token), 'grpc.use_local_subchannel_pool': 1 };
    const sharing = new SharingClient(this.#address, credentials.createInsecure(), local);
    const [connection, acknowledgedBefore] = [this.opened++, this.#acknowledged];
    const stream = sharing.watchHits({ afterPosition: undefined });
    this.#cancel = () => stream.cancel();
    await new Promise<void>((resolve) => {
      const silence = setTimeout(() => stream.cancel(), SILENCE_MS);
      stream.on('data', ({ hit, position }: WatchHitsResponse) => {
        silence.refresh();
        if (hit === undefined) this.#caughtUp = position;
        else {
          const { hitId, requestId } = hit;
          this.arrivals.push({ connection, acknowledgedBefore, position, hitId, requestId });
          this.#onHit?.(requestId);
        }
        if (this.#random.chance(ACKNOWLEDGED)) void this.#acknowledge(sharing, position);
      });
      stream.on('error', () => undefined);
      stream.on('close', () => {
        clearTimeout(silence);
        resolve();
      });
      stream.on('end', resolve);
    });
    sharing.close();
  }

  /** What was not acknowledged in time comes again: no failure matters. */
  async #acknowledge(sharing: SharingClient, position: number): Promise<void> {
    await promised<AcknowledgeHitsResponse>((callback) =>
      sharing.acknowledgeHits({ position }, new Metadata(), { deadline: Date.now() + DEADLINE_MS }, callback),
    ).then(
      (answer) => (this.#acknowledged = Math.max(this.#acknowledged, answer.position)),
      () => undefined,
    );
  }
}
