/** Hits to the webhook of an agency that has no gRPC. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Hit } from '../../contract/generated/ridgewatch/v1/sharing.ts';
import { Failure } from '../../failure.ts';
import { SigningKey } from '../../security/signing-key.ts';
import { CLOUD_EVENT, cloudEvent } from '../../webhooks/cloud-event.ts';
import { readDestination } from '../../webhooks/destination.ts';
import { pauseAfter } from '../../webhooks/pauses.ts';
import { post, type Receiver } from '../../webhooks/post.ts';
import { signedHeaders, webhookKey } from '../../webhooks/signature.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { CallFailed } from '../failure-output.ts';
import { hitDocument } from '../hit-document.ts';
import { printResult } from '../output.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { StopSignals } from '../stop-signals.ts';
import { BROKEN } from './hits.ts';

interface ForwardOptions extends ConnectionOptions {
  readonly signingKey: string;
  readonly receiverCa?: string;
  readonly privateNetwork?: boolean;
  readonly giveUp: number;
  readonly once?: boolean;
}

/** Deliveries between two acknowledgements: so many come again when this process is killed. */
const ACKNOWLEDGED_BY = 100;
const HOUR_MS = 3_600_000;

/** An attempt failed: it is made again after a pause. */
class Undelivered extends Error {}

/**
 * Every attempt goes through a new stream from the acknowledged position: a hit is sent by the rights that the client has
 * at that time, and the service records each sending. No hit is kept here.
 */
export async function forwardHits([url = '']: readonly string[], options: ForwardOptions): Promise<number> {
  const receiver = receiverOf(url, options);
  const signer = await openKey(options.signingKey);
  const signals = new StopSignals();
  const service = new ServiceClient(connectionOf(options));
  const forwarding = new Forwarding(service, receiver, signer, signals.asked);
  let [failures, failedSince, delivered] = [0, 0, 0];
  try {
    while (!signals.asked.aborted) {
      try {
        await forwarding.run(options.once === true);
        break;
      } catch (error) {
        if (signals.asked.aborted) break;
        if (!isTemporary(error)) throw error;
        if (forwarding.delivered > delivered || failures === 0) [failures, failedSince] = [0, Date.now()];
        delivered = forwarding.delivered;
        if (Date.now() - failedSince >= options.giveUp * HOUR_MS) throw undelivered(error as Error);
        await delay(pauseAfter(++failures), undefined, { signal: signals.asked }).catch(() => undefined);
      }
    }
    const count = forwarding.delivered;
    printResult(options, { delivered: count }, `Delivered ${count} ${count === 1 ? 'hit' : 'hits'}.`);
    return EXIT.ok;
  } finally {
    service.close();
    signals.close();
  }
}

export async function printWebhookKey([file = '']: readonly string[], options: { json?: boolean }): Promise<number> {
  const { publicKey, fingerprint } = await openKey(file);
  const key = webhookKey(publicKey);
  printResult(options, { key, fingerprint, pem: publicKey }, key);
  return EXIT.ok;
}

class Forwarding {
  delivered = 0;
  readonly #service: ServiceClient;
  readonly #receiver: Receiver;
  readonly #signer: SigningKey;
  readonly #signal: AbortSignal;

  constructor(service: ServiceClient, receiver: Receiver, signer: SigningKey, signal: AbortSignal) {
    this.#service = service;
    this.#receiver = receiver;
    this.#signer = signer;
    this.#signal = signal;
  }

  /** Delivers in order of positions until the stream ends, or, `once`, until there is nothing more. */
  async run(once: boolean): Promise<void> {
    let [position, waiting] = [0, 0];
    const acknowledge = async () => {
      if (waiting > 0) await this.#service.acknowledgeHits({ position });
      waiting = 0;
    };
    try {
      for await (const message of this.#service.watchHits({ afterPosition: undefined }, this.#signal)) {
        if (message.hit !== undefined) await this.#deliver(message.hit);
        // Hits that this client may not see are passed over, and acknowledged as well.
        else if (message.position > position) waiting++;
        position = message.position;
        if (message.hit !== undefined) waiting++;
        if (message.hit === undefined || waiting >= ACKNOWLEDGED_BY) await acknowledge();
        if (message.hit === undefined && once) return;
      }
    } finally {
      // What was delivered need not come again; where this fails, it does.
      await acknowledge().catch(() => undefined);
    }
  }

  async #deliver(hit: Hit): Promise<void> {
    const body = cloudEvent(hit.hitId, hit.time, hitDocument(hit));
    const headers = { 'content-type': CLOUD_EVENT, ...signedHeaders(this.#signer, hit.hitId, new Date(), body) };
    const attempt = await post(this.#receiver, headers, body, this.#signal);
    if (attempt.outcome === 'gone') throw gone();
    if (attempt.outcome === 'failed') throw new Undelivered(attempt.why);
    this.delivered++;
  }
}

function isTemporary(error: unknown): boolean {
  if (error instanceof Undelivered) return true;
  // A receiver that is slow keeps the service waiting: it cuts off the stream.
  return (
    error instanceof CallFailed && (BROKEN.has(error.status.reason ?? '') || error.status.reason === 'ANSWER_UNTAKEN')
  );
}

function receiverOf(url: string, { receiverCa, privateNetwork = false }: ForwardOptions): Receiver {
  const ca = receiverCa === undefined ? undefined : readCa(receiverCa);
  return { url: readDestination(url), ca, isPrivate: privateNetwork };
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('invalid-argument', 'WEBHOOK_CA_UNREADABLE', `The authorities in ${file} cannot be read.`, {
      cause,
    });
  }
}

async function openKey(file: string): Promise<SigningKey> {
  const what = `The key ${file} that signs webhooks`;
  await SigningKey.create(file, what);
  return SigningKey.read(file, what);
}

function gone(): Failure {
  return new Failure('failed-precondition', 'WEBHOOK_GONE', 'The receiver wants no more hits (410).');
}

function undelivered({ message }: Error): Failure {
  const sentence = `The receiver takes no hits: ${message}. They were not acknowledged, and come again.`;
  return new Failure('unavailable', 'WEBHOOK_UNDELIVERED', sentence);
}
