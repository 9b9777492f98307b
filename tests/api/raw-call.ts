/** Calls as bytes, for what the client library would never send. */
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { Status } from '../../src/contract/generated/google/rpc/status.ts';
import { authorizationAt } from '../tokens.ts';
import { readStatus, type ReceivedStatus } from '../../src/api/status.ts';

export interface RawAnswer {
  /** Headers and trailers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly messages: readonly Buffer[];
  readonly status: ReceivedStatus;
}

/** A message in its gRPC frame. */
export function frame(bytes: Uint8Array, flag = 0, length = bytes.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

const authorizations = new WeakMap<ClientHttp2Session, Readonly<Record<string, string>>>();

/** Begins a call. */
export function beginCall(
  session: ClientHttp2Session,
  path: string,
  changes: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  return session.request({ ...head, ...authorizations.get(session), ...changes });
}

export function openSession(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  authorizations.set(session, authorizationAt(port));
  return session;
}

/**
 * Sends bytes as the body of a call and collects the answer until the stream has closed. Without bytes the body stays
 * open.
 */
export function rawCall(
  session: ClientHttp2Session,
  path: string,
  body: Uint8Array | undefined,
  changes: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  const stream = beginCall(session, path, changes);
  const headers: Record<string, string> = {};
  const note = (more: IncomingHttpHeaders) => {
    for (const [name, value] of Object.entries(more)) headers[name] = String(value);
  };
  const parts: Buffer[] = [];
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('error', () => undefined);
  if (body === undefined) stream.resume();
  else stream.end(body);
  return new Promise((resolve) =>
    stream.on('close', () =>
      resolve({ headers, messages: messagesIn(Buffer.concat(parts)), status: statusIn(headers) }),
    ),
  );
}

/** Sends a single message, or none. */
export function messageCall(
  session: ClientHttp2Session,
  path: string,
  message?: Uint8Array,
  changes: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  return rawCall(session, path, message && frame(message), changes);
}

/** Total bytes of all headers and trailers. */
export function headBytes({ headers }: RawAnswer): number {
  return JSON.stringify(headers).length;
}

function messagesIn(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const length = bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return messages;
}

function statusIn(headers: Readonly<Record<string, string>>): ReceivedStatus {
  const details = headers['grpc-status-details-bin'];
  if (details !== undefined) return readStatus(Status.decode(Buffer.from(details, 'base64')));
  const code = Number(headers['grpc-status'] ?? NaN);
  const message = decodeURIComponent(headers['grpc-message'] ?? '');
  return { code, message, reason: undefined, metadata: {}, violations: [], retryAfterMs: undefined };
}
