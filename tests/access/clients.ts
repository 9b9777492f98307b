import type { Action, Purpose } from '../../src/access/actions.ts';
import { Decisions } from '../../src/access/decisions.ts';
import { PoliciesInForce, type DecisionFault } from '../../src/access/policy-set.ts';
import type { Client, Role } from '../../src/access/principal.ts';
import type { RecordFacts } from '../../src/access/grant.ts';

export const PROVENANCES = ['unspecified', 'controlled', 'field', 'latent', 'synthetic'] as const;

/** A client of agency `agency-a` (code AGENCY-A) with all purposes, gallery `watchlist` and no clearance. */
export function clientWith(roles: readonly Role[], changes: Partial<Client> = {}): Client {
  return {
    clientId: 'client-1',
    kind: 'machine',
    agency: 'agency-a',
    agencyCode: 'AGENCY-A',
    roles: new Set(roles),
    galleries: new Set(['watchlist']),
    purposes: new Set<Purpose>(['border-check', 'investigation', 'application', 'test']),
    clearance: 0,
    budgets: {},
    ...changes,
  };
}

export function recordWith(changes: Partial<RecordFacts> = {}): RecordFacts {
  return { contributor: 'agency-b', caveats: [], provenance: 'controlled', ...changes };
}

/** Policies without faults: one that fails on a question fails the test. */
export function loadPolicies(folder?: string): Promise<PoliciesInForce> {
  return PoliciesInForce.load(folder, ({ action, policies, cause }: DecisionFault) => {
    throw new Error(`no decision about ${action}: ${policies.join(', ')}`, { cause });
  });
}

export async function shippedDecisions(galleries: readonly string[] = ['watchlist', 'other']): Promise<Decisions> {
  return new Decisions(await loadPolicies(), { count: galleries.length, all: galleries });
}

/** The reason of a refusal with its field; `granted` without one. */
export function outcomeOf(
  decisions: Decisions,
  client: Client,
  action: Action,
  purpose: Purpose,
  rest: { galleries?: readonly string[]; contributor?: string } = {},
): string {
  try {
    decisions.authorize(client, { action, purpose, galleries: ['watchlist'], ...rest });
    return 'granted';
  } catch (error) {
    const { reason, kind, detail } = error as { reason: string; kind: string; detail: { field?: string } };
    if (kind !== 'permission-denied') throw error;
    return detail.field === undefined ? reason : `${reason} ${detail.field}`;
  }
}
