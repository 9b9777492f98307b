/** Cases about the candidates of searches, in PostgreSQL. Every method throws Failure. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import { Failure } from '../failure.ts';
import type { Asker } from '../fair-turns.ts';
import type { Keys } from '../security/keys.ts';
import type { Actor } from '../sharing/cases/case-rules.ts';
import { stateAfter } from '../sharing/cases/case-rules.ts';
import {
  hasEnded,
  type Case,
  type CaseCandidate,
  type CaseFacts,
  type CaseState,
  type CaseStep,
} from '../sharing/cases/case.ts';
import {
  CASE_COLUMNS,
  insertCase,
  LISTED_COLUMNS,
  openCase,
  readSteps,
  updateCase,
  type CaseRow,
  type ListedRow,
} from './case-rows.ts';
import { holdKeys } from './held-keys.ts';
import { sealProbe, unsealProbe } from './sealed-probes.ts';
import type { StoreTurns } from './store-turns.ts';
import { inTransaction, READ_ONLY } from './transaction.ts';

/** Cases of an agency that have not ended: more are not looked at in time. */
const MAX_OPEN = 10_000;
/** Cases whose time is up that end in one transaction. */
const EXPIRED_AT_ONCE = 50;

/** What a search says of the case that it opens. */
export interface Opening extends Omit<CaseFacts, 'caseId' | 'createTime' | 'expireTime' | 'candidates'> {
  readonly candidates: readonly Omit<CaseCandidate, 'subjectVersion'>[];
}

/** A probe that is destroyed: what its receipt says. */
export interface DestroyedProbe {
  readonly caseId: string;
  readonly at: Date;
  readonly state: 'closed' | 'expired';
  /** SHA-256 of the encrypted probe, hexadecimal; without its key it tells nothing of the probe. */
  readonly sealedDigest: string;
}

/** Signs the receipt of a destroyed probe. @returns JSON */
export type SignProbe = (destroyed: DestroyedProbe) => string;

/** A step, and what of the client that takes it matters; `hasEnrolled` is looked up here. */
export interface Taking {
  readonly step: CaseStep;
  readonly actor: Omit<Actor, 'hasEnrolled'>;
}

export interface FoundCase {
  readonly found: Case;
  readonly hasEnrolled: boolean;
  /** @throws Failure KEY_MISSING, SEALED_DATA_DAMAGED @returns undefined: it is destroyed */
  probe(): Buffer | undefined;
}

export interface CasePage {
  readonly cases: readonly Case[];
  /** Ids of cases of the page that are not what was written. */
  readonly damaged: readonly string[];
  /** Where the next page continues; undefined: this is the last one. */
  readonly next: string | undefined;
}

