/** Headers that concern every request, whatever its path. */
import type { IncomingMessage } from 'node:http';
import { Failure } from '../failure.ts';
import { HttpRefusal, unreadable } from './answers.ts';

/** The caller's deadline, in milliseconds. */
const TIMEOUT_HEADER = 'x-timeout-ms';
/** Up to eleven days. `Number` also accepts `0x10`, `Infinity` and `1e308`; these are refused. */
const MILLISECONDS = /^\d{1,9}(?:\.\d{1,9})?$/;

/**
 * Node.js accepts any transfer encoding that ends with `chunked`, and any expectation that contains `100-continue`.
 * @throws HttpRefusal HTTP_MALFORMED, EXPECTATION_UNKNOWN
 */
export function requireReadable({ headers, httpVersion }: IncomingMessage): void {
  if (httpVersion === '1.1' && headers.host === undefined) throw unreadable(undefined);
  const encoding = headers['transfer-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'chunked') throw unreadable(undefined);
  if (httpVersion !== '1.1' || headers.expect === undefined) return;
  if (headers.expect.trim().toLowerCase() === '100-continue') return;
  const sentence = 'Only the expectation 100-continue is known.';
  throw new HttpRefusal(417, new Failure('invalid-argument', 'EXPECTATION_UNKNOWN', sentence));
}

/**
 * The caller's deadline in milliseconds; Infinity: not stated.
 * @throws Failure TIMEOUT_INVALID
 */
export function timeoutOf(request: IncomingMessage): number {
  const value = request.headers[TIMEOUT_HEADER];
  if (value === undefined) return Infinity;
  const timeout = MILLISECONDS.test(String(value)) ? Number(value) : 0;
  if (timeout > 0) return timeout;
  const sentence = 'It is not a number of milliseconds, in one to nine decimal digits and more than zero.';
  throw new Failure('invalid-argument', 'TIMEOUT_INVALID', sentence, { field: TIMEOUT_HEADER });
}
