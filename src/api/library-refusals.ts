/**
 * What grpc-js answers by itself: messages that are missing, too large, or cannot be read. It tells no handler and no
 * interceptor, so the streams of HTTP/2 are looked at, their headers before it sees them. Also ends streams that were answered and whose callers go on:
 * what they have sent would stay in memory for as long as they like.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { status as Code } from '@grpc/grpc-js';
import type { Connection } from '../network/connections.ts';
import type { Peer } from './grpc-listener.ts';

/** Time to end a stream for a caller who has the answer, in milliseconds. */
const GRACE_MS = 1000;
/** Statuses that handlers end calls with carry details; those of grpc-js do not. */
const DETAILS = 'grpc-status-details-bin';
const CREATED = 'http2.server.stream.created';
const FINISHED = 'http2.server.stream.finish';

const REASONS: Partial<Record<number, string>> = {
  [Code.UNKNOWN]: 'INTERNAL_ERROR',
  [Code.RESOURCE_EXHAUSTED]: 'MESSAGE_TOO_LARGE',
  [Code.UNIMPLEMENTED]: 'CALL_UNSUPPORTED',
  [Code.INTERNAL]: 'MESSAGE_UNREADABLE',
};

export interface LibraryRefusal {
  readonly reason: string;
  /** Name of the gRPC status. */
  readonly code: string;
}

/**
 * Begins to look at the streams of one server.
 * @param connectionOf - tells its connections from those of other servers
 * @param settle - sees the headers of each call, and may change them, before grpc-js does
 * @returns ends it
 */
export function followStreams(
  connectionOf: (peer: Peer) => Connection | undefined,
  settle: (headers: IncomingHttpHeaders) => void,
  refused: (refusal: LibraryRefusal) => void,
): () => void {
  const ours = new WeakSet<ServerHttp2Stream>();
  const created = (message: unknown) => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
    const socket = stream.session?.socket;
    if (socket === undefined || connectionOf(socket) === undefined) return;
    ours.add(stream);
    settle(headers);
    stream.once('finish', () => endSoon(stream));
  };
  const finished = (message: unknown) => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: OutgoingHttpHeaders };
    if (!ours.has(stream)) return;
    const refusal = refusalIn(headers);
    if (refusal !== undefined) refused(refusal);
  };
  subscribe(CREATED, created);
  subscribe(FINISHED, finished);
  return () => {
    unsubscribe(CREATED, created);
    unsubscribe(FINISHED, finished);
  };
}

function refusalIn(headers: OutgoingHttpHeaders): LibraryRefusal | undefined {
  if (Number(headers[constants.HTTP2_HEADER_STATUS]) === constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
    return { reason: 'CONTENT_TYPE_UNSUPPORTED', code: 'INVALID_ARGUMENT' };
  const code = Number(headers['grpc-status'] ?? 0);
  const reason = REASONS[code];
  if (reason === undefined || headers[DETAILS] !== undefined) return undefined;
  return { reason, code: Code[code] ?? 'UNKNOWN' };
}

function endSoon(stream: ServerHttp2Stream): void {
  if (stream.closed || stream.readableEnded) return;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), GRACE_MS);
  timer.unref();
  stream.once('close', () => clearTimeout(timer));
}
