/**
 * The removal of a subject by two administrators: one proposes, another one approves. Every method throws Failure.
 */
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import { Failure } from '../failure.ts';
import type { Asker } from '../fair-turns.ts';
import type { Keys } from '../security/keys.ts';
import { isValidCredential, lockAdministrators } from './client-locks.ts';
import type { StoredClient } from './client-macs.ts';
import {
  insertProposal,
  openProposal,
  PROPOSAL_COLUMNS,
  type ExpungeProposal,
  type ProposalRow,
} from './expunge-proposal-rows.ts';
import { holdKeys } from './held-keys.ts';
import { areIndependent } from './independent-clients.ts';
import type { Expunged, Removed } from './records.ts';
import type { StoreTurns } from './store-turns.ts';
import { expungeSubject } from './subject-expunging.ts';
import { readFacts, type PermitChange, type SubjectFacts } from './subject-facts.ts';
import { subjectNotFound } from './subject-failure.ts';
import { inTransaction, READ_ONLY } from './transaction.ts';

/** A proposal that lies for longer may be about another situation. */
const LIFE_MS = 72 * 3_600_000;
/** Open proposals of one client: more are no decisions, and each waits for a person. */
const MAX_OPEN = 100;

/** Who approves: a client, and the credential that it shows. */
export interface Approver {
  readonly clientId: string;
  readonly credentialId: string;
}

export interface ProposalPage {
  readonly proposals: readonly ExpungeProposal[];
  /** Ids of rows of the page that are not what was written. */
  readonly damaged: readonly string[];
  /** Where the next page continues; undefined: this is the last one. */
  readonly next: string | undefined;
}

export class ExpungeProposals {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;
  readonly #turns: StoreTurns;

  /** @param turns - of calls for connections of the pool */
  constructor(pool: pg.Pool, keys: Keys, turns: StoreTurns) {
    this.#pool = pool;
    this.#keys = keys;
    this.#turns = turns;
  }

