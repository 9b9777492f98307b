/**
 * Rows of `subject_history`: who made a change, and what it changed. Each has a MAC over all of it: what an attacker in
 * the database adds or edits there is not told as history.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type pg from 'pg';
import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';

/** Who makes a change. */
export interface Author {
  readonly clientId: string;
  readonly agency: string;
}

const text = z.string();
const reference = z.object({
  reference_id: text,
  /** SHA-256 of what was stored beside the template, hexadecimal; empty: it could not be read. */
  digest: text,
});
const contentSchema = z.object({
  /** Changed fields. A value that is no list has one element, or none when it is not set. */
  fields: z.array(z.object({ field: text, before: z.array(text), after: z.array(text) })).default([]),
  removed: z.array(reference).default([]),
  added: z.array(reference).default([]),
});

/** What a change changed. */
export type HistoryContent = Readonly<z.output<typeof contentSchema>>;

export const NO_CONTENT: HistoryContent = { fields: [], removed: [], added: [] };

/** A row to add. */
export interface NewHistory {
  readonly subjectId: string;
  /** The subject's version after the change. */
  readonly version: number;
  readonly author: Author;
  readonly content: HistoryContent;
}

export interface HistoryRow {
  readonly history_id: string;
  readonly subject_id: string;
  readonly version: string;
  readonly client_id: string;
  readonly agency: string;
  readonly content: string;
  readonly mac: Buffer;
  readonly mac_key_id: string;
}

export const HISTORY_COLUMNS = 'history_id, subject_id, version, client_id, agency, content, mac, mac_key_id';

type Signed = Omit<HistoryRow, 'mac' | 'mac_key_id'>;
type Client = Pick<pg.ClientBase, 'query'>;

/** Adds rows with their MACs. @param client - that holds the keys, see holdKeys */
export async function insertHistory(client: Client, keys: Keys, entries: readonly NewHistory[]): Promise<void> {
  if (entries.length === 0) return;
  const keyId = keys.ring.currentId;
  const rows = entries.map(({ subjectId, version, author, content }): Signed => {
    const { fields, removed, added } = content;
    const isEmpty = fields.length + removed.length + added.length === 0;
    return {
      ...{ history_id: newId(), subject_id: subjectId, version: String(version) },
      ...{ client_id: author.clientId, agency: author.agency },
      content: isEmpty ? '{}' : JSON.stringify(content),
    };
  });
  await client.query(
    `INSERT INTO subject_history (${HISTORY_COLUMNS})
     SELECT h.*, $8 FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[]) AS h`,
    [
      rows.map((row) => row.history_id),
      rows.map((row) => row.subject_id),
      rows.map((row) => row.version),
      rows.map((row) => row.client_id),
      rows.map((row) => row.agency),
      rows.map((row) => row.content),
      rows.map((row) => historyMac(keys, keyId, row)),
      keyId,
    ],
  );
}

/** Removes the history of a subject whose row is gone. The database refuses it while the row is there. */
export async function removeHistory(client: Client, subjectId: string): Promise<void> {
  await client.query('DELETE FROM subject_history WHERE subject_id = $1', [subjectId]);
}

/** @returns undefined: the row is not what was written, or was made with a key that is not there any more */
export function openHistory(keys: Keys, row: HistoryRow): { author: Author; content: HistoryContent } | undefined {
  if (!fits(keys, row)) return undefined;
  const content = contentSchema.parse(JSON.parse(row.content));
  return { author: { clientId: row.client_id, agency: row.agency }, content };
}

/** Whether the MAC of a row is the one that this program made. */
export function fits(keys: Keys, row: HistoryRow): boolean {
  try {
    const tag = historyMac(keys, row.mac_key_id, row);
    return row.mac.length === tag.length && timingSafeEqual(row.mac, tag);
  } catch (error) {
    if (error instanceof Failure && error.reason === 'KEY_MISSING') return false;
    throw error;
  }
}

/** HMAC-SHA-256 (RFC 2104). JSON of an array of fixed length is unambiguous. @throws Failure KEY_MISSING */
export function historyMac(keys: Keys, keyId: string, row: Signed): Buffer {
  const facts = [row.history_id, row.subject_id, Number(row.version), row.client_id, row.agency, row.content];
  return createHmac('sha256', keys.key(keyId, 'history'))
    .update(`ridgewatch subject history 1 ${JSON.stringify(facts)}`)
    .digest();
}
