import type { IncomingMessage } from 'node:http';
import { Failure } from '../failure.ts';
import type { ByteBudget } from '../network/byte-budget.ts';

const FIRST_BYTES = 4096;

/** A body, and what of the budget it takes until `release`. */
export interface ReceivedBody {
  readonly bytes: Uint8Array;
  release(): void;
}

/**
 * Reads a body into one piece of memory: parts of a byte each would hold a hundred times what they bring.
 * @throws Failure BODY_TOO_LARGE, TOO_MANY_BODIES, CALLER_GONE; what is still to come is then read and forgotten
 */
export function readBody(request: IncomingMessage, most: number, budget: ByteBudget): Promise<ReceivedBody> {
  const tooLarge = () =>
    new Failure('invalid-argument', 'BODY_TOO_LARGE', `The body has more than ${most} bytes.`, {
      metadata: { most_bytes: String(most) },
    });
  // What a caller announces is taken as soon as it comes, not before: announcing costs nothing.
  if (Number(request.headers['content-length'] ?? 0) > most) {
    request.resume();
    return Promise.reject(tooLarge());
  }
  return new Promise((resolve, reject) => {
    let memory = Buffer.alloc(0);
    let used = 0;
    let ended = false;
    const release = () => {
      budget.give(memory.length);
      memory = Buffer.alloc(0);
    };
    const refuse = (failure: Failure) => {
      if (ended) return;
      ended = true;
      release();
      request.removeListener('data', take);
      request.resume();
      reject(failure);
    };
    const take = (part: Buffer) => {
      const needed = used + part.length;
      if (needed > most) return refuse(tooLarge());
      if (needed > memory.length) {
        const capacity = Math.min(most, Math.max(FIRST_BYTES, needed, 2 * memory.length));
        if (!budget.take(capacity)) {
          const sentence = 'The bodies that are being received take all the memory that they may: try again later.';
          return refuse(new Failure('resource-exhausted', 'TOO_MANY_BODIES', sentence, { retryAfterMs: 1000 }));
        }
        const larger = Buffer.allocUnsafeSlow(capacity);
        memory.copy(larger, 0, 0, used);
        budget.give(memory.length);
        memory = larger;
      }
      part.copy(memory, used);
      used = needed;
    };
    const gone = () =>
      refuse(new Failure('cancelled', 'CALLER_GONE', 'The caller hung up before the body was complete.'));
    request.on('data', take);
    request.on('end', () => {
      if (ended) return;
      ended = true;
      resolve({ bytes: memory.subarray(0, used), release });
    });
    request.on('error', gone);
    request.on('close', gone);
  });
}
