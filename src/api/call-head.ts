/**
 * Checks the headers of a call before grpc-js reads them. grpc-js rejects some headers with a message that quotes the
 * caller at any length, reports some of them as an internal error, and misreads others. A call with bad headers is
 * routed to a method that refuses it. grpc-js also keeps all headers for as long as the call is open, and HPACK lets a
 * caller repeat a header with a single byte; headers that are not needed are therefore deleted at once.
 */
import type { IncomingHttpHeaders } from 'node:http2';
import type { handleBidiStreamingCall, Server } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { toServiceError } from './status.ts';

const PATH = ':path';
const TIMEOUT = 'grpc-timeout';
const AUTHORIZATION = 'authorization';
/** Headers left for grpc-js and the gate. Compression headers are handled before. */
const NEEDED: ReadonlySet<string> = new Set(
  [PATH, ':method', ':scheme', ':authority', 'content-type', 'te'].concat(TIMEOUT, AUTHORIZATION),
);
/** More than "Bearer" and a token of the service. A longer value is kept as the empty one, refused as unreadable. */
const MAX_AUTHORIZATION_BYTES = 256;
/** "Bearer" and a signed token of the size that the service reads: three parts, with dots between. */
const MAX_SIGNED_BYTES = 7424;
const SIGNED = /^Bearer +[\w-]+\.[\w-]+\.[\w-]+$/i;
/** Usual limit of gRPC implementations. */
const MAX_HEAD_BYTES = 8192;
/** Overhead per header, besides its name and value: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2 */
const HEADER_BYTES = 32;
/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests */
const TIMEOUT_VALUE = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** grpc-js and timers count milliseconds in 31 bits: a longer timeout would expire at once. */
const MAX_MS = 2 ** 31 - 1;
const LONGEST = `${Math.floor(MAX_MS / 3_600_000)}H`;

const REFUSALS = new Map<string, Failure>(
  [
    new Failure(
      'resource-exhausted',
      'HEADERS_TOO_LARGE',
      `The headers of a call may have at most ${MAX_HEAD_BYTES} bytes: names, values and ${HEADER_BYTES} bytes of overhead per header.`,
      { metadata: { most_bytes: String(MAX_HEAD_BYTES) } },
    ),
    new Failure('unimplemented', 'CALL_UNSUPPORTED', 'The server has no method of this name.'),
    new Failure(
      'invalid-argument',
      'TIMEOUT_INVALID',
      'grpc-timeout must be one to eight digits followed by a unit: H, M, S, m, u or n.',
    ),
    new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', 'The deadline had passed when the call arrived.'),
  ].map((failure) => [failure.reason, failure]),
);
const pathOf = (reason: string) => `/refused/${reason}`;

/** Registers the methods that refuse calls. @param refused - called for each refused call */
export function addRefusals(server: Server, refused: (failure: Failure) => void): void {
  for (const [reason, failure] of REFUSALS) {
    const refuse: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      refused(failure);
      call.emit('error', toServiceError(failure));
    };
    const asItIs = (bytes: Buffer) => bytes;
    server.register(pathOf(reason), refuse, asItIs, asItIs, 'bidi');
  }
}

/**
 * Rewrites the headers of a call into a form that grpc-js understands, or routes the call to its refusal.
 * @param paths - paths of the existing methods
 */
export function normaliseHead(headers: IncomingHttpHeaders, paths: ReadonlySet<string>): void {
  const isTooLarge = headBytes(headers) > MAX_HEAD_BYTES;
  for (const name of Object.keys(headers)) if (!NEEDED.has(name)) Reflect.deleteProperty(headers, name);
  if (!isKept(headers[AUTHORIZATION] ?? '')) headers[AUTHORIZATION] = '';
  if (isTooLarge) {
    headers[PATH] = pathOf('HEADERS_TOO_LARGE');
    delete headers[TIMEOUT];
    return;
  }
  if (!paths.has(headers[PATH] ?? '')) headers[PATH] = pathOf('CALL_UNSUPPORTED');
  const timeout = headers[TIMEOUT];
  if (timeout === undefined) return;
  const [, digits, unit = ''] = TIMEOUT_VALUE.exec(String(timeout)) ?? [];
  if (digits === undefined) {
    headers[PATH] = pathOf('TIMEOUT_INVALID');
    delete headers[TIMEOUT];
    return;
  }
  const milliseconds = Number(digits) * (UNIT_MS[unit] ?? 1);
  if (milliseconds > MAX_MS) headers[TIMEOUT] = LONGEST;
  if (milliseconds >= 1) return;
  // grpc-js would end the call before any handler sees it.
  headers[PATH] = pathOf('DEADLINE_EXCEEDED');
  delete headers[TIMEOUT];
}

/** Until a call is let in, its header is in memory. */
function isKept(authorization: string): boolean {
  const { length } = authorization;
  return length <= MAX_AUTHORIZATION_BYTES || (length <= MAX_SIGNED_BYTES && SIGNED.test(authorization));
}

/** Bytes of the headers that HTTP/2 itself keeps for as long as the call is open. */
export function keptBytes(headers: IncomingHttpHeaders): number {
  return (headers[':authority']?.length ?? 0) + (headers[':scheme']?.length ?? 0);
}

/** The values of a repeated header come joined in one entry or as a list. */
function headBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers))
    for (const one of [value].flat()) bytes += name.length + (one?.length ?? 0) + HEADER_BYTES;
  return bytes;
}
