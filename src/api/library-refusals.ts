/**
 * What grpc-js answers by itself: messages that are missing, too large, or cannot be read, and deadlines that have passed. It tells no handler and no
 * interceptor, so the streams of HTTP/2 are looked at, their headers before it sees them. Also ends streams that were answered and whose callers go on:
 * what they have sent would stay in memory for as long as they like.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { status as Code } from '@grpc/grpc-js';
import { Failure, type FailureKind } from '../failure.ts';
import type { Connection } from '../network/connections.ts';
import type { Peer } from './grpc-listener.ts';
import { toServiceError } from './status.ts';

/** Time to end a stream for a caller who has the answer, in milliseconds. */
const GRACE_MS = 1000;
/** Statuses that handlers end calls with carry details; those of grpc-js get them here. */
const DETAILS = 'grpc-status-details-bin';
const MESSAGE = 'grpc-message';
const CREATED = 'http2.server.stream.created';

const REASONS: Partial<Record<number, readonly [FailureKind, string]>> = {
  [Code.UNKNOWN]: ['internal', 'INTERNAL_ERROR'],
  [Code.DEADLINE_EXCEEDED]: ['deadline-exceeded', 'DEADLINE_EXCEEDED'],
  [Code.RESOURCE_EXHAUSTED]: ['resource-exhausted', 'MESSAGE_TOO_LARGE'],
  [Code.UNIMPLEMENTED]: ['unimplemented', 'CALL_UNSUPPORTED'],
  [Code.INTERNAL]: ['internal', 'MESSAGE_UNREADABLE'],
};

export interface LibraryRefusal {
  readonly reason: string;
  /** Name of the gRPC status. */
  readonly code: string;
  /** Path of the method. */
  readonly path: string;
  /** Whether an answer had begun. */
  readonly hasBegun: boolean;
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
  const created = (message: unknown) => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
    const socket = stream.session?.socket;
    if (socket === undefined || connectionOf(socket) === undefined) return;
    settle(headers);
    completeStatus(stream, headers[':path'] ?? '', refused);
    stream.once('finish', () => endSoon(stream));
  };
  subscribe(CREATED, created);
  return () => void unsubscribe(CREATED, created);
}

/** Looks at what a call ends with, and adds the details where there are none. */
function completeStatus(stream: ServerHttp2Stream, path: string, refused: (refusal: LibraryRefusal) => void): void {
  const respond = stream.respond.bind(stream);
  const sendTrailers = stream.sendTrailers.bind(stream);
  const send = (headers: OutgoingHttpHeaders, write: (complete: OutgoingHttpHeaders) => void) => {
    const refusal = refusalIn(headers);
    const hasBegun = stream.headersSent;
    write(refusal?.details === undefined ? headers : { ...headers, ...refusal.details });
    if (refusal !== undefined) refused({ reason: refusal.reason, code: refusal.code, path, hasBegun });
  };
  stream.respond = (headers, options) => {
    if (headers === undefined || Array.isArray(headers)) respond(headers, options);
    else send(headers as OutgoingHttpHeaders, (complete) => respond(complete, options));
  };
  stream.sendTrailers = (trailers) => send(trailers, sendTrailers);
}

interface Refused extends Pick<LibraryRefusal, 'reason' | 'code'> {
  readonly details?: OutgoingHttpHeaders;
}

function refusalIn(headers: OutgoingHttpHeaders): Refused | undefined {
  if (Number(headers[constants.HTTP2_HEADER_STATUS]) === constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
    return { reason: 'CONTENT_TYPE_UNSUPPORTED', code: 'INVALID_ARGUMENT' };
  const code = Number(headers['grpc-status'] ?? 0);
  const known = REASONS[code];
  if (known === undefined || headers[DETAILS] !== undefined) return undefined;
  const [kind, reason] = known;
  const sentence = decodeURI(String(headers[MESSAGE] ?? ''));
  const [details] = toServiceError(new Failure(kind, reason, sentence)).metadata.get(DETAILS);
  return { reason, code: Code[code] ?? 'UNKNOWN', details: { [DETAILS]: (details as Buffer).toString('base64') } };
}

function endSoon(stream: ServerHttp2Stream): void {
  if (stream.closed || stream.readableEnded) return;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), GRACE_MS);
  timer.unref();
  stream.once('close', () => clearTimeout(timer));
}
