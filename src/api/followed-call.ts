/** A call's deadline and cancellation, over any transport. */
import type { Deadline, Metadata } from '@grpc/grpc-js';
import type { Admission } from '../access/gatekeeper.ts';
import type { Principal } from '../access/principal.ts';
import { Failure } from '../failure.ts';
import type { Party } from '../fair-turns.ts';
import { admissionOf } from './caller-gate.ts';
import { endOf } from './watched-call.ts';

/** The members that the four kinds of gRPC calls share and that are needed here. */
interface AnyCall {
  /** Undefined for calls that did not arrive over gRPC. */
  readonly metadata?: Metadata;
  getDeadline(): Deadline;
  getPeer(): string;
  on(event: 'cancelled', listener: () => void): unknown;
  off(event: 'cancelled', listener: () => void): unknown;
}

/** The deadline and the cancellation of a call. */
export interface FollowedCall {
  /** Aborted, with a Failure as reason, when the deadline passes or the caller cancels. */
  readonly signal: AbortSignal;
  /** Deadline, in milliseconds since 1970; Infinity if there is none. */
  readonly deadlineMs: number;
  /** Who calls, with the rights that it has now. Never copy its value: they may change while the call goes on. */
  readonly principal: Principal;
  /** The party for fair queueing: the client, and the connection. */
  readonly party: () => Party;
  /** Address of the caller. */
  readonly peer: string;
  /**
   * Returns why the caller no longer waits for an answer: its own deadline has passed, or it has cancelled. Undefined
   * while it waits. The default deadline is the service's own: the caller still waits after it.
   */
  readonly gone: () => Failure | undefined;
  /** Must be called when the call has ended. */
  readonly release: () => void;
}

/**
 * A call cancelled at most this long before its deadline counts as expired, in milliseconds: the time that a request
 * may take to arrive.
 */
const MOMENT_MS = 100;
/** Upper limit of that tolerance, as a share of the call's timeout. */
const MOMENT_SHARE = 0.2;

export interface CallLimits {
  /** Deadline for calls without one, in milliseconds. */
  readonly defaultDeadlineMs: number;
}

/** What any transport provides about a call. */
export interface Followable {
  /** Deadline, in milliseconds since 1970; Infinity if the caller set none. */
  readonly at: number;
  /** Registers a listener for cancellation. @returns unregisters it */
  readonly cancelled: (listener: () => void) => () => void;
  /** Aborted when the call is ended outside its handler, with a Failure as reason. */
  readonly end?: AbortSignal | undefined;
  /** Aborted, with a Failure as reason, when all calls of its kind have to end: it outlives them. */
  readonly closing?: AbortSignal | undefined;
  readonly admission: Admission;
  /** Address and port. Callers without it share one party. */
  readonly peer?: () => string;
}

/**
 * Starts following a call's deadline and cancellation.
 * @param limited - a call without a deadline gets the default one
 */
export function follow(call: Followable, settings: CallLimits, limited: boolean): FollowedCall {
  const controller = new AbortController();
  const { at, end: ended, closing, admission } = call;
  const remaining = Number.isFinite(at) ? at - Date.now() : limited ? settings.defaultDeadlineMs : Infinity;
  const expire = () =>
    controller.abort(
      new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', 'The deadline passed before the answer was complete.'),
    );
  const cancel = () => controller.abort(new Failure('cancelled', 'CANCELLED', 'The caller cancelled the call.'));
  // setTimeout takes at most 2^31 − 1 ms and fires at once for more.
  const timer = remaining < 2 ** 31 ? setTimeout(expire, Math.max(0, remaining)) : undefined;
  // grpc-js cancels a call when its deadline passes on the server. A client cancels when its own deadline passes, which
  // is slightly earlier because its clock started first. Decide which of the two happened.
  const end = at - Math.min(MOMENT_MS, remaining * MOMENT_SHARE);
  let isGone = false;
  const forget = call.cancelled(() => {
    isGone = true;
    if (Number.isFinite(at) && Date.now() >= end) expire();
    else cancel();
  });
  const ending = (signal: AbortSignal) => {
    isGone = true;
    controller.abort(signal.reason);
  };
  // Those of the call itself go with it: a thousand calls may end at once, and removing listeners takes time.
  for (const signal of [ended, admission.end]) signal?.addEventListener('abort', () => ending(signal));
  const close = () => closing && ending(closing);
  closing?.addEventListener('abort', close);
  const over = [ended, admission.end, closing].find((signal) => signal?.aborted);
  if (over !== undefined) ending(over);
  const gone = () => {
    // The thread may have been too busy to run the timer.
    if (Date.now() >= at) expire();
    const { signal } = controller;
    return signal.aborted && (isGone || Number.isFinite(at)) ? (signal.reason as Failure) : undefined;
  };
  return {
    signal: controller.signal,
    deadlineMs: Date.now() + remaining,
    get principal() {
      return admission.principal;
    },
    peer: call.peer?.() ?? '',
    party: () => partyOf(call),
    gone,
    release: () => {
      clearTimeout(timer);
      forget();
      closing?.removeEventListener('abort', close);
    },
  };
}

/**
 * Starts following a gRPC call.
 * @param closing - aborted, with a Failure as reason, when calls of this kind have to end
 */
export function followCall(call: AnyCall, settings: CallLimits, limited: boolean, closing?: AbortSignal): FollowedCall {
  const deadline = call.getDeadline();
  const cancelled = (listener: () => void) => {
    call.on('cancelled', listener);
    return () => void call.off('cancelled', listener);
  };
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  const peer = () => call.getPeer();
  const admission = admissionOf(call.metadata);
  // The gate stands before every handler, and every method of the contract needs a client.
  if (admission === undefined) throw new Error('a call reached its handler without passing the gate');
  return follow({ at, cancelled, end: endOf(call.metadata), closing, admission, peer }, settings, limited);
}

function partyOf({ admission, peer = () => '' }: Followable): Party {
  return { name: admission.principal.client.clientId, connection: peer() };
}
