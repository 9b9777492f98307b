/** The phase that a call is in, and the phase that its connection counts it in. */
import type { AnswerGate } from './answer-gate.ts';
import type { Holder, Share } from './message-memory.ts';

/** `waiting`: the service waits for the caller; `working`: the caller waits for the service; `over`: the call has ended. */
export type Phase = 'waiting' | 'working' | 'over';

export interface CallPhaseParts {
  readonly streams: { readonly request: boolean };
  /** Memory use of the connection; undefined once it has closed. */
  readonly share: Share | undefined;
  readonly answers: AnswerGate | undefined;
}

export class CallPhase {
  readonly #call: Holder;
  readonly #parts: CallPhaseParts;
  #current: Phase = 'over';
  #counted: Phase = 'over';

  constructor(call: Holder, parts: CallPhaseParts) {
    this.#call = call;
    this.#parts = parts;
  }

  get current(): Phase {
    return this.#current;
  }

  /** Whether an answer that the caller does not read keeps the service waiting. */
  get isUntaken(): boolean {
    return this.#current === 'working' && this.#counted === 'waiting';
  }

  enter(phase: Phase): void {
    this.#current = phase;
    this.count();
  }

  /**
   * Updates the counts of the connection. A caller that does not read an answer keeps the service waiting, whatever else
   * the call does, and its connection may be evicted.
   */
  count(): void {
    const { share, answers, streams } = this.#parts;
    if (share === undefined) return;
    const before = this.#counted;
    const isUntaken = this.#current === 'working' && (answers?.held ?? 0) > 0;
    this.#counted = isUntaken ? 'waiting' : this.#current;
    const { connection, waiting } = share;
    // A stream keeps processing messages while its answers are unread.
    const mayEnd = this.#current === 'waiting' || (isUntaken && !streams.request);
    if (mayEnd) waiting.add(this.#call);
    else waiting.delete(this.#call);
    const change = (of: Phase) => Number(this.#counted === of) - Number(before === of);
    connection.change(change('working'), change('waiting'));
  }
}
