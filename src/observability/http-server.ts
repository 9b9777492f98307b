import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '../failure.ts';
import type { ReadinessState } from './readiness.ts';

export interface HttpSources {
  readiness(): ReadinessState;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The HTTP surface for orchestrators and Prometheus: `/livez`, `/readyz`, `/metrics`. */
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
    const { status, contentType, body } = await this.#answer(request);
    response.writeHead(status, {
      'content-type': contentType,
      'cache-control': 'no-store',
      ...(status === 405 && { allow: 'GET, HEAD' }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { error: 'use GET or HEAD' });
    switch ((request.url ?? '').split('?')[0]) {
      case '/livez':
        return json(200, { live: true });
      case '/readyz': {
        const { stage, detail } = this.#sources.readiness();
        return json(stage === 'ready' ? 200 : 503, { readiness: stage, detail });
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
