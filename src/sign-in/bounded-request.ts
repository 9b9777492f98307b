import {
  Agent as PlainAgent,
  request as plainRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';

/** A set of a hundred keys has a tenth of this. */
const MAX_ANSWER_BYTES = 262_144;
const MAX_HEAD_BYTES = 16_384;

export interface RequestTrust {
  /** Authorities of the server's certificate (PEM); undefined: those that come with the program. */
  readonly authorities: readonly string[] | undefined;
  /** Ends the request. */
  readonly signal: AbortSignal;
}

export interface Sent {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Sends a request to exactly this URL, and reads the answer up to a limit. No redirect is followed. Neither proxies nor
 * authorities of the environment count: what it names could answer with keys of its own, or take a person's token.
 * @throws Error that says in constant words what is wrong; of what was answered nothing is quoted
 */
export async function boundedRequest(url: URL, sent: Sent, { authorities, signal }: RequestTrust): Promise<Received> {
  const answer = await answerTo(url, sent, authorities ?? rootCertificates, signal);
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    // Leaving the loop destroys the answer.
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  if (!answer.complete) throw new Error('the answer was cut off');
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) };
}

/** Gets a JSON document. @throws as `boundedRequest` */
export async function fetchJson(url: URL, trust: RequestTrust): Promise<unknown> {
  const { status, body } = await boundedRequest(url, { method: 'GET', headers: { accept: 'application/json' } }, trust);
  if (status !== 200) throw new Error(`the answer has the status ${status}, not 200`);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new Error('the answer is not JSON');
  }
}

function answerTo(
  url: URL,
  { method, headers, body }: Sent,
  ca: readonly string[],
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const options = {
    method,
    headers: { ...headers, 'accept-encoding': 'identity', connection: 'close' },
    signal,
    maxHeaderSize: MAX_HEAD_BYTES,
  };
  return new Promise((resolve, reject) => {
    // Agents of this request alone: the global ones may be set up with a proxy.
    const request =
      url.protocol === 'https:'
        ? tlsRequest(url, {
            ...options,
            agent: new TlsAgent({ ca: [...ca], rejectUnauthorized: true, minVersion: 'TLSv1.2', maxCachedSessions: 0 }),
          })
        : plainRequest(url, { ...options, agent: new PlainAgent() });
    request.on('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}
