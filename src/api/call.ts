import { randomUUID } from 'node:crypto';
import { status as Code, type handleUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import type { Action } from '../access/actions.ts';
import type { Asked, Decider, Grant } from '../access/grant.ts';
import type { Principal } from '../access/principal.ts';
import { asFailure, type Failure } from '../failure.ts';
import type { Party } from '../fair-turns.ts';
import type { AuditSink } from '../audit/audit-entry.ts';
import type { FoundRecord } from '../audit/hit-entries.ts';
import { recordCall, type AuditDraft, type LimitedCall } from './call-audit.ts';
import type { CallsUnderWay } from './calls-under-way.ts';
import { followCall, type CallLimits, type FollowedCall } from './followed-call.ts';
import { METHOD_NEEDS, type Method } from './needs.ts';
import { statusName, toServiceError } from './status.ts';
import type { EndedCall } from './watched-call.ts';
import { answerTo, requestOf } from './wire-request.ts';

/**
 * The result of a call, for the log and the metrics. Facts are counts and names of things, never biometrics or
 * identities.
 */
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
  /** The thrown error, when the failure is a defect of the service. */
  readonly defect: unknown;
  /** The cause of a failure that is not a defect, e.g. the state of the store; undefined if there is none to log. */
  readonly cause?: unknown;
}

export type CallObserver = (report: CallReport) => void;

/** Context of a call, for its handler. */
export interface CallContext {
  /** Made by the service; replaced by the caller's own id once the handler has read it. */
  requestId: string;
  /** Aborted, with a Failure as reason, when the deadline passes or the caller cancels. */
  readonly signal: AbortSignal;
  /** Deadline, in milliseconds since 1970; Infinity if there is none. */
  readonly deadlineMs: number;
  /** Who calls, as it was registered when the call began. `authorize` asks by what it is now. */
  readonly principal: Principal;
  /** The party for fair queueing: the client, and the connection. */
  party(): Party;
  /**
   * Asks whether the caller may do what its request says. A handler must ask before it does anything: an answer that
   * was made without asking is withheld.
   * @param asked - `action`: default, the first one that the method needs
   * @throws Failure, see Decider.authorize
   */
  authorize(asked: Omit<Asked, 'action'> & { readonly action?: Action }): Grant;
  /** Whether the handler has asked. */
  readonly isAuthorized: boolean;
  /** Adds facts to the call's report. */
  note(facts: Readonly<Record<string, string | number | boolean>>): void;
  /** Adds what only the audit may know. */
  account(draft: AuditDraft): void;
  /**
   * Notes records that were found: their owners are told together with the next record of the call, each once.
   * @param searchedSilently - records that are not shown were searched
   */
  found(records: readonly FoundRecord[], searchedSilently?: boolean): void;
  /**
   * Records an answer, or a change, that precedes the last answer. It may leave when this resolves.
   * @param more - only for this record
   * @throws Failure AUDIT_UNAVAILABLE
   */
  recordEarly(more?: AuditDraft): Promise<void>;
}

export interface CallSettings extends CallLimits {
  readonly observe: CallObserver;
  readonly decider: Pick<Decider, 'authorize'>;
  /** Records every call before its answer leaves. */
  readonly audit: AuditSink;
  /** Calls that are not recorded yet. */
  readonly underWay: CallsUnderWay;
  /** Limits the calls of a client. @throws Failure RATE_LIMITED */
  readonly takeCall: (principal: Principal) => void;
  /** Counts a call beyond that limit for the audit, in place of a record: there is no limit to such calls. */
  readonly limited: (call: LimitedCall) => void;
}

/** The result of a reported call. */
export type Outcome<T> = { readonly response: T } | { readonly failure: Failure };

/**
 * Runs work as a reported call: measures its time, determines its status and converts a thrown error into a failure.
 * Never throws.
 */
export function reported<T>(
  method: Method,
  call: FollowedCall,
  settings: CallSettings,
  work: (context: CallContext) => Promise<T>,
): Promise<Outcome<T>> {
  return settings.underWay.follow(answered(method, call, settings, work));
}

async function answered<T>(
  method: Method,
  call: FollowedCall,
  settings: CallSettings,
  work: (context: CallContext) => Promise<T>,
): Promise<Outcome<T>> {
  const { signal, deadlineMs, principal, peer, party, gone } = call;
  const started = performance.now();
  const begun = new Date();
  const facts: Record<string, string | number | boolean> = {};
  const draft: Record<string, unknown> = {};
  const untold = new Map<string, FoundRecord>();
  const told = new Set<string>();
  let isSilenceUntold = false;
  const record = async (outcome: string, reason?: string, more: AuditDraft = {}) => {
    const found = [...untold.values()];
    const searchedSilently = isSilenceUntold;
    await recordCall(settings.audit, {
      ...{ method, requestId: context.requestId, principal, peer, grant, begun, outcome, reason, facts },
      ...{ found, searchedSilently },
      draft: { ...draft, ...more },
    });
    if (searchedSilently) isSilenceUntold = false;
    for (const { subjectId } of found) {
      told.add(subjectId);
      untold.delete(subjectId);
    }
  };
  let grant: Grant | undefined;
  const context: CallContext = {
    requestId: randomUUID(),
    signal,
    deadlineMs,
    principal,
    party,
    authorize: (asked) =>
      (grant = settings.decider.authorize(call.principal.client, { action: METHOD_NEEDS[method][0], ...asked })),
    get isAuthorized() {
      return grant !== undefined;
    },
    note: (more) => void Object.assign(facts, more),
    account: (more) => void Object.assign(draft, more),
    found: (records, searchedSilently = false) => {
      isSilenceUntold ||= searchedSilently;
      for (const one of records) if (!told.has(one.subjectId)) untold.set(one.subjectId, one);
    },
    recordEarly: (more) => record('OK', undefined, more),
  };
  let outcome: Outcome<T>;
  let isTaken = false;
  try {
    settings.takeCall(principal);
    isTaken = true;
    const response = await work(context);
    if (grant === undefined) throw new Error(`${method} has answered without asking whether it may`);
    const why = gone();
    if (why === undefined) await record('OK');
    outcome = why === undefined ? { response } : { failure: why };
  } catch (thrown) {
    // Aborted work throws an error of its own; the caller needs the reason for the abort.
    const failure = asFailure(signal.aborted ? signal.reason : thrown);
    outcome = { failure };
  }
  const failure = 'failure' in outcome ? outcome.failure : undefined;
  if (failure !== undefined) {
    if (!isTaken) settings.limited({ method, principal, peer, failure });
    // A refusal tells nothing about a person: it need not wait for its record where none can be written.
    else await record(statusName(failure), failure.reason).catch(() => undefined);
  }
  facts.client = principal.client.clientId;
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

/** A report that cannot be written must not keep the answer from the caller. */
function observe(settings: CallSettings, report: CallReport): void {
  try {
    settings.observe(report);
  } catch {
    // There is nowhere left to report this.
  }
}

/** Report of a call that was ended outside its handler. */
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

/**
 * Ends a call with its outcome. Never throws: if the library rejects the outcome, that is reported, and the caller gets
 * INTERNAL.
 */
export function endCall<T>(
  method: Method,
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
      // The call has ended; there is no other way to inform the caller.
    }
  }
}

/**
 * Wraps work as a unary handler with deadline, report and error mapping. Decoding the request and encoding the answer
 * are part of the reported work.
 */
export function unary<Request, Response>(
  method: Method,
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
