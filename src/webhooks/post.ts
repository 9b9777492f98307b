/** One attempt to send one event. */
import { request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { Failure } from '../failure.ts';
import { publicLookup, requirePublic } from './destination.ts';

/** From the first packet to the status of the answer, in milliseconds. */
const ATTEMPT_MS = 15_000;
/** Bytes of the headers of an answer. */
const MAX_HEADER_BYTES = 8192;

export interface Receiver {
  readonly url: URL;
  /** Authorities (PEM) that may certify it; undefined: those that Node.js knows. */
  readonly ca: string | undefined;
  /** Its host may be in a private network. */
  readonly isPrivate: boolean;
  /** For tests; default: `publicLookup`. */
  readonly lookup?: LookupFunction;
}

/** `delivered`: the receiver has it. `gone`: it wants no more, ever. Another text: why the attempt failed. */
export type Attempt = { readonly outcome: 'delivered' | 'gone' } | { readonly outcome: 'failed'; readonly why: string };

/**
 * Sends a message by a connection of its own, which no variable of the environment leads elsewhere. No redirect is
 * followed, and nothing but the status of the answer is read.
 * @throws Failure WEBHOOK_URL_REFUSED; the signal's reason
 */
export async function post(
  { url, ca, isPrivate, lookup = publicLookup() }: Receiver,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
  attemptMs = ATTEMPT_MS,
): Promise<Attempt> {
  signal.throwIfAborted();
  if (!isPrivate) requirePublic(url);
  const end = AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]);
  try {
    const status = await new Promise<number>((resolve, reject) => {
      const sending = request(url, {
        method: 'POST',
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)), 'user-agent': 'ridgewatch' },
        // No proxy of the environment.
        agent: false,
        minVersion: 'TLSv1.2',
        maxHeaderSize: MAX_HEADER_BYTES,
        signal: end,
        ...(ca !== undefined && { ca }),
        ...(!isPrivate && { lookup }),
      });
      sending.on('error', reject);
      sending.on('response', (answer) => {
        resolve(answer.statusCode ?? 0);
        // Its body may have no end.
        sending.destroy();
      });
      sending.end(body);
    });
    if (status >= 200 && status < 300) return { outcome: 'delivered' };
    return status === 410 ? { outcome: 'gone' } : { outcome: 'failed', why: `it answered with ${status}` };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) throw error;
    return { outcome: 'failed', why: end.aborted ? `no answer within ${attemptMs / 1000} s` : codeOf(error) };
  }
}

/** e.g. `ECONNREFUSED`, `CERT_HAS_EXPIRED`: a message could quote what the receiver has sent. */
function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'the connection failed';
}
