import { Failure, type FailureKind } from '../failure.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** The allowed methods, after a request with another one. */
  readonly allow?: string;
  /** Whether the connection ends after this answer. */
  readonly closes?: boolean;
}

export function json(status: number, body: object): Answer {
  return jsonText(status, JSON.stringify(body));
}

/** An answer whose text already is JSON. */
export function jsonText(status: number, text: string): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${text}\n` };
}

/** A request refused before it becomes a call. */
export class HttpRefusal extends Error {
  readonly status: number;
  readonly failure: Failure;
  readonly #more: Pick<Answer, 'allow' | 'closes'>;

  /** @param more - further parts of the answer */
  constructor(status: number, failure: Failure, more: Pick<Answer, 'allow' | 'closes'> = {}) {
    super(failure.message);
    this.status = status;
    this.failure = failure;
    this.#more = more;
  }

  get answer(): Answer {
    const { kind, reason, message, detail } = this.failure;
    const { retryAfterMs } = detail;
    const error = { code: codeOf(kind), message, reason, ...(retryAfterMs && { retry_after_ms: retryAfterMs }) };
    return { ...json(this.status, { error }), ...this.#more };
  }
}

const STATUS: Partial<Record<string, number>> = {
  HOST_REFUSED: 403,
  ORIGIN_REFUSED: 403,
  CONTENT_TYPE_UNSUPPORTED: 415,
  BODY_TOO_LARGE: 413,
  TOO_MANY_BODIES: 503,
  CALLER_GONE: 499,
  NOT_READY: 503,
};

const STATUS_OF_KIND: Partial<Record<FailureKind, number>> = { unauthenticated: 401, 'permission-denied': 403 };

/** Turns anything thrown during a request into a refusal. */
export function toRefusal(thrown: unknown): HttpRefusal {
  if (thrown instanceof HttpRefusal) return thrown;
  if (thrown instanceof Failure)
    return new HttpRefusal(STATUS[thrown.reason] ?? STATUS_OF_KIND[thrown.kind] ?? 400, thrown);
  const sentence = 'Internal error; the service has logged it.';
  return new HttpRefusal(500, new Failure('internal', 'INTERNAL_ERROR', sentence, { cause: thrown }));
}

/** @param sentence - lists the existing paths */
export function unknownPath(sentence: string): HttpRefusal {
  return new HttpRefusal(404, new Failure('not-found', 'PATH_UNKNOWN', sentence));
}

export function wrongMethod(allow: string): HttpRefusal {
  return new HttpRefusal(405, new Failure('invalid-argument', 'METHOD_NOT_ALLOWED', `Use ${allow}.`), { allow });
}

export function pipelined(): HttpRefusal {
  const sentence = 'A connection has one request at a time: send the next one after the answer to the one before.';
  return new HttpRefusal(400, new Failure('invalid-argument', 'HTTP_PIPELINED', sentence), { closes: true });
}

export function tooManyAnswers(): HttpRefusal {
  const sentence = 'The answers that have not been taken yet take all the memory that they may: try again later.';
  const failure = new Failure('resource-exhausted', 'TOO_MANY_ANSWERS', sentence, { retryAfterMs: 1000 });
  return new HttpRefusal(503, failure);
}

/** The refusal for an error code of Node.js about an unreadable request. */
export function unreadable(code: string | undefined): HttpRefusal {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpRefusal(
        408,
        new Failure('deadline-exceeded', 'HTTP_TIMEOUT', 'The request did not arrive in time.'),
      );
    case 'HPE_HEADER_OVERFLOW':
      return new HttpRefusal(431, new Failure('invalid-argument', 'HTTP_HEAD_TOO_LARGE', 'The headers are too large.'));
    case 'HPE_INVALID_EOF_STATE':
      return new HttpRefusal(400, new Failure('cancelled', 'CALLER_GONE', 'The request ended before it was complete.'));
    default:
      return new HttpRefusal(
        400,
        new Failure('invalid-argument', 'HTTP_MALFORMED', 'This is not a request of HTTP/1.1.'),
        // The start of the next request is unknown.
        { closes: true },
      );
  }
}

/** The name in google.rpc.Code. */
function codeOf(kind: FailureKind): string {
  return kind.toUpperCase().replaceAll('-', '_');
}
