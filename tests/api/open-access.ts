/** For tests of the edge without clients: everyone is let in as one client that may do everything. */
import { Metadata, type handleUnaryCall } from '@grpc/grpc-js';
import { ACTIONS, PURPOSES } from '../../src/access/actions.ts';
import type { Admission } from '../../src/access/gatekeeper.ts';
import type { Asked, Grant } from '../../src/access/grant.ts';
import { ROLES, type Client } from '../../src/access/principal.ts';
import { letIn } from '../../src/api/caller-gate.ts';
import { CallsUnderWay } from '../../src/api/calls-under-way.ts';
import { unary, type CallContext, type CallSettings } from '../../src/api/call.ts';
import type { Method } from '../../src/api/needs.ts';

export const TEST_CLIENT: Client = {
  clientId: 'tester',
  kind: 'machine',
  agency: 'agency',
  agencyCode: 'AGENCY',
  roles: new Set(ROLES),
  galleries: 'all',
  purposes: new Set(PURPOSES),
  clearance: 3,
  budgets: {},
};

export function openAdmission(): Admission {
  return {
    principal: {
      client: TEST_CLIENT,
      credential: { credentialId: 'credential', kind: 'token', fingerprint: '00'.repeat(32) },
    },
    end: new AbortController().signal,
    leave: () => undefined,
  };
}

export const OPEN_GATEKEEPER = { admit: openAdmission, verified: () => undefined };

export function openGrant(asked: Partial<Asked> = {}): Grant {
  return {
    client: TEST_CLIENT,
    action: asked.action ?? ACTIONS[0],
    purpose: asked.purpose ?? 'none',
    galleries: new Set(asked.galleries),
    searches: () => true,
    sees: () => true,
    changes: () => true,
    discloses: () => ({ scores: 'exact', rates: 'exact', explanations: true }),
    policyHash: '',
  };
}

/** Settings of calls that are permitted and not reported. */
export const OPEN_CALLS: CallSettings = {
  observe: () => undefined,
  defaultDeadlineMs: 10_000,
  audit: { record: () => Promise.resolve() },
  underWay: new CallsUnderWay(),
  takeCall: () => undefined,
  limited: () => undefined,
  decider: { authorize: (_, asked) => openGrant(asked) },
};

/** `unary` for a handler that is not about permissions. */
export function openUnary<Request, Response>(
  method: Method,
  settings: CallSettings,
  work: (request: Request, context: CallContext) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return unary<Request, Response>(method, settings, (request, context) => {
    context.authorize({ purpose: 'none', galleries: [] });
    return work(request, context);
  });
}

/** Metadata of a call that was let in, for handlers that are called directly. */
export function admittedMetadata(): Metadata {
  const metadata = new Metadata();
  letIn(metadata, openAdmission());
  return metadata;
}
