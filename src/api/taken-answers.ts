/** Sends the answers of a stream no faster than its caller takes them. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';

/** Time for a caller to take an answer, in milliseconds. */
const TAKING_MS = 30_000;

/** Resolves when the caller has room for the next answer. @throws Failure ANSWER_UNTAKEN; the reason of the signal */
export async function sendTaken<Response>(
  call: ServerWritableStream<unknown, Response>,
  response: Response,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (call.write(response)) return;
  const taken = Promise.withResolvers<undefined>();
  const late = () => taken.reject(untaken());
  const gone = () => taken.reject(signal.reason as Failure);
  const drained = () => taken.resolve(undefined);
  const timer = setTimeout(late, TAKING_MS);
  signal.addEventListener('abort', gone, { once: true });
  call.once('drain', drained);
  try {
    signal.throwIfAborted();
    await taken.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', gone);
    call.off('drain', drained);
  }
}

function untaken(): Failure {
  const sentence = `The caller did not take an answer within ${TAKING_MS / 1000} s: read on from the last position.`;
  return new Failure('deadline-exceeded', 'ANSWER_UNTAKEN', sentence);
}
