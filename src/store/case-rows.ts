/**
 * Rows of cases. One MAC covers the facts of a case, its state and all of its steps: none can be changed, added, removed
 * or exchanged in the database unseen.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import type { Case, CaseFacts, CaseState, CaseStep } from '../sharing/cases/case.ts';
import type { SealedProbe } from './sealed-probes.ts';

export interface CaseRow {
  readonly case_id: string;
  readonly agency: string;
  readonly state: CaseState;
  readonly create_time: Date;
  readonly expire_time: Date;
  readonly close_time: Date | null;
  readonly facts: string;
  readonly probe: Buffer | null;
  readonly probe_key: Buffer | null;
  readonly probe_key_id: string | null;
  readonly receipt: string | null;
  readonly mac: Buffer;
  readonly mac_key_id: string;
}

export const CASE_COLUMNS =
  'case_id, agency, state, create_time, expire_time, close_time, facts, probe, probe_key, probe_key_id, receipt, mac, mac_key_id';

/** Without the probe, which a list does not need. */
export const LISTED_COLUMNS =
  'case_id, agency, state, create_time, expire_time, close_time, facts, receipt, mac, mac_key_id';

export type ListedRow = Omit<CaseRow, 'probe' | 'probe_key' | 'probe_key_id'>;

type Client = Pick<pg.ClientBase, 'query'>;

/** Texts of the steps of cases, in order. */
export async function readSteps(client: Client, caseIds: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ case_id: string; step: string }>(
    'SELECT case_id, step FROM case_step WHERE case_id = ANY($1) ORDER BY case_id, ordinal',
    [caseIds],
  );
  const steps = Map.groupBy(rows, ({ case_id }) => case_id);
  return new Map([...steps].map(([caseId, own]) => [caseId, own.map(({ step }) => step)]));
}

/** @returns undefined: the rows are not what was written, or were made with a key that is not there any more */
export function openCase(keys: Keys, row: ListedRow, steps: readonly string[]): Case | undefined {
  let tag: Buffer;
  try {
    tag = tagOf(keys, row.mac_key_id, row, steps);
  } catch (error) {
    if (error instanceof Failure && error.reason === 'KEY_MISSING') return undefined;
    throw error;
  }
  if (row.mac.length !== tag.length || !timingSafeEqual(row.mac, tag)) return undefined;
  const { case_id: caseId, agency, create_time: createTime, expire_time: expireTime } = row;
  return {
    facts: { ...(JSON.parse(row.facts) as Kept), caseId, agency, createTime, expireTime },
    state: row.state,
    steps: steps.map((step) => JSON.parse(step) as CaseStep),
    closeTime: row.close_time ?? undefined,
    receipt: row.receipt ?? undefined,
  };
}

/** What has no column of its own. */
type Kept = Omit<CaseFacts, 'caseId' | 'agency' | 'createTime' | 'expireTime'>;

export async function insertCase(client: Client, keys: Keys, facts: CaseFacts, sealed: SealedProbe): Promise<void> {
  const { caseId, agency, createTime, expireTime, openedBy, checkpointId, purpose, requestId, candidates } = facts;
  const kept: Kept = { openedBy, checkpointId, purpose, requestId, candidates };
  const row = {
    ...{ case_id: caseId, agency, state: 'open' as const, create_time: createTime, expire_time: expireTime },
    ...{ close_time: null, facts: JSON.stringify(kept), receipt: null },
  };
  const keyId = keys.ring.currentId;
  await client.query(
    `INSERT INTO review_case (${CASE_COLUMNS}) VALUES ($1, $2, $3, $4, $5, NULL, $6, $7, $8, $9, NULL, $10, $11)`,
    [
      ...[caseId, agency, row.state, createTime, expireTime, row.facts],
      ...[sealed.probe, sealed.probe_key, sealed.probe_key_id, tagOf(keys, keyId, row, []), keyId],
    ],
  );
}

/** What a step, or the time, makes of a row; with a receipt the probe is destroyed. */
export type CaseChange = Pick<ListedRow, 'state' | 'close_time' | 'receipt'>;

/** Writes the new state of a case with its MAC. @param steps - all of them, with the new one */
export async function updateCase(
  client: Client,
  keys: Keys,
  row: ListedRow,
  change: CaseChange,
  steps: readonly string[],
): Promise<void> {
  const keyId = keys.ring.currentId;
  const { state, close_time, receipt } = change;
  const destroyed = receipt === null ? '' : ', probe = NULL, probe_key = NULL, probe_key_id = NULL';
  await client.query(
    `UPDATE review_case SET state = $2, close_time = $3, receipt = $4, mac = $5, mac_key_id = $6${destroyed}
     WHERE case_id = $1`,
    [row.case_id, state, close_time, receipt, tagOf(keys, keyId, { ...row, ...change }, steps), keyId],
  );
}

/** HMAC-SHA-256 (RFC 2104). Times count in milliseconds; PostgreSQL's infinite ones read as numbers, which fit no MAC. */
function tagOf(
  keys: Keys,
  keyId: string,
  row: Omit<ListedRow, 'mac' | 'mac_key_id'>,
  steps: readonly string[],
): Buffer {
  const { case_id, agency, state, create_time, expire_time, close_time, facts, receipt } = row;
  const times = [+create_time, +expire_time, close_time === null ? null : +close_time];
  const digests = steps.map((step) => createHash('sha256').update(step).digest('base64'));
  const covered = JSON.stringify([case_id, agency, state, ...times, facts, receipt, digests]);
  return createHmac('sha256', keys.key(keyId, 'case')).update(`ridgewatch case 1 ${covered}`).digest();
}
