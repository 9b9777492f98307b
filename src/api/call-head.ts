/**
 * The headers that a call begins with. grpc-js refuses what it does not understand of them in words of the caller's, of any
 * length, and blames itself for some of it; other times it misreads. So they are looked at before it sees them: a call that
 * is to be refused is led to a method that does so. It would also keep them all for as long as the call is open, and HPACK
 * has a header that was sent once repeated with a byte: so headers that are not needed are dropped at once.
 */
import type { IncomingHttpHeaders } from 'node:http2';
import type { handleBidiStreamingCall, Server } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { toServiceError } from './status.ts';

const PATH = ':path';
const TIMEOUT = 'grpc-timeout';
/** What grpc-js is left; compressions are dealt with before it. */
const NEEDED: ReadonlySet<string> = new Set([PATH, ':method', ':scheme', ':authority', 'content-type', 'te', TIMEOUT]);
/** What gRPC takes elsewhere, too. */
const MAX_HEAD_BYTES = 8192;
/** What a header counts beside its name and value: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2 */
const HEADER_BYTES = 32;
/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests */
const TIMEOUT_VALUE = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** grpc-js, and timers, count milliseconds in 31 bits; beyond, a long time would be over at once. */
const MAX_MS = 2 ** 31 - 1;
const LONGEST = `${Math.floor(MAX_MS / 3_600_000)}H`;

const REFUSALS = new Map<string, Failure>(
  [
    new Failure(
      'resource-exhausted',
      'HEADERS_TOO_LARGE',
      `The headers of a call may have ${MAX_HEAD_BYTES} bytes together, and ${HEADER_BYTES} count for each beside its name and value.`,
      { metadata: { most_bytes: String(MAX_HEAD_BYTES) } },
    ),
    new Failure('unimplemented', 'CALL_UNSUPPORTED', 'The server has no method of this name.'),
    new Failure(
      'invalid-argument',
      'TIMEOUT_INVALID',
      'grpc-timeout must be a whole number of one to eight digits and a unit, one of H, M, S, m, u and n.',
    ),
    new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', 'The deadline had passed when the call came.'),
  ].map((failure) => [failure.reason, failure]),
);
const pathOf = (reason: string) => `/refused/${reason}`;

/** Adds the methods that refuse. @param refused - told of each call that is */
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
 * Brings the headers of a call into a form that grpc-js understands, or leads it to its refusal.
 * @param paths - of the methods that there are
 */
export function normaliseHead(headers: IncomingHttpHeaders, paths: ReadonlySet<string>): void {
  const isTooLarge = headBytes(headers) > MAX_HEAD_BYTES;
  for (const name of Object.keys(headers)) if (!NEEDED.has(name)) Reflect.deleteProperty(headers, name);
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
  // grpc-js would end the call before anybody has seen it.
  headers[PATH] = pathOf('DEADLINE_EXCEEDED');
  delete headers[TIMEOUT];
}

/** Bytes of what HTTP/2 itself keeps of the headers for as long as a call is open. */
export function keptBytes(headers: IncomingHttpHeaders): number {
  return (headers[':authority']?.length ?? 0) + (headers[':scheme']?.length ?? 0);
}

/** Of a header that came more than once, all values are in one. */
function headBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers))
    for (const one of [value].flat()) bytes += name.length + (one?.length ?? 0) + HEADER_BYTES;
  return bytes;
}
