/** The removal of any contributor's record by two administrators. */
import {
  type ApproveExpungeRequest,
  type ApproveExpungeResponse,
  type ExpungeProposal,
  type GalleryServer,
  type ListExpungeProposalsRequest,
  type ListExpungeProposalsResponse,
  type ProposeExpungeRequest,
  type ProposeExpungeResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { approveExpungeRules, check, expungeRules, listProposalsRules } from '../contract/validation.ts';
import type { ExpungeProposals } from '../store/expunge-proposals.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';
import { requireMayApprove, requireMayPropose } from './permissions.ts';
import { removalReceipts } from './removal-receipts.ts';
import type { SubjectChangeDependencies } from './subject-changes.ts';

export interface ProposalDependencies extends SubjectChangeDependencies {
  readonly proposals: ExpungeProposals;
}

type Handlers = Pick<GalleryServer, 'proposeExpunge' | 'approveExpunge' | 'listExpungeProposals'>;

const DEFAULT_PAGE = 100;

export function proposalHandlers(service: ProposalDependencies, settings: CallSettings): Handlers {
  return {
    proposeExpunge: unary('Gallery/ProposeExpunge', settings, (request: ProposeExpungeRequest, context) =>
      propose(service, request, context),
    ),
    approveExpunge: unary('Gallery/ApproveExpunge', settings, (request: ApproveExpungeRequest, context) =>
      approve(service, request, context),
    ),
    listExpungeProposals: unary(
      'Gallery/ListExpungeProposals',
      settings,
      (request: ListExpungeProposalsRequest, context) => list(service, request, context),
    ),
  };
}

async function propose(
  service: ProposalDependencies,
  { subjectId, reason }: ProposeExpungeRequest,
  context: CallContext,
): Promise<ProposeExpungeResponse> {
  check(expungeRules, { subjectId, reason });
  const grant = context.authorize({ purpose: 'none', galleries: [] });
  context.account({ subject_id: subjectId });
  const proposal = await service.proposals.propose(
    subjectId,
    context.principal.client.clientId,
    reason,
    (present) => requireMayPropose(grant, present),
    context,
  );
  context.note({ proposal_id: proposal.proposalId });
  return { proposal };
}

async function approve(
  service: ProposalDependencies,
  { proposalId }: ApproveExpungeRequest,
  context: CallContext,
): Promise<ApproveExpungeResponse> {
  check(approveExpungeRules, { proposalId });
  const grant = context.authorize({ purpose: 'none', galleries: [] });
  service.requireReady();
  const proposal = await service.proposals.get(proposalId, context);
  context.account({ subject_id: proposal.subjectId });
  context.note({ proposal_id: proposalId, proposed_by: proposal.proposedBy });
  const { client, credential } = context.principal;
  const approver = { clientId: client.clientId, credentialId: credential.credentialId };
  const sign = await removalReceipts(service);
  context.signal.throwIfAborted();
  // Everything is decided on the rows that this changes: those read above may be others by then.
  const { seq, referencesRemoved, receipt } = await service.proposals.approve(
    proposalId,
    approver,
    (present) => requireMayApprove(grant, present),
    ({ subjectId, reason, proposedBy }, removed) =>
      sign({ subjectId, reason, requested_by: proposedBy, approved_by: approver.clientId }, removed),
    context,
  );
  context.account({ gallery_version: seq });
  await service.follower.advanceTo(seq);
  context.note({ gallery_version: seq, reference_count: referencesRemoved });
  return { proposal, galleryVersion: seq, referencesRemoved, receipt };
}

async function list(
  service: ProposalDependencies,
  request: ListExpungeProposalsRequest,
  context: CallContext,
): Promise<ListExpungeProposalsResponse> {
  check(listProposalsRules, request);
  context.authorize({ purpose: 'none', galleries: [] });
  const after = request.afterProposalId === '' ? undefined : request.afterProposalId;
  const { proposals, damaged, next } = await service.proposals.list(after, request.pageSize || DEFAULT_PAGE, context);
  context.account({ subjects: proposals.map(({ subjectId }) => subjectId) });
  context.note({ proposal_count: proposals.length, ...(damaged.length > 0 && { damaged_count: damaged.length }) });
  const known: ExpungeProposal[] = [...proposals];
  return { proposals: known, damagedProposalIds: [...damaged], nextAfterProposalId: next ?? '' };
}
