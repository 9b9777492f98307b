/** A search opens a case about its candidates. */
import type { FoundRecord } from '../audit/hit-entries.ts';
import { IdentifyRequest } from '../contract/generated/ridgewatch/v1/identification.ts';
import { purposeName } from '../contract/wire-names.ts';
import type { CaseStore } from '../store/case-store.ts';
import type { CallContext } from './call.ts';
import { policyPurpose } from './permissions.ts';

export interface OpeningDependencies {
  readonly cases: Pick<CaseStore, 'open'>;
  /** Time until a case expires, in milliseconds. */
  readonly caseLifeMs: number;
}

/**
 * Asks before the search whether its client may open a case; then asks again for the search itself, whose grant the
 * answer is made by.
 * @throws Failure ACTION_NOT_PERMITTED, PURPOSE_NOT_PERMITTED
 */
export function requireMayOpen(context: CallContext, { openCase, purpose }: IdentifyRequest): void {
  if (openCase !== true) return;
  context.authorize({ action: 'open-case', purpose: policyPurpose(purpose), galleries: [] });
}

/**
 * Opens the case that a search asks for, before its answer leaves.
 * @param shown - the candidates that the caller is shown, at the service's own threshold
 * @returns its id; empty: none was asked for, or there is no candidate
 * @throws Failure TOO_MANY_CASES
 */
export async function openCaseOf(
  { cases, caseLifeMs }: OpeningDependencies,
  request: IdentifyRequest,
  shown: readonly FoundRecord[],
  context: CallContext,
): Promise<string> {
  if (request.openCase !== true || shown.length === 0) return '';
  const { client } = context.principal;
  // The samples alone, in the form of a request: who searched for what is none of the examiners' concern.
  const probe = IdentifyRequest.encode(IdentifyRequest.fromPartial({ samples: request.samples })).finish();
  const opening = {
    agency: client.agency,
    openedBy: client.clientId,
    checkpointId: request.checkpointId,
    purpose: purposeName(request.purpose),
    requestId: context.requestId,
    candidates: shown.map(({ subjectId, owner, caveats, provenance, band, rank = 0, log10Fmr }) => ({
      ...{ subjectId, owner, caveats: [...caveats], provenance },
      ...{ band, rank, log10Fmr },
    })),
  };
  const caseId = await cases.open(opening, probe, caseLifeMs, context);
  context.note({ case_id: caseId });
  return caseId;
}
