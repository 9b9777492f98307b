/**
 * The only error class of the service. A failure has a kind (it becomes the gRPC status), a constant reason that
 * programs can test, the field of the request it concerns, and a sentence for humans. The sentence never contains
 * biometric or identity data: failures are logged.
 */
export type FailureKind =
  | 'invalid-argument'
  | 'failed-precondition'
  | 'not-found'
  | 'already-exists'
  | 'permission-denied'
  | 'unauthenticated'
  | 'resource-exhausted'
  | 'deadline-exceeded'
  | 'cancelled'
  | 'aborted'
  | 'unavailable'
  | 'unimplemented'
  | 'internal';

export interface FailureDetail {
  /** Path of the request's field, e.g. `samples[0].data`. */
  readonly field?: string;
  /** Every invalid field, if there can be several. */
  readonly violations?: readonly { readonly field: string; readonly description: string }[];
  /** Further facts for programs, e.g. `{ byte_offset: '28' }`. Never biometric data. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class Failure extends Error {
  readonly kind: FailureKind;
  /** Constant in UPPER_SNAKE_CASE; docs/errors.md lists them all. */
  readonly reason: string;
  readonly detail: FailureDetail;

  constructor(kind: FailureKind, reason: string, message: string, detail: FailureDetail = {}) {
    super(message, { cause: detail.cause });
    this.name = 'Failure';
    this.kind = kind;
    this.reason = reason;
    this.detail = detail;
  }

  /** This failure with its field inside another: `samples[0]` + `data` = `samples[0].data`. */
  within(path: string): Failure {
    const inner = this.detail.field;
    const field = inner === undefined ? path : inner.startsWith('[') ? path + inner : `${path}.${inner}`;
    return new Failure(this.kind, this.reason, this.message, { ...this.detail, field });
  }
}

/**
 * Converts anything thrown into a failure. Everything except a Failure is a defect: its message may quote data and is
 * withheld from the caller.
 */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure('internal', 'INTERNAL_ERROR', 'Internal error; the service has logged it.', {
    cause: thrown,
  });
}
