/**
 * Reports the calls that grpc-js refuses by itself: missing, oversized or undecodable messages, and passed deadlines.
 * grpc-js informs neither handlers nor interceptors of these refusals, so this module observes the HTTP/2 streams; it
 * sees the headers of a call before grpc-js does. It also closes answered streams whose callers keep sending: what they
 * send would stay in memory without a time limit.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { status as Code } from '@grpc/grpc-js';
import { Failure, type FailureKind } from '../failure.ts';
import type { Connection, Peer } from '../network/connections.ts';
import { toServiceError } from './status.ts';

/** Time for a caller to end its stream after the answer, in milliseconds. */
const GRACE_MS = 1000;
/** Handlers end calls with a status that has details. The statuses of grpc-js get theirs here. */
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
  /** Whether the answer had begun. */
  readonly hasBegun: boolean;
}

/**
 * Starts observing the streams of one server.
 * @param connectionOf - finds a connection of this server; undefined for other servers
 * @param settle - reads and may change the headers of a call before grpc-js does
 * @returns stops it
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

/** Observes the status of a call, and adds details if it has none. */
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
