import { Agent as PlainAgent, request as plainRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';

/** A set of a hundred keys has a tenth of this. */
const MAX_ANSWER_BYTES = 262_144;
const MAX_HEAD_BYTES = 16_384;

export interface FetchTrust {
  /** Authorities of the server's certificate (PEM); undefined: those that come with the program. */
  readonly authorities: readonly string[] | undefined;
  /** Ends the request. */
  readonly signal: AbortSignal;
}

/**
 * Gets a JSON document from exactly this URL. No redirect is followed. Neither proxies nor authorities of the
 * environment count: what it names could answer with keys of its own.
 * @throws Error that says in constant words what is wrong; of what was answered nothing is quoted
 */
export async function fetchJson(url: URL, { authorities, signal }: FetchTrust): Promise<unknown> {
  const answer = await getAnswer(url, authorities ?? rootCertificates, signal);
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw new Error(`the answer has the status ${answer.statusCode ?? 0}, not 200`);
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    // Leaving the loop destroys the answer.
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  if (!answer.complete) throw new Error('the answer was cut off');
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new Error('the answer is not JSON');
  }
}

function getAnswer(url: URL, ca: readonly string[], signal: AbortSignal): Promise<IncomingMessage> {
  const headers = { accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' };
  const options = { headers, signal, maxHeaderSize: MAX_HEAD_BYTES };
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
    request.end();
  });
}
