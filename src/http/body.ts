import type { IncomingMessage } from 'node:http';
import { Failure } from '../failure.ts';
import type { ByteBudget } from '../network/byte-budget.ts';

/** Smallest and largest page. Each page is as large as all before it: a small body takes little memory. */
const MIN_PAGE_BYTES = 4096;
const MAX_PAGE_BYTES = 65_536;

/** A body. It counts in the budget until `release`. */
export interface ReceivedBody {
  readonly bytes: Uint8Array;
  release(): void;
}

/** Received bytes of a body, in pages: kept as parts of one byte each, a body would take a hundred times its size. */
class Pages {
  readonly #budget: ByteBudget;
  #pages: Buffer[] = [];
  /** Bytes used in the last page. */
  #used = 0;
  #held = 0;
  length = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** @returns whether there was room */
  add(part: Buffer): boolean {
    for (let at = 0; at < part.length;) {
      let page = this.#pages.at(-1);
      if (page === undefined || this.#used === page.length) {
        page = this.#take(Math.min(MAX_PAGE_BYTES, Math.max(MIN_PAGE_BYTES, this.length)));
        if (page === undefined) return false;
        this.#pages.push(page);
        this.#used = 0;
      }
      const copied = part.copy(page, this.#used, at);
      this.#used += copied;
      this.length += copied;
      at += copied;
    }
    return true;
  }

  /** The body in one piece of memory. @returns undefined if there was no room */
  join(): Uint8Array | undefined {
    const [first] = this.#pages;
    if (this.#pages.length === 1) return first?.subarray(0, this.length);
    const whole = this.#take(this.length);
    if (whole === undefined) return undefined;
    let at = 0;
    for (const page of this.#pages) at += page.copy(whole, at, 0, Math.min(page.length, this.length - at));
    this.#budget.give(this.#held - whole.length);
    this.#held = whole.length;
    this.#pages = [];
    return whole;
  }

  release(): void {
    this.#budget.give(this.#held);
    this.#held = 0;
    this.#pages = [];
  }

  #take(bytes: number): Buffer | undefined {
    if (!this.#budget.take(bytes)) return undefined;
    this.#held += bytes;
    return Buffer.allocUnsafeSlow(bytes);
  }
}

/**
 * Reads a body.
 * @throws Failure BODY_TOO_LARGE, TOO_MANY_BODIES, CALLER_GONE; the rest of the body is then read and discarded
 */
export function readBody(request: IncomingMessage, most: number, budget: ByteBudget): Promise<ReceivedBody> {
  const tooLarge = () =>
    new Failure('invalid-argument', 'BODY_TOO_LARGE', `The body has more than ${most} bytes.`, {
      metadata: { most_bytes: String(most) },
    });
  // Bytes are taken from the budget on arrival, not on announcement: announcing costs the caller nothing.
  if (Number(request.headers['content-length'] ?? 0) > most) {
    request.resume();
    return Promise.reject(tooLarge());
  }
  return new Promise((resolve, reject) => {
    const pages = new Pages(budget);
    let ended = false;
    const release = () => pages.release();
    const refuse = (failure: Failure) => {
      if (ended) return;
      ended = true;
      release();
      request.removeListener('data', take);
      request.resume();
      reject(failure);
    };
    const tooMany = () => {
      const sentence = 'The bodies that are being received take all the memory that they may: try again later.';
      refuse(new Failure('resource-exhausted', 'TOO_MANY_BODIES', sentence, { retryAfterMs: 1000 }));
    };
    const take = (part: Buffer) => {
      if (pages.length + part.length > most) refuse(tooLarge());
      else if (!pages.add(part)) tooMany();
    };
    const gone = () =>
      refuse(new Failure('cancelled', 'CALLER_GONE', 'The caller hung up before the body was complete.'));
    request.on('data', take);
    request.on('end', () => {
      if (ended) return;
      const bytes = pages.length === 0 ? new Uint8Array() : pages.join();
      if (bytes === undefined) return tooMany();
      ended = true;
      resolve({ bytes, release });
    });
    request.on('error', gone);
    request.on('close', gone);
  });
}