export class CaseStore {
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
   * Opens a case; it is durable when this resolves.
   * @param lifeMs - time until it expires
   * @throws Failure TOO_MANY_CASES
   */
  open(opening: Opening, probe: Uint8Array, lifeMs: number, asker: Asker): Promise<string> {
    const work = async (client: pg.PoolClient) => {
      await holdKeys(client, this.#keys);
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM (
           SELECT FROM review_case WHERE agency = $1 AND probe IS NOT NULL LIMIT ${MAX_OPEN}) present`,
        [opening.agency],
      );
      if ((rows[0]?.count ?? 0) >= MAX_OPEN) throw tooMany();
      const createTime = new Date();
      const facts = {
        ...opening,
        candidates: await withVersions(client, opening.candidates),
        caseId: newId(),
        createTime,
        expireTime: new Date(createTime.getTime() + lifeMs),
      };
      await insertCase(client, this.#keys, facts, sealProbe(this.#keys, facts.caseId, probe));
      return facts.caseId;
    };
    return this.#turns.take('change', asker, () => inTransaction(this.#pool, work));
  }

  /** @throws Failure CASE_NOT_FOUND, CASE_DAMAGED */
  get(caseId: string, clientId: string, asker: Asker): Promise<FoundCase> {
    const read = async (client: pg.PoolClient): Promise<FoundCase> => {
      const sql = `SELECT ${CASE_COLUMNS} FROM review_case WHERE case_id = $1`;
      const { rows } = await client.query<CaseRow>(sql, [caseId]);
      const { row, found } = await this.#opened(client, rows[0]);
      const probe = () => probeOf(this.#keys, row);
      return { found, hasEnrolled: await hasEnrolled(client, clientId, found), probe };
    };
    return this.#turns.take('read', asker, () => inTransaction(this.#pool, read, READ_ONLY));
  }

  /**
   * Takes a step, on a row that stays as it is until it is done: of two that fit only one after the other, the second one
   * finds the first.
   * @param take - asks the policies about the case as it is now; its Failure is thrown
   * @throws Failure CASE_NOT_FOUND, CASE_DAMAGED; as `stateAfter`
   */
  take(caseId: string, take: (found: Case) => Taking, sign: SignProbe, asker: Asker): Promise<FoundCase> {
    const work = async (client: pg.PoolClient): Promise<FoundCase> => {
      await holdKeys(client, this.#keys);
      const sql = `SELECT ${CASE_COLUMNS} FROM review_case WHERE case_id = $1 FOR UPDATE`;
      const { rows } = await client.query<CaseRow>(sql, [caseId]);
      const { row, found, texts } = await this.#opened(client, rows[0]);
      const { step, actor } = take(found);
      const isOwn = await hasEnrolled(client, actor.clientId, found);
      const state = stateAfter(found, step, { ...actor, hasEnrolled: isOwn });
      const at = new Date(step.at);
      const ends = hasEnded(state) && !hasEnded(row.state);
      const receipt = ends ? sign(destroyedBy(row, at, state)) : row.receipt;
      const change = { state, close_time: ends ? at : row.close_time, receipt };
      const steps = [...texts, JSON.stringify(step)];
      await client.query('INSERT INTO case_step (case_id, ordinal, step) VALUES ($1, $2, $3)', [
        ...[caseId, texts.length, steps.at(-1)],
      ]);
      await updateCase(client, this.#keys, row, change, steps);
      const after = {
        ...found,
        steps: [...found.steps, step],
        state: change.state,
        closeTime: change.close_time ?? undefined,
        receipt: receipt ?? undefined,
      };
      return { found: after, hasEnrolled: isOwn, probe: () => (ends ? undefined : probeOf(this.#keys, row)) };
    };
    return this.#turns.take('change', asker, () => inTransaction(this.#pool, work));
  }

  /** Cases of an agency, oldest first. @param after - id of a case; undefined: from the first one */
  list(
    agency: string,
    state: CaseState | undefined,
    after: string | undefined,
    limit: number,
    asker: Asker,
  ): Promise<CasePage> {
    const read = async (client: pg.PoolClient): Promise<CasePage> => {
      // One whose time is up has expired, whether its row says so yet or not.
      const { rows } = await client.query<ListedRow>(
        `SELECT ${LISTED_COLUMNS} FROM review_case WHERE agency = $1 AND ($2::uuid IS NULL OR case_id > $2)
           AND ($3::text IS NULL
             OR CASE WHEN state NOT IN ('closed', 'expired') AND expire_time <= $4 THEN 'expired' ELSE state END = $3)
         ORDER BY case_id LIMIT $5`,
        [agency, after ?? null, state ?? null, new Date(), limit + 1],
      );
      const page = rows.slice(0, limit);
      const steps = await readSteps(
        client,
        page.map(({ case_id }) => case_id),
      );
      const opened = page.map((row) => openCase(this.#keys, row, steps.get(row.case_id) ?? []));
      return {
        cases: opened.filter((one) => one !== undefined),
        damaged: page.filter((_, i) => opened[i] === undefined).map(({ case_id }) => case_id),
        next: rows.length > limit ? page.at(-1)?.case_id : undefined,
      };
    };
    return this.#turns.take('listing', asker, () => inTransaction(this.#pool, read, READ_ONLY));
  }

  /**
   * Ends cases whose time is up, and destroys their probes. One that was changed in the database loses its probe as well,
   * and stays damaged. Several services do not wait for each other.
   * @returns number of cases
   */
  expire(now: Date, sign: SignProbe): Promise<number> {
    return inTransaction(this.#pool, async (client) => {
      await holdKeys(client, this.#keys);
      const { rows } = await client.query<CaseRow>(
        `SELECT ${CASE_COLUMNS} FROM review_case WHERE probe IS NOT NULL AND expire_time <= $1
         ORDER BY expire_time LIMIT ${EXPIRED_AT_ONCE} FOR UPDATE SKIP LOCKED`,
        [now],
      );
      const steps = await readSteps(
        client,
        rows.map(({ case_id }) => case_id),
      );
      for (const row of rows) {
        const texts = steps.get(row.case_id) ?? [];
        const isSound = openCase(this.#keys, row, texts) !== undefined;
        const change = { state: 'expired' as const, close_time: now, receipt: sign(destroyedBy(row, now, 'expired')) };
        if (isSound) await updateCase(client, this.#keys, row, change, texts);
        else
          await client.query(
            `UPDATE review_case SET state = 'expired', probe = NULL, probe_key = NULL, probe_key_id = NULL
             WHERE case_id = $1`,
            [row.case_id],
          );
      }
      return rows.length;
    });
  }

  async #opened(client: pg.PoolClient, row: CaseRow | undefined) {
    if (row === undefined) throw caseNotFound();
    const texts = (await readSteps(client, [row.case_id])).get(row.case_id) ?? [];
    const found = openCase(this.#keys, row, texts);
    if (found === undefined) throw damaged();
    return { row, found, texts };
  }
}

/** The versions of the subjects now; 0: it was expunged since the search. */
async function withVersions(client: pg.PoolClient, candidates: Opening['candidates']): Promise<CaseCandidate[]> {
  const { rows } = await client.query<{ subject_id: string; version: string }>(
    'SELECT subject_id, version FROM subject WHERE subject_id = ANY($1)',
    [candidates.map(({ subjectId }) => subjectId)],
  );
  const versions = new Map(rows.map(({ subject_id, version }) => [subject_id, Number(version)]));
  return candidates.map((one) => ({ ...one, subjectVersion: versions.get(one.subjectId) ?? 0 }));
}

/**
 * Whether a client enrolled or changed one of the candidates: the audit says so. Records from before the audit, and
 * imports, which are the service's own, name no client.
 */
async function hasEnrolled(client: pg.PoolClient, clientId: string, { facts }: Case): Promise<boolean> {
  // Quotes within a text are escaped in canonical JSON: no text of a caller has these patterns.
  const { rows } = await client.query(
    `SELECT FROM audit_record WHERE subjects && $1::uuid[] AND client_id = $2
       AND (entry LIKE '%"method":"Gallery/Enroll%' OR entry LIKE '%"method":"Gallery/UpdateSubject"%') LIMIT 1`,
    [facts.candidates.map(({ subjectId }) => subjectId), clientId],
  );
  return rows.length > 0;
}

function probeOf(keys: Keys, { case_id, probe, probe_key, probe_key_id }: CaseRow): Buffer | undefined {
  if (probe === null || probe_key === null || probe_key_id === null) return undefined;
  return unsealProbe(keys, case_id, { probe, probe_key, probe_key_id });
}

function destroyedBy({ case_id, probe }: CaseRow, at: Date, state: CaseState): DestroyedProbe {
  const sealedDigest = createHash('sha256')
    .update(probe ?? '')
    .digest('hex');
  return { caseId: case_id, at, state: state === 'expired' ? 'expired' : 'closed', sealedDigest };
}

/** Also where the caller may not know of it. */
export function caseNotFound(): Failure {
  return new Failure('not-found', 'CASE_NOT_FOUND', 'There is no case with this id.', { field: 'case_id' });
}

function damaged(): Failure {
  const sentence = 'What is stored of the case is not what was written, or its key is gone. It decides nothing.';
  return new Failure('failed-precondition', 'CASE_DAMAGED', sentence, { field: 'case_id' });
}

function tooMany(): Failure {
  const sentence = `The agency has ${MAX_OPEN} cases that have not ended: search without open_case, or let them be decided.`;
  return new Failure('resource-exhausted', 'TOO_MANY_CASES', sentence, { field: 'open_case' });
}
