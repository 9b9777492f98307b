/**
 * Rows of proposals to expunge a subject, each with a MAC over all of it: a proposal that was added or changed in the
 * database is not carried out.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';

/** An administrator's proposal to remove a subject. */
export interface ExpungeProposal {
  readonly proposalId: string;
  readonly subjectId: string;
  /** The state of the subject that the proposal is about. */
  readonly subjectVersion: number;
  readonly contributor: string;
  /** Id of the client. */
  readonly proposedBy: string;
  readonly reason: string;
  readonly createTime: Date;
  readonly expireTime: Date;
}

export interface ProposalRow {
  readonly proposal_id: string;
  readonly subject_id: string;
  readonly subject_version: string;
  readonly contributor: string;
  readonly proposed_by: string;
  readonly reason: string;
  readonly create_time: Date;
  readonly expire_time: Date;
  readonly mac: Buffer;
  readonly mac_key_id: string;
}

export const PROPOSAL_COLUMNS =
  'proposal_id, subject_id, subject_version, contributor, proposed_by, reason, create_time, expire_time, mac, mac_key_id';

/** Adds a proposal with its MAC. @param client - that holds the keys */
export async function insertProposal(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  proposal: ExpungeProposal,
): Promise<void> {
  const keyId = keys.ring.currentId;
  const { proposalId, subjectId, subjectVersion, contributor, proposedBy, reason, createTime, expireTime } = proposal;
  await client.query(
    `INSERT INTO expunge_proposal (${PROPOSAL_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      ...[proposalId, subjectId, subjectVersion, contributor, proposedBy, reason, createTime, expireTime],
      ...[tagOf(keys, keyId, proposal), keyId],
    ],
  );
}

/** @returns undefined: the row is not what was written, or was made with a key that is not there any more */
export function openProposal(keys: Keys, row: ProposalRow): ExpungeProposal | undefined {
  const proposal: ExpungeProposal = {
    proposalId: row.proposal_id,
    subjectId: row.subject_id,
    subjectVersion: Number(row.subject_version),
    contributor: row.contributor,
    proposedBy: row.proposed_by,
    reason: row.reason,
    createTime: row.create_time,
    expireTime: row.expire_time,
  };
  try {
    const tag = tagOf(keys, row.mac_key_id, proposal);
    return row.mac.length === tag.length && timingSafeEqual(row.mac, tag) ? proposal : undefined;
  } catch (error) {
    if (error instanceof Failure && error.reason === 'KEY_MISSING') return undefined;
    throw error;
  }
}

/** HMAC-SHA-256 (RFC 2104). Times count in milliseconds; PostgreSQL's infinite ones read as numbers, which fit no MAC. */
function tagOf(keys: Keys, keyId: string, proposal: ExpungeProposal): Buffer {
  const { proposalId, subjectId, subjectVersion, contributor, proposedBy, reason, createTime, expireTime } = proposal;
  const facts = [proposalId, subjectId, subjectVersion, contributor, proposedBy, reason, +createTime, +expireTime];
  return createHmac('sha256', keys.key(keyId, 'proposal'))
    .update(`ridgewatch expunge proposal 1 ${JSON.stringify(facts)}`)
    .digest();
}
