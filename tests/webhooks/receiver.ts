/** A webhook of an agency: a real server with a certificate of a test authority. */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Authority } from '../security/authority.ts';

export interface ReceivedMessage {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestReceiver {
  readonly url: string;
  readonly port: number;
  /** The authority, in PEM. */
  readonly ca: string;
  readonly received: ReceivedMessage[];
  /** What it does with the next messages; the default answers with 204. */
  answer: (answer: ServerResponse, message: ReceivedMessage) => void;
  close(): Promise<void>;
}

export const withStatus = (status: number) => (answer: ServerResponse) => void answer.writeHead(status).end();

/** @param name - host name in its certificate, beside 127.0.0.1 */
export async function startReceiver(name = 'receiver.example'): Promise<TestReceiver> {
  const authority = await Authority.create('receivers');
  const names = [
    { type: 'ip', value: '127.0.0.1' },
    { type: 'dns', value: name },
  ] as const;
  const { cert, key } = await authority.issue('receiver', { names: [...names] });
  const server = createServer({ cert, key });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const receiver: TestReceiver = {
    url: `https://127.0.0.1:${port}/hits`,
    port,
    ca: authority.cert,
    received: [],
    answer: withStatus(204),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const read = async (request: IncomingMessage, answer: ServerResponse) => {
    request.setEncoding('utf8');
    let body = '';
    for await (const text of request) body += text as string;
    const message = { path: request.url ?? '', headers: request.headers, body };
    receiver.received.push(message);
    receiver.answer(answer, message);
  };
  server.on('request', (request, answer) => void read(request, answer).catch(() => undefined));
  return receiver;
}
