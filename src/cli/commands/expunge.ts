import {
  ApproveExpungeResponse,
  ExpungeProposal,
  ExpungeSubjectResponse,
} from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { Failure } from '../../failure.ts';
import { requireNew } from '../../files/durable-file.ts';
import type { ServiceClient } from '../client.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import type { ConnectionOptions } from '../shared-options.ts';
import { withService } from './client.ts';
import { writeReceipt } from './receipt.ts';

interface ExpungeOptions extends ConnectionOptions {
  readonly reason?: string;
  readonly propose?: boolean;
  /** Id of a proposal. */
  readonly approve?: string;
  readonly proposals?: boolean;
  readonly yes?: boolean;
  readonly receipt?: string;
}

/** Removes a subject for good, after asking; or proposes that, approves it, or lists what is proposed. */
export async function expunge([subjectId]: (string | undefined)[], options: ExpungeOptions): Promise<number> {
  const { approve, proposals, propose, reason } = options;
  if (approve !== undefined || proposals === true) {
    if (subjectId !== undefined) throw usage('A proposal names its subject: leave the id of the subject out.');
    return approve === undefined ? withService(options, listAll(options)) : approveOne(approve, options);
  }
  if (subjectId === undefined) throw usage('Name the subject by its id.');
  if (reason === undefined) throw usage('Say why: --reason is required.');
  if (propose === true) return withService(options, proposeOne(subjectId, reason, options));
  return removeOne(subjectId, reason, options);
}

async function removeOne(subjectId: string, reason: string, options: ExpungeOptions): Promise<number> {
  if (!(await isAgreed(`Remove subject ${subjectId} and all its references for good?`, options))) return EXIT.refused;
  return withService(options, async (client) => {
    const response = await client.expunge({ subjectId, reason });
    if (options.receipt !== undefined) await writeReceipt(options.receipt, subjectId, response.receipt);
    printResult(options, documentOf(ExpungeSubjectResponse.toJSON(response)), sentenceOf(response));
    return EXIT.ok;
  });
}

async function approveOne(proposalId: string, options: ExpungeOptions): Promise<number> {
  const question = `Remove the subject of proposal ${proposalId} and all its references for good?`;
  if (!(await isAgreed(question, options))) return EXIT.refused;
  return withService(options, async (client) => {
    const response = await client.approveExpunge({ proposalId });
    const { proposal, receipt } = response;
    if (options.receipt !== undefined) await writeReceipt(options.receipt, proposal?.subjectId ?? '', receipt);
    printResult(options, documentOf(ApproveExpungeResponse.toJSON(response)), sentenceOf(response));
    return EXIT.ok;
  });
}

function proposeOne(subjectId: string, reason: string, options: ExpungeOptions) {
  return async (client: ServiceClient): Promise<number> => {
    const { proposal } = await client.proposeExpunge({ subjectId, reason });
    if (proposal === undefined) throw new Error('the answer has no proposal');
    const sentence = `Nothing is removed yet. Another administrator has until ${proposal.expireTime?.toISOString()} for: ridgewatch expunge --approve ${proposal.proposalId}`;
    printResult(options, documentOf(ExpungeProposal.toJSON(proposal)), sentence);
    return EXIT.ok;
  };
}

/** Proposals in one call; more are asked for page by page. */
const PAGE = 1000;

function listAll(options: ExpungeOptions) {
  return async (client: ServiceClient): Promise<number> => {
    const proposals: ExpungeProposal[] = [];
    const damaged: string[] = [];
    let afterProposalId = '';
    do {
      const page = await client.listExpungeProposals({ pageSize: PAGE, afterProposalId });
      proposals.push(...page.proposals);
      damaged.push(...page.damagedProposalIds);
      afterProposalId = page.nextAfterProposalId;
    } while (afterProposalId !== '');
    const lines = proposals.map(describe);
    if (damaged.length > 0)
      lines.push(`Changed outside the service, or of a key that is gone, and void: ${damaged.join(', ')}.`);
    const document = {
      proposals: proposals.map((one) => documentOf(ExpungeProposal.toJSON(one))),
      damaged_proposal_ids: damaged,
    };
    printResult(options, document, lines.length === 0 ? 'There are no proposals.' : lines.join('\n'));
    return EXIT.ok;
  };
}

function describe({ proposalId, subjectId, contributor, proposedBy, reason, expireTime }: ExpungeProposal): string {
  const until = expireTime?.toISOString() ?? '';
  return `${proposalId}: subject ${subjectId} of ${contributor}, proposed by ${proposedBy}, until ${until}: ${reason}`;
}

/** Asks first. Expunging cannot be undone: that the receipt can be written is checked before it. */
async function isAgreed(question: string, options: ExpungeOptions): Promise<boolean> {
  if (!(await agreed(options, question))) {
    process.stderr.write('Nothing was removed.\n');
    return false;
  }
  if (options.receipt !== undefined) requireNew(options.receipt);
  return true;
}

function documentOf(json: unknown): object {
  return toProtoJson(json) as object;
}

function sentenceOf(removed: { readonly referencesRemoved: number; readonly galleryVersion: number }): string {
  return `Removed the subject and ${removed.referencesRemoved} references (gallery version ${removed.galleryVersion}).`;
}

function usage(sentence: string): Failure {
  return new Failure('invalid-argument', 'USAGE', sentence);
}
