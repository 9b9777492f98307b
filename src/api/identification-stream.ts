import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { reported, type CallContext, type CallSettings } from './call.ts';
import { followCall } from './followed-call.ts';
import type {
  IdentifyRequest,
  IdentifyResponse,
  IdentifyStreamRequest,
  IdentifyStreamResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import { toServiceError, toStatus } from './status.ts';
import { doneWith, faultOf, oweAnother } from './watched-call.ts';
import { answerTo, requestOf, WireRequest } from './wire-request.ts';

const METHOD = 'Identification/IdentifyStream';
/**
 * Searches of a stream that run or whose answers the caller has not read. At this number the service stops reading the
 * stream.
 */
const STREAM_WINDOW = 16;
/** Field numbers of `request.client_request_id`. */
const REQUEST_ID_PATH = [1, 9];
/** Size limit of an id, in bytes. */
const MAX_REQUEST_ID_BYTES = 64;

type Message = IdentifyStreamRequest | WireRequest<IdentifyStreamRequest, IdentifyStreamResponse>;
type Search = (
  request: IdentifyRequest,
  context: CallContext,
  tellEarly: (early: IdentifyResponse) => void,
) => Promise<IdentifyResponse>;

/**
 * Answers the searches of a stream, each when it completes, and some of them early as well. A failed search gets an error answer, and the stream
 * continues. If the caller does not read answers, the service stops reading requests. Bytes that are not a message end
 * the stream after the answers to earlier searches: the fault is sent as a last answer and as the status.
 */
export function answerStream(
  call: ServerDuplexStream<IdentifyStreamRequest, IdentifyStreamResponse>,
  settings: CallSettings,
  search: Search,
): void {
  const followed = followCall(call, settings, false);
  const { signal, release } = followed;
  const fault = faultOf(call.metadata);
  const underWay = new Set<string>();
  let untaken = 0;
  /** Searches that have not been reported yet. */
  let working = 0;
  let ended = false;
  const finish = () => {
    if (!ended || untaken > 0) return;
    release();
    const why = fault();
    if (why === undefined) call.end();
    else call.emit('error', toServiceError(why));
  };
  const taken = () => {
    untaken--;
    if (untaken < STREAM_WINDOW && call.isPaused()) call.resume();
    finish();
  };
  const answer = async (message: Message) => {
    let requestId = '';
    let isOwner = false;
    working++;
    const outcome = await reported(METHOD, followed, settings, async (context) => {
      requestId = idOf(message);
      const { request } = requestOf(message);
      requestId = request?.clientRequestId ?? '';
      const repeated = underWay.has(requestId);
      if (!repeated) underWay.add(requestId);
      isOwner = !repeated;
      if (request === undefined || requestId === '') {
        const sentence = 'Every search of a stream needs a client_request_id.';
        throw new Failure('invalid-argument', 'REQUEST_ID_REQUIRED', sentence, { field: 'request.client_request_id' });
      }
      if (repeated) {
        const sentence = 'An unanswered search of this stream has the same client_request_id.';
        throw new Failure('invalid-argument', 'REQUEST_ID_IN_USE', sentence, { field: 'request.client_request_id' });
      }
      const answerWith = (value: IdentifyResponse) =>
        answerTo<IdentifyStreamResponse>(message, { requestId, outcome: { $case: 'response', value } });
      return answerWith(await search(request, context, (early) => tellFirst(answerWith(early))));
    });
    working--;
    if (isOwner) underWay.delete(requestId);
    doneWith(message);
    tell('response' in outcome ? outcome.response : refusal(requestId, outcome.failure));
  };
  const tell = (response: IdentifyStreamResponse) => {
    if (!signal.aborted && call.writable) call.write(response, taken);
  };
  /** An early answer counts as one more that the caller has to take. The search is still to be answered. */
  const tellFirst = (response: IdentifyStreamResponse) => {
    if (signal.aborted || !call.writable) return;
    if (++untaken >= STREAM_WINDOW) call.pause();
    oweAnother(call.metadata);
    call.write(response, taken);
  };
  const tellFault = async (why: Failure) => {
    untaken++;
    await reported(METHOD, followed, settings, () => Promise.reject(why));
    tell(refusal('', why));
  };
  call.on('data', (message: Message) => {
    if (++untaken >= STREAM_WINDOW) call.pause();
    void answer(message);
  });
  call.on('end', () => {
    ended = true;
    const why = fault();
    if (why === undefined) finish();
    else void tellFault(why);
  });
  call.on('error', () => release());
  const aborted = () => {
    release();
    const why = signal.reason as Failure;
    // The watch over the call ends it otherwise.
    if (why.kind === 'unauthenticated') call.emit('error', toServiceError(why));
    // Searches in progress report the end themselves.
    if (working === 0 && why.reason === 'DEADLINE_EXCEEDED')
      void reported(METHOD, followed, settings, () => Promise.reject(why));
  };
  signal.addEventListener('abort', aborted, { once: true });
}

function refusal(requestId: string, failure: Failure): IdentifyStreamResponse {
  return { requestId, outcome: { $case: 'error', value: toStatus(failure) } };
}

/** Extracted from the bytes, so that the id is known even if the search cannot be decoded. */
function idOf(message: Message): string {
  if (!(message instanceof WireRequest)) return message.request?.clientRequestId ?? '';
  return message.findText(REQUEST_ID_PATH, MAX_REQUEST_ID_BYTES) ?? '';
}