  /**
   * Proposes to remove a subject as it is now.
   * @throws Failure SUBJECT_NOT_FOUND, TOO_MANY_PROPOSALS; as `readFacts`; as `permit`
   */
  propose(
    subjectId: string,
    proposedBy: string,
    reason: string,
    permit: PermitChange,
    asker: Asker,
  ): Promise<ExpungeProposal> {
    const work = async (client: pg.PoolClient) => {
      await holdKeys(client, this.#keys);
      const facts = await readFacts(client, this.#keys, subjectId);
      if (facts === undefined) throw subjectNotFound();
      permit(facts);
      // One at a time: several of one client would pass the limit, and two that delete the same rows could wait in a circle.
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', ['ridgewatch expunge proposal']);
      const createTime = new Date();
      await client.query('DELETE FROM expunge_proposal WHERE expire_time <= $1', [createTime]);
      const sql = 'SELECT count(*)::int AS count FROM expunge_proposal WHERE proposed_by = $1';
      const { rows } = await client.query<{ count: number }>(sql, [proposedBy]);
      if ((rows[0]?.count ?? 0) >= MAX_OPEN) throw tooMany();
      const { version: subjectVersion, contributor } = facts;
      const expireTime = new Date(createTime.getTime() + LIFE_MS);
      const times = { createTime, expireTime };
      const proposal = { proposalId: newId(), subjectId, subjectVersion, contributor, proposedBy, reason, ...times };
      await insertProposal(client, this.#keys, proposal);
      return proposal;
    };
    return this.#turns.take('change', asker, () => inTransaction(this.#pool, work));
  }

  /** @throws Failure PROPOSAL_NOT_FOUND, PROPOSAL_DAMAGED, PROPOSAL_EXPIRED */
  get(proposalId: string, asker: Asker): Promise<ExpungeProposal> {
    const sql = `SELECT ${PROPOSAL_COLUMNS} FROM expunge_proposal WHERE proposal_id = $1`;
    const read = async (client: pg.PoolClient) => {
      const { rows } = await client.query<ProposalRow>(sql, [proposalId]);
      return this.#opened(rows[0]);
    };
    return this.#turns.take('read', asker, () => inTransaction(this.#pool, read, READ_ONLY));
  }

  /**
   * Removes the subject of a proposal, and the proposal. All of it is decided on rows that stay as they are until it is
   * done: the proposal, both clients, and the subject.
   * @param receiptOf - creates the receipt; called last
   * @throws Failure PROPOSAL_NOT_FOUND, PROPOSAL_DAMAGED, PROPOSAL_EXPIRED, PROPOSAL_OUTDATED, PROPOSER_NOT_ENTITLED,
   * ACTION_NOT_PERMITTED, APPROVER_NOT_INDEPENDENT; as `readFacts`; as `permit`
   */
  approve(
    proposalId: string,
    approver: Approver,
    permit: PermitChange,
    receiptOf: (proposal: ExpungeProposal, removed: Removed) => string,
    asker: Asker,
  ): Promise<Expunged> {
    const work = async (client: pg.PoolClient) => {
      await holdKeys(client, this.#keys);
      // Two approvals at once: the second one waits here, and then finds no row.
      const sql = `DELETE FROM expunge_proposal WHERE proposal_id = $1 RETURNING ${PROPOSAL_COLUMNS}`;
      const { rows } = await client.query<ProposalRow>(sql, [proposalId]);
      const proposal = this.#opened(rows[0]);
      await this.#requireTwoPersons(client, proposal.proposedBy, approver);
      const { subjectId, subjectVersion, reason } = proposal;
      const receipt = (removed: Removed) => receiptOf(proposal, removed);
      const permitThis = (present: SubjectFacts) => {
        permit(present);
        if (present.version !== subjectVersion) throw outdated();
      };
      return expungeSubject(client, this.#keys, subjectId, reason, receipt, permitThis).catch(withoutSubject);
    };
    return this.#turns.take('change', asker, () => inTransaction(this.#pool, work));
  }

  /** A page of proposals that have not expired. @param after - id of a proposal; undefined: from the first one */
  list(after: string | undefined, limit: number, asker: Asker): Promise<ProposalPage> {
    const read = async (client: pg.PoolClient): Promise<ProposalPage> => {
      const { rows } = await client.query<ProposalRow>(
        `SELECT ${PROPOSAL_COLUMNS} FROM expunge_proposal
         WHERE expire_time > $1 AND ($2::uuid IS NULL OR proposal_id > $2) ORDER BY proposal_id LIMIT $3`,
        [new Date(), after ?? null, limit + 1],
      );
      const page = rows.slice(0, limit);
      const opened = page.map((row) => openProposal(this.#keys, row));
      return {
        proposals: opened.filter((one) => one !== undefined),
        damaged: page.filter((_, i) => opened[i] === undefined).map(({ proposal_id }) => proposal_id),
        next: rows.length > limit ? page.at(-1)?.proposal_id : undefined,
      };
    };
    return this.#turns.take('listing', asker, () => inTransaction(this.#pool, read, READ_ONLY));
  }

  #opened(row: ProposalRow | undefined): ExpungeProposal {
    if (row === undefined) throw notFound();
    const proposal = openProposal(this.#keys, row);
    if (proposal === undefined) throw damaged();
    if (proposal.expireTime <= new Date()) throw expired();
    return proposal;
  }

  /** Both must be administrators now: one may have been disabled, or a credential revoked, since the call began. */
  async #requireTwoPersons(client: pg.PoolClient, proposedBy: string, approver: Approver): Promise<void> {
    const administrators = await lockAdministrators(client, this.#keys);
    const personOf = (id: string) => administrators.find(({ row }) => row.client_id === id && row.kind === 'person');
    const approving = personOf(approver.clientId);
    if (approving === undefined || !shows(approving, approver.credentialId)) throw notPermitted();
    const proposing = personOf(proposedBy);
    if (proposing === undefined) throw proposerNotEntitled();
    if (!(await areIndependent(client, this.#keys, proposing, approving))) throw notIndependent();
  }
}

function shows({ credentials }: StoredClient, credentialId: string): boolean {
  return credentials.some((one) => one.credential_id === credentialId && isValidCredential(one));
}

/** The request names a proposal: that its subject is gone makes the proposal void. */
function withoutSubject(error: unknown): never {
  throw error instanceof Failure && error.reason === 'SUBJECT_NOT_FOUND' ? outdated() : error;
}

function notFound(): Failure {
  const sentence = 'There is no such proposal: it was never made, was carried out, or has expired.';
  return new Failure('not-found', 'PROPOSAL_NOT_FOUND', sentence, { field: 'proposal_id' });
}

function damaged(): Failure {
  const sentence = 'What is stored of the proposal is not what was written, or its key is gone. Propose it again.';
  return new Failure('failed-precondition', 'PROPOSAL_DAMAGED', sentence, { field: 'proposal_id' });
}

function expired(): Failure {
  const sentence = 'The proposal has expired. Propose it again.';
  return new Failure('failed-precondition', 'PROPOSAL_EXPIRED', sentence, { field: 'proposal_id' });
}

function outdated(): Failure {
  const sentence =
    'The subject was changed or removed since it was proposed to remove it. Propose it again if it is there.';
  return new Failure('failed-precondition', 'PROPOSAL_OUTDATED', sentence, { field: 'proposal_id' });
}

function proposerNotEntitled(): Failure {
  const sentence = 'The client that proposed this is no longer an enabled administrator that is a person.';
  return new Failure('failed-precondition', 'PROPOSER_NOT_ENTITLED', sentence, { field: 'proposal_id' });
}

function notIndependent(): Failure {
  const sentence =
    'Another person has to approve: one of the two clients registered the other or gave it a credential, or a third one did so for both.';
  return new Failure('permission-denied', 'APPROVER_NOT_INDEPENDENT', sentence, { field: 'proposal_id' });
}

function notPermitted(): Failure {
  const sentence = 'The client is no longer an enabled administrator that is a person.';
  return new Failure('permission-denied', 'ACTION_NOT_PERMITTED', sentence);
}

function tooMany(): Failure {
  const sentence = `The client has ${MAX_OPEN} proposals that were neither approved nor have expired.`;
  return new Failure('resource-exhausted', 'TOO_MANY_PROPOSALS', sentence);
}
