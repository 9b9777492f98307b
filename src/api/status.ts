import { Metadata, status as Code } from '@grpc/grpc-js';
import type { Failure, FailureKind } from '../failure.ts';
import type { Any } from '../contract/generated/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RetryInfo } from '../contract/generated/google/rpc/error_details.ts';
import { Status } from '../contract/generated/google/rpc/status.ts';
import { toDuration } from '../contract/wire-duration.ts';

/** Domain of the reasons in google.rpc.ErrorInfo. */
const DOMAIN = 'ridgewatch';
/** Trailer that carries the google.rpc.Status. */
const DETAILS_TRAILER = 'grpc-status-details-bin';

const CODES: Record<FailureKind, Code> = {
  'invalid-argument': Code.INVALID_ARGUMENT,
  'failed-precondition': Code.FAILED_PRECONDITION,
  'not-found': Code.NOT_FOUND,
  'already-exists': Code.ALREADY_EXISTS,
  'permission-denied': Code.PERMISSION_DENIED,
  unauthenticated: Code.UNAUTHENTICATED,
  'resource-exhausted': Code.RESOURCE_EXHAUSTED,
  'deadline-exceeded': Code.DEADLINE_EXCEEDED,
  cancelled: Code.CANCELLED,
  aborted: Code.ABORTED,
  unavailable: Code.UNAVAILABLE,
  unimplemented: Code.UNIMPLEMENTED,
  internal: Code.INTERNAL,
};

/** Name of the gRPC status for a failure. */
export function statusName({ kind }: Failure): string {
  return Code[CODES[kind]];
}

/**
 * Size limits for the details of a failure. Many clients accept eight kilobytes of trailers and close the connection
 * above that, and the trailers contain the sentence twice. Violations that are left out are counted.
 */
interface Extent {
  readonly sentenceBytes: number;
  readonly violations: number;
  readonly violationBytes: number;
  readonly metadataBytes: number;
}
const IN_TRAILERS: Extent = { sentenceBytes: 600, violations: 16, violationBytes: 1600, metadataBytes: 600 };
/** For the outcomes of a stream, whose answer holds thousands of them. */
const AMONG_OUTCOMES: Extent = { sentenceBytes: 160, violations: 1, violationBytes: 200, metadataBytes: 100 };
/** Size limit of the encoded status of a refused record, in bytes; checked by a test. */
export const MAX_OUTCOME_STATUS_BYTES = 900;

/** The status of a failed call, with details. */
export function toStatus(failure: Failure): Status {
  return statusWithin(failure, IN_TRAILERS);
}

/** The shortened status of a refused record in a stream. */
export function toShortStatus(failure: Failure): Status {
  return statusWithin(failure, AMONG_OUTCOMES);
}

function statusWithin(failure: Failure, extent: Extent): Status {
  const { field, violations, metadata, retryAfterMs } = failure.detail;
  const fields = violations ?? (field === undefined ? [] : [{ field, description: failure.message }]);
  const named = within(fields, extent);
  const leftOut = fields.length - named.length;
  const info = {
    reason: failure.reason,
    domain: DOMAIN,
    metadata: {
      ...boundedMetadata(metadata ?? {}, extent.metadataBytes),
      ...(leftOut > 0 && { violations_left_out: String(leftOut) }),
    },
  };
  const details = [pack('google.rpc.ErrorInfo', ErrorInfo, info)];
  if (named.length > 0) {
    const fieldViolations = named.map((violation) => ({ ...violation, reason: failure.reason }));
    details.push(pack('google.rpc.BadRequest', BadRequest, { fieldViolations }));
  }
  if (retryAfterMs !== undefined) {
    details.push(pack('google.rpc.RetryInfo', RetryInfo, { retryDelay: toDuration(retryAfterMs) }));
  }
  const sentence = field === undefined ? failure.message : `${field}: ${failure.message}`;
  const more = leftOut > 0 && violations !== undefined ? `; and ${leftOut} more` : '';
  return {
    code: CODES[failure.kind],
    message: shortened(sentence, extent.sentenceBytes - more.length) + more,
    details,
  };
}

