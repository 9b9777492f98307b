import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '../failure.ts';
import type { ReadinessState } from './readiness.ts';

export interface HttpSources {
  readiness(): ReadinessState;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
  /** Answers searches; undefined: this surface takes none. */
  identify?(): HttpSearch | undefined;
  /** Bytes of the largest body. */
  readonly mostBodyBytes?: number;
}

/** @param deadline - in milliseconds since 1970; Infinity: none @param onHangUp - told what to do when the caller is gone */
export type HttpSearch = (
  body: Uint8Array,
  deadline: number,
  onHangUp: (listener: () => void) => void,
) => Promise<{ readonly status: number; readonly document: unknown }>;

/** In which a caller says how long it waits, in milliseconds. */
const TIMEOUT_HEADER = 'x-timeout-ms';
const IDENTIFY = '/v1/identify';

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The HTTP surface for orchestrators and Prometheus: `/livez`, `/readyz`, `/metrics`; and `/v1/identify`, where it is on. */
export class HttpServer {
  readonly #server: Server;
  readonly #sources: HttpSources;

  constructor(sources: HttpSources) {
    this.#sources = sources;
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  /**
   * @param port - 0: any free one
   * @returns the port
   * @throws Failure PORT_IN_USE, ADDRESS_UNUSABLE
   */
  async start(host: string, port: number): Promise<number> {
    this.#server.listen(port, host);
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
        const sentence = `HTTP port ${port} on ${host} is in use by another program: set RIDGEWATCH_HTTP_PORT to a free one.`;
        throw new Failure('failed-precondition', 'PORT_IN_USE', sentence);
      }
      const sentence = `The service cannot listen on ${host}:${port}: check RIDGEWATCH_HTTP_HOST and RIDGEWATCH_HTTP_PORT.`;
      throw new Failure('failed-precondition', 'ADDRESS_UNUSABLE', sentence, { cause });
    }
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isSearch = request.url === IDENTIFY && this.#sources.identify !== undefined;
    const { status, contentType, body } = await (isSearch ? this.#search(request, response) : this.#answer(request));
    response.writeHead(status, {
      'content-type': contentType,
      'cache-control': 'no-store',
      ...(status === 405 && { allow: isSearch ? 'POST' : 'GET, HEAD' }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #search(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    if (request.method !== 'POST') return json(405, { error: 'use POST' });
    const body = await readBody(request, this.#sources.mostBodyBytes ?? Infinity);
    if (body === undefined) return json(413, { error: 'the body is too large' });
    const search = this.#sources.identify?.();
    if (search === undefined) return json(503, { error: 'the service is starting' });
    const timeout = Number(request.headers[TIMEOUT_HEADER] ?? Infinity);
    if (!(timeout > 0)) return json(400, { error: `${TIMEOUT_HEADER} is not a number of milliseconds` });
    const { status, document } = await search(body, Date.now() + timeout, (listener) =>
      response.once('close', () => void (response.writableEnded || listener())),
    );
    return json(status, document as object);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { error: 'use GET or HEAD' });
    switch ((request.url ?? '').split('?')[0]) {
      case '/livez':
        return json(200, { live: true });
      case '/readyz': {
        const { stage, detail, writing } = this.#sources.readiness();
        const state = { readiness: stage, detail, ...(!writing && { writing }) };
        return json(stage === 'ready' ? 200 : 503, state);
      }
      case '/metrics': {
        const { contentType, body } = await this.#sources.metrics();
        return { status: 200, contentType, body };
      }
      default:
        return json(404, { error: 'there is /livez, /readyz and /metrics' });
    }
  }
}

function json(status: number, body: object): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}

/** @returns undefined when it has more bytes than that */
async function readBody(request: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > most) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
