/**
 * Identify over HTTP with JSON, for callers without gRPC on the same machine. Same search and same rules as over gRPC.
 */
import { status as Code } from '@grpc/grpc-js';
import { json, jsonText, type Answer } from '../http/answers.ts';
import type { GatedRoute } from './http-access.ts';
import type { Failure } from '../failure.ts';
import { reported, type CallSettings } from './call.ts';
import { follow } from './followed-call.ts';
import type { AnswerIdentify } from './identification-service.ts';
import { identifyJson } from './identify-json.ts';
import { readIdentifyRequest } from '../contract/json-requests.ts';
import { readServiceError, toServiceError } from './status.ts';

export const IDENTIFY_PATH = '/v1/identify';

/** As specified for google.rpc.Code. */
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

/**
 * The route is reported under the name of the gRPC method, because it runs the same search.
 * @param maxAnswerBytes - size limit of an answer, as over gRPC
 */
export function identifyRoute(answer: AnswerIdentify, settings: CallSettings, maxAnswerBytes: number): GatedRoute {
  return async ({ body, deadlineMs, onHangUp }, admission, peer) => {
    const cancelled = (listener: () => void) => {
      onHangUp(listener);
      return () => undefined;
    };
    const followed = follow({ at: deadlineMs, cancelled, admission, peer: () => peer }, settings, true);
    const outcome = await reported('Identification/Identify', followed, settings, async (context) =>
      identifyJson(await answer(readIdentifyRequest(body), context), maxAnswerBytes, context.signal),
    );
    followed.release();
    if ('failure' in outcome) return refusal(outcome.failure);
    return jsonText(200, outcome.response);
  };
}

function refusal(failure: Failure): Answer {
  const { code, message, reason, violations, retryAfterMs } = readServiceError(toServiceError(failure));
  const error = { code: Code[code], message, reason, violations, retry_after_ms: retryAfterMs };
  return json(HTTP_STATUS[code as Code] ?? 500, { error });
}