type Violation = { readonly field: string; readonly description: string };

/** The first violations that fit the limits. */
function within(violations: readonly Violation[], { violations: most, violationBytes }: Extent): Violation[] {
  const named: Violation[] = [];
  let left = violationBytes;
  for (const { field, description } of violations.slice(0, most)) {
    if (left < 40) break;
    const one = {
      field: shortened(field, Math.ceil(left / 3)),
      description: shortened(description, Math.ceil(left / 2)),
    };
    left -= Buffer.byteLength(one.field) + Buffer.byteLength(one.description);
    named.push(one);
  }
  return named;
}

function boundedMetadata(metadata: Readonly<Record<string, string>>, bytes: number): Record<string, string> {
  const kept: Record<string, string> = {};
  let left = bytes;
  for (const [key, value] of Object.entries(metadata)) {
    left -= key.length;
    if (left <= 0) break;
    kept[key] = shortened(value, left);
    left -= Buffer.byteLength(kept[key]);
  }
  return kept;
}

const ELLIPSIS = '…';

/**
 * Shortens text to a number of bytes without splitting characters. Replaces lone surrogates, which cannot be encoded.
 */
function shortened(text: string, bytes: number): string {
  // Every character takes at least one byte, so the rest cannot fit.
  const whole = text.slice(0, bytes + 1).toWellFormed();
  if (whole.length === text.length && Buffer.byteLength(whole) <= bytes) return whole;
  let [kept, left] = ['', bytes - Buffer.byteLength(ELLIPSIS)];
  for (const character of whole) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    kept += character;
  }
  return kept + ELLIPSIS;
}

/** The error that grpc-js expects: code, sentence, and the details as a trailer. */
export function toServiceError(failure: Failure): { code: Code; details: string; metadata: Metadata } {
  const status = toStatus(failure);
  const metadata = new Metadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(Status.encode(status).finish()));
  if (failure.detail.retryAfterMs !== undefined) {
    metadata.set('retry-after-ms', String(Math.ceil(failure.detail.retryAfterMs)));
  }
  return { code: status.code, details: status.message, metadata };
}

/** A status as received by a client. */
export interface ReceivedStatus {
  readonly code: number;
  readonly message: string;
  /** ErrorInfo.reason; undefined if absent. */
  readonly reason: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** RetryInfo, in milliseconds; undefined if absent. */
  readonly retryAfterMs: number | undefined;
}

/** Reads the details of a google.rpc.Status. */
export function readStatus(status: Status): ReceivedStatus {
  let reason: string | undefined;
  let metadata: Record<string, string> = {};
  let retryAfterMs: number | undefined;
  const violations: { field: string; description: string }[] = [];
  for (const { typeUrl, value } of status.details) {
    if (typeUrl.endsWith('/google.rpc.ErrorInfo')) {
      const info = ErrorInfo.decode(value);
      reason = info.reason;
      metadata = info.metadata;
    } else if (typeUrl.endsWith('/google.rpc.BadRequest')) {
      violations.push(...BadRequest.decode(value).fieldViolations);
    } else if (typeUrl.endsWith('/google.rpc.RetryInfo')) {
      const { retryDelay } = RetryInfo.decode(value);
      retryAfterMs = retryDelay && retryDelay.seconds * 1000 + retryDelay.nanos / 1e6;
    }
  }
  return { code: status.code, message: status.message, reason, metadata, violations, retryAfterMs };
}

const NO_DETAILS = { reason: undefined, metadata: {}, violations: [], retryAfterMs: undefined } as const;

/** Reads the details of an error from a grpc-js client call. */
export function readServiceError(error: { code: number; details: string; metadata: Metadata }): ReceivedStatus {
  const [trailer] = error.metadata.get(DETAILS_TRAILER);
  if (trailer instanceof Uint8Array) return readStatus(Status.decode(trailer));
  return { code: error.code, message: error.details, ...NO_DETAILS };
}

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

function pack<T>(name: string, codec: Codec<T>, message: T): Any {
  return { typeUrl: `type.googleapis.com/${name}`, value: Buffer.from(codec.encode(message).finish()) };
}
