import { randomUUID } from 'node:crypto';
import {
  status as Code,
  type Deadline,
  type handleUnaryCall,
  type Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import type { Party } from '../fair-turns.ts';
import { asFailure, statusName, toServiceError } from './status.ts';
import { endOf, type EndedCall } from './watched-call.ts';
import { answerTo, requestOf } from './wire-request.ts';

/** What a call did, for the log and the metrics. Facts are counts and names of things, never biometrics or identities. */
export interface CallReport {
  /** e.g. `Identification/Identify`. */
  readonly method: string;
  readonly requestId: string;
  /** Name of the gRPC status, e.g. `OK`. */
  readonly code: string;
  /** Reason of the failure; undefined when the call succeeded. */
  readonly reason: string | undefined;
  readonly seconds: number;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  /** What was thrown, when the failure is a defect of the service. */
  readonly defect: unknown;
  /** What a failure came from that is none, as the state of the store; undefined where nothing more is to be said. */
  readonly cause?: unknown;
}

export type CallObserver = (report: CallReport) => void;

/** What a handler knows of its call. */
export interface CallContext {
  /** Made by the service; replaced by the caller's own id once `identify` has read it. */
  requestId: string;
  /** Aborted, with a Failure as reason, when the deadline passes or the caller hangs up. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds since 1970; Infinity: not known. */
  readonly deadlineMs: number;
  /** Whose certificate the call came with; empty: none was asked for. Looked up when it is asked for: few calls do. */
  caller(): string;
  /** Whose turn it is when callers wait: that of the certificate's name, else of the address, and of the connection. */
  party(): Party;
  /** Adds facts to the call's report. */
  note(facts: Readonly<Record<string, string | number | boolean>>): void;
}

export interface CallSettings {
  readonly observe: CallObserver;
  /** For calls that bring no deadline, in milliseconds. */
  readonly defaultDeadlineMs: number;
}

type AuthContext = ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>;

/** What the four kinds of calls have in common, as far as it matters here. */
interface AnyCall {
  /** None where the call did not come over gRPC. */
  readonly metadata?: Metadata;
  getDeadline(): Deadline;
  getAuthContext(): AuthContext;
  getPeer(): string;
  on(event: 'cancelled', listener: () => void): unknown;
  off(event: 'cancelled', listener: () => void): unknown;
}

/** What follows a call's deadline and its cancellation. */
export interface FollowedCall extends Pick<CallContext, 'signal' | 'deadlineMs' | 'caller' | 'party'> {
  /**
   * Why the caller no longer waits for an answer, however the work ended: the caller's deadline has passed, or it has hung up.
   * The default deadline is the service's own; an answer that comes after it is still one.
   */
  readonly gone: () => Failure | undefined;
  /** Must be called when the call has ended. */
  readonly release: () => void;
}

/** How long before its deadline a call that is cancelled has run into it: as long as a request may be under way. */
const MOMENT_MS = 100;
/** And no more than this share of the time it had. */
const MOMENT_SHARE = 0.2;

/** What a wire tells of a call. */
export interface Followable {
  /** When the caller stops waiting, in milliseconds since 1970; Infinity: it does not say. */
  readonly at: number;
  /** Has a listener told when the caller cancels. @returns takes it back */
  readonly cancelled: (listener: () => void) => () => void;
  /** Aborted where the call is ended beside its handler. */
  readonly end?: AbortSignal | undefined;
  readonly caller: () => string;
  /** Address and port. Not given: all such callers are one. */
  readonly peer?: () => string;
}

/**
 * Begins to follow a call.
 * @param limited - a call that brings no deadline gets the default one
 */
export function follow(call: Followable, settings: CallSettings, limited: boolean): FollowedCall {
  const controller = new AbortController();
  const { at, end: ended } = call;
  const remaining = Number.isFinite(at) ? at - Date.now() : limited ? settings.defaultDeadlineMs : Infinity;
  const expire = () =>
    controller.abort(
      new Failure('deadline-exceeded', 'DEADLINE_EXCEEDED', 'The deadline passed before the answer was complete.'),
    );
  const cancel = () => controller.abort(new Failure('cancelled', 'CANCELLED', 'The caller cancelled the call.'));
  // setTimeout takes at most 2^31 − 1 ms and fires at once for more.
  const timer = remaining < 2 ** 31 ? setTimeout(expire, Math.max(0, remaining)) : undefined;
  // grpc-js cancels a call on the server when its deadline passes, and a client does when its own has: a moment earlier,
  // for the time began there first. Say which of the two it was.
  const end = at - Math.min(MOMENT_MS, remaining * MOMENT_SHARE);
  let isGone = false;
  const forget = call.cancelled(() => {
    isGone = true;
    if (Number.isFinite(at) && Date.now() >= end) expire();
    else cancel();
  });
  ended?.addEventListener('abort', () => {
    isGone = true;
    controller.abort(ended.reason);
  });
  const gone = () => {
    // The thread may have been too busy for the timer.
    if (Date.now() >= at) expire();
    const { signal } = controller;
    return signal.aborted && (isGone || Number.isFinite(at)) ? (signal.reason as Failure) : undefined;
  };
  return {
    signal: controller.signal,
    deadlineMs: Date.now() + remaining,
    caller: call.caller,
    party: () => partyOf(call),
    gone,
    release: () => {
      clearTimeout(timer);
      forget();
    },
  };
}

/** The same for a call of gRPC. */
export function followCall(call: AnyCall, settings: CallSettings, limited: boolean): FollowedCall {
  const deadline = call.getDeadline();
  const cancelled = (listener: () => void) => {
    call.on('cancelled', listener);
    return () => void call.off('cancelled', listener);
  };
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  const caller = () => callerOf(call.getAuthContext());
  const peer = () => call.getPeer();
  return follow({ at, cancelled, end: endOf(call.metadata), caller, peer }, settings, limited);
}

function partyOf({ caller, peer = () => '' }: Followable): Party {
  const connection = peer();
  return { name: caller() || connection.replace(/:\d+$/, ''), connection };
}

/** The common name, and the organisation, of the caller's certificate. */
function callerOf({ sslPeerCertificate }: AuthContext): string {
  const { CN, O } = sslPeerCertificate?.subject ?? {};
  return [CN, O]
    .flat()
    .filter((part) => part !== undefined)
    .join(', ');
}

/** What came of a reported call. */
export type Outcome<T> = { readonly response: T } | { readonly failure: Failure };

/**
 * Runs one piece of work as a reported call: times it, names its outcome, turns what it throws into a failure. It never
 * fails itself.
 */
export async function reported<T>(
  method: string,
  { signal, deadlineMs, caller, party, gone }: FollowedCall,
  settings: CallSettings,
  work: (context: CallContext) => Promise<T>,
): Promise<Outcome<T>> {
  const started = performance.now();
  const facts: Record<string, string | number | boolean> = {};
  const context: CallContext = {
    requestId: randomUUID(),
    signal,
    deadlineMs,
    caller,
    party,
    note: (more) => void Object.assign(facts, more),
  };
  let outcome: Outcome<T>;
  try {
    const response = await work(context);
    const why = gone();
    outcome = why === undefined ? { response } : { failure: why };
  } catch (thrown) {
    // Work that was stopped fails in its own words; the reason it was stopped is what the caller has to hear.
    outcome = { failure: asFailure(signal.aborted ? signal.reason : thrown) };
  }
  const failure = 'failure' in outcome ? outcome.failure : undefined;
  const sqlstate = failure?.detail.metadata?.['sqlstate'];
  observe(settings, {
    method,
    requestId: context.requestId,
    code: failure === undefined ? 'OK' : statusName(failure),
    reason: failure?.reason,
    seconds: (performance.now() - started) / 1000,
    facts: sqlstate === undefined ? facts : { ...facts, sqlstate },
    cause: failure?.kind === 'internal' ? undefined : failure?.detail.cause,
    defect: failure?.kind === 'internal' ? (failure.detail.cause ?? failure) : undefined,
  });
  return outcome;
}

/** A log that cannot be written keeps no caller from the answer. */
function observe(settings: CallSettings, report: CallReport): void {
  try {
    settings.observe(report);
  } catch {
    // There is nowhere left to say so.
  }
}

/** The report of a call that was ended before its handler, or beside it. */
export function reportOfEnded({ path, failure, seconds }: EndedCall): CallReport {
  return {
    // `/ridgewatch.v1.Identification/Identify`
    method: path.replace(/^\/(?:.*\.)?/, ''),
    requestId: randomUUID(),
    code: statusName(failure),
    reason: failure.reason,
    seconds,
    facts: {},
    defect: undefined,
  };
}

/** Ends a call with what came of it. It never throws: what the library does not take is reported, and said in short. */
export function endCall<T>(
  method: string,
  settings: CallSettings,
  callback: sendUnaryData<T>,
  outcome: Outcome<T>,
): void {
  try {
    if ('failure' in outcome) callback(toServiceError(outcome.failure));
    else callback(null, outcome.response);
  } catch (thrown) {
    const requestId = randomUUID();
    const { reason } = asFailure(thrown);
    observe(settings, { method, requestId, code: 'INTERNAL', reason, seconds: 0, facts: {}, defect: thrown });
    try {
      callback({ code: Code.INTERNAL, details: 'The answer could not be sent.' });
    } catch {
      // The call is over; there is no other way to tell the caller.
    }
  }
}

/** A unary handler: deadline, report and error mapping around the work; reading and writing are part of it. */
export function unary<Request, Response>(
  method: string,
  settings: CallSettings,
  work: (request: Request, context: CallContext) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const followed = followCall(call, settings, true);
    void reported(method, followed, settings, async (context) =>
      answerTo(call.request, await work(requestOf(call.request), context)),
    ).then((outcome) => {
      followed.release();
      endCall(method, settings, callback, outcome);
    });
  };
}
