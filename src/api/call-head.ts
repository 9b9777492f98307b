/**
 * The headers that a call begins with. grpc-js refuses what it does not understand of them in words of the caller's, of any
 * length, and blames itself for some of it; other times it misreads. So they are looked at before it sees them: a call that
 * is to be refused is led to a method that does so.
 */
import type { IncomingHttpHeaders } from 'node:http2';
import type { handleBidiStreamingCall, Server } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { toServiceError } from './status.ts';

const PATH = ':path';
const TIMEOUT = 'grpc-timeout';
/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests */
const TIMEOUT_VALUE = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** grpc-js, and timers, count milliseconds in 31 bits; beyond, a long time would be over at once. */
const MAX_MS = 2 ** 31 - 1;
const LONGEST = `${Math.floor(MAX_MS / 3_600_000)}H`;

const REFUSALS = new Map<string, Failure>(
  [
    new Failure('unimplemented', 'CALL_UNSUPPORTED', 'The server has no method of this name.'),
    new Failure(
      'invalid-argument',
      'TIMEOUT_INVALID',
      'grpc-timeout must be a whole number of one to eight digits and a unit, one of H, M, S, m, u and n.',
    ),
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
  if (!paths.has(headers[PATH] ?? '')) headers[PATH] = pathOf('CALL_UNSUPPORTED');
  const timeout = headers[TIMEOUT];
  if (timeout === undefined) return;
  const [, digits, unit = ''] = TIMEOUT_VALUE.exec(String(timeout)) ?? [];
  if (digits === undefined) {
    headers[PATH] = pathOf('TIMEOUT_INVALID');
    delete headers['grpc-timeout'];
  } else if (Number(digits) * (UNIT_MS[unit] ?? 1) > MAX_MS) headers[TIMEOUT] = LONGEST;
}
