/** Identify over HTTP, in JSON: the same search, under the same rules, for callers without gRPC on the same machine. */
import { randomUUID } from 'node:crypto';
import { status as Code, type handleUnaryCall, type ServerUnaryCall, type ServiceError } from '@grpc/grpc-js';
import type { HttpSearch } from '../observability/http-server.ts';
import type { CallObserver } from './call.ts';
import { IdentifyResponse, type IdentifyRequest } from './generated/ridgewatch/v1/identification.ts';
import { readIdentifyRequest } from './json-requests.ts';
import { toProtoJson } from './proto-json.ts';
import { asFailure, readServiceError, toServiceError } from './status.ts';

/** As google.rpc.Code maps them. */
const HTTP_STATUS: Partial<Record<Code, number>> = {
  [Code.INVALID_ARGUMENT]: 400,
  [Code.FAILED_PRECONDITION]: 400,
  [Code.UNAUTHENTICATED]: 401,
  [Code.PERMISSION_DENIED]: 403,
  [Code.NOT_FOUND]: 404,
  [Code.ABORTED]: 409,
  [Code.RESOURCE_EXHAUSTED]: 429,
  [Code.CANCELLED]: 499,
  [Code.UNAVAILABLE]: 503,
  [Code.DEADLINE_EXCEEDED]: 504,
};

interface Outcome {
  /** As grpc-js would send it; null: there is none. */
  readonly error: unknown;
  readonly response: IdentifyResponse | null | undefined;
}

/**
 * Calls the gRPC method from within, so that nothing about it is another: rules, admission, log, metrics.
 * @param observe - told of requests that cannot be read; of the others the method tells it
 */
export function httpIdentify(
  identify: handleUnaryCall<IdentifyRequest, IdentifyResponse>,
  observe: CallObserver,
): HttpSearch {
  return async (body, deadline, onHangUp) => {
    const started = performance.now();
    let request: IdentifyRequest;
    try {
      request = readIdentifyRequest(body);
    } catch (thrown) {
      const failure = asFailure(thrown);
      const error = toServiceError(failure);
      observe({
        method: 'Identification/Identify',
        requestId: randomUUID(),
        code: Code[error.code],
        reason: failure.reason,
        seconds: (performance.now() - started) / 1000,
        facts: {},
        defect: failure.kind === 'internal' ? thrown : undefined,
      });
      return refusal(error);
    }
    const { error, response } = await new Promise<Outcome>((resolve) => {
      const call = {
        request,
        getDeadline: () => deadline,
        // Nobody has shown a certificate.
        getAuthContext: () => ({}),
        on: (_: 'cancelled', listener: () => void) => onHangUp(listener),
        off: () => undefined,
      };
      identify(call as unknown as ServerUnaryCall<IdentifyRequest, IdentifyResponse>, (error, response) =>
        resolve({ error, response }),
      );
    });
    if (error !== null || !response) return refusal(error);
    return { status: 200, document: toProtoJson(IdentifyResponse.toJSON(response)) };
  };
}

function refusal(thrown: unknown): Awaited<ReturnType<HttpSearch>> {
  const error = isServiceError(thrown) ? thrown : toServiceError(asFailure(thrown));
  const { code, message, reason, violations, retryAfterMs } = readServiceError(error);
  return {
    status: HTTP_STATUS[code as Code] ?? 500,
    document: { error: { code: Code[code], message, reason, violations, retry_after_ms: retryAfterMs } },
  };
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'metadata' in thrown;
}
