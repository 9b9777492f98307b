/** A call over HTTP/2 as it is, so that anything at all can be sent. */
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Status } from '../../src/api/generated/google/rpc/status.ts';
import { readStatus, type ReceivedStatus } from '../../src/api/status.ts';

export interface Answered {
  readonly messages: readonly Buffer[];
  readonly status: Pick<ReceivedStatus, 'code' | 'reason' | 'message' | 'violations'>;
  /** Of all headers and trailers. */
  readonly headBytes: number;
}

export function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

export function beginCall(
  session: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const base = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  return session.request({ ...base, ...headers });
}

/** Sends one message, if there is one, and takes all that comes back. */
export async function rawCall(
  session: ClientHttp2Session,
  path: string,
  message?: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const stream = beginCall(session, path, headers);
  const head: Record<string, string> = {};
  const note = (more: object) => void Object.assign(head, more);
  const parts: Buffer[] = [];
  stream.on('response', note).on('trailers', note);
  stream.on('data', (part: Buffer) => parts.push(part));
  if (message === undefined) stream.resume();
  else stream.end(framed(message));
  await once(stream, 'close');
  const details = head['grpc-status-details-bin'];
  const bare = { code: Number(head['grpc-status']), message: head['grpc-message'] ?? '', reason: undefined };
  return {
    messages: messagesOf(Buffer.concat(parts)),
    status:
      details === undefined ? { ...bare, violations: [] } : readStatus(Status.decode(Buffer.from(details, 'base64'))),
    headBytes: JSON.stringify(head).length,
  };
}

function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1))
    messages.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1)));
  return messages;
}
