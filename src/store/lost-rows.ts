/**
 * Finds rows that are missing without a database error, and their subjects, as precisely as the remaining data allows.
 */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { isEnrolled, lastChanges } from './change-proofs.ts';
import { galleriesOf, uuidOf } from './damaged-names.ts';
import { BlocksAtHand, fromTables, readBlocks, tryRead } from './damaged-pages.ts';
import { hasExtension } from './database-extensions.ts';
import { findLostEntries, type LostEntry } from './lost-places.ts';
import { vanishedSubjects } from './rebuilt-changes.ts';
import { ROW_MAC_MISMATCH } from './proven-subjects.ts';
import type { DamagedReference } from './records.ts';
import { referencesOfUnreadable } from './rescued-rows.ts';
import { readTables } from './tables.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** The lost rows of a table. */
export interface LostOfTable {
  readonly table: string;
  readonly blocks: readonly number[];
  /** Number of rows; some of them may have been deleted shortly before. */
  readonly rows: number;
}

export interface LostRows {
  /** Missing references of existing subjects. */
  readonly references: readonly DamagedReference[];
  /** References of missing subjects; for a subject without any remaining data, one reference without an id. */
  readonly unreadable: readonly DamagedReference[];
  /** Galleries with lost memberships, by subject; empty: the galleries cannot be named. */
  readonly galleries: ReadonlyMap<string, readonly string[]>;
  readonly tables: readonly LostOfTable[];
}

/**
 * @param client - in a transaction that may write and is rolled back
 * @param keys - of the MACs of changes
 */
export async function findLostRows(client: Client, keys: Keys): Promise<LostRows> {
  await withoutTimeLimit(client);
  // Created once instead of for every table.
  const hasPages = await hasExtension(client, 'pageinspect');
  const entries = new Map<string, LostEntry[]>();
  for (const table of await readTables(client))
    entries.set(table, (await findLostEntries(client, table, hasPages)) ?? []);
  const of = (table: string) => entries.get(table) ?? [];
  const blocks = new BlocksAtHand(client);
  const vanished = await lostSubjects(client, keys, of('subject'));
  const gone = new Set(vanished);
  return {
    references: await lostReferences(client, blocks, of('reference'), gone),
    unreadable: vanished.length === 0 ? [] : await referencesOfUnreadable(client, blocks, vanished),
    galleries: lostGalleries(of('gallery_membership')),
    tables: [...entries].flatMap(([table, found]) => (found.length === 0 ? [] : [lostOf(table, found)])),
  };
}

export function lostOf(table: string, entries: readonly LostEntry[]): LostOfTable {
  const blocks = [...new Set(entries.map(({ block }) => block))].sort((a, b) => a - b);
  return { table, blocks, rows: new Set(entries.map(({ block, row }) => `${block},${row}`)).size };
}

/** Missing subjects: according to the changes, to the subjects' index, or to references without a subject. */
async function lostSubjects(client: Client, keys: Keys, entries: readonly LostEntry[]): Promise<string[]> {
  const noted = await tryRead(client, () => vanishedSubjects(client, keys));
  const known = keysOf(entries, 'subject_pkey').map(uuidOf);
  const sql = `SELECT DISTINCT subject_id FROM reference r
    WHERE NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = r.subject_id)`;
  const read = () => fromTables(client, () => client.query<{ subject_id: string }>(sql));
  const named = ((await tryRead(client, read))?.rows ?? []).map(({ subject_id }) => subject_id);
  const present = await presentOf(client, 'subject', 'subject_id', known);
  const isExpunged = await expungedOf(client, keys, known);
  const more = known.filter((id) => !present.has(id) && !isExpunged.has(id));
  return [...new Set([...(noted ?? []), ...named, ...more])].sort();
}

async function lostReferences(
  client: Client,
  blocks: BlocksAtHand,
  entries: readonly LostEntry[],
  gone: ReadonlySet<string>,
): Promise<DamagedReference[]> {
  const subjectAt = new Map(
    entries.filter(({ index }) => index === 'reference_subject').map((one) => [placeOf(one), uuidOf(one.key)]),
  );
  const own = entries.filter(({ index }) => index === 'reference_pkey');
  const named = own.map((one) => ({ referenceId: uuidOf(one.key), subjectId: subjectAt.get(placeOf(one)) ?? '' }));
  const places = new Set(own.map(placeOf));
  const unnamed = [...subjectAt].flatMap(([place, subjectId]) => (places.has(place) ? [] : [subjectId]));
  // A row that was rewritten since lies in another place.
  const ids = named.map(({ referenceId }) => referenceId);
  const there = await presentOf(client, 'reference', 'reference_id', ids, blocks);
  const lost = new Map<string, DamagedReference>();
  const note = (referenceId: string, subjectId: string, reason = 'STORE_DAMAGED') =>
    lost.set(`${subjectId} ${referenceId}`, { referenceId, subjectId, reason });
  for (const { referenceId, subjectId } of named) if (!there.has(referenceId)) note(referenceId, subjectId);
  const of = new Set([...lost.values()].map(({ subjectId }) => subjectId));
  for (const subjectId of unnamed) if (!of.has(subjectId)) note('', subjectId);
  // No damage explains it.
  for (const subjectId of await withoutReferences(client))
    if (!of.has(subjectId) && !unnamed.includes(subjectId)) note('', subjectId, ROW_MAC_MISMATCH);
  const subjects = [...new Set([...lost.values()].map(({ subjectId }) => subjectId))].filter((id) => id !== '');
  const present = await presentOf(client, 'subject', 'subject_id', subjects);
  // References of missing subjects are reported with these subjects, and references of expunged subjects are no loss.
  return [...lost.values()].filter(
    ({ subjectId }) => subjectId === '' || (present.has(subjectId) && !gone.has(subjectId)),
  );
}

/** Subjects without a reference: every subject is enrolled with at least one. */
async function withoutReferences(client: Client): Promise<string[]> {
  const sql = `SELECT subject_id FROM subject s
    WHERE NOT EXISTS (SELECT FROM reference r WHERE r.subject_id = s.subject_id)`;
  const read = () => fromTables(client, () => client.query<{ subject_id: string }>(sql));
  // On damage nothing is reported here: the readable rows are checked one by one elsewhere.
  return ((await tryRead(client, read))?.rows ?? []).map(({ subject_id }) => subject_id);
}

function lostGalleries(entries: readonly LostEntry[]): Map<string, string[]> {
  const found = galleriesOf(entries.filter(({ index }) => index === 'gallery_membership_pkey'));
  for (const key of keysOf(entries, 'gallery_membership_subject')) {
    const subjectId = uuidOf(key);
    if (!found.has(subjectId)) found.set(subjectId, []);
  }
  return found;
}

function keysOf(entries: readonly LostEntry[], name: string): Buffer[] {
  return entries.filter(({ index }) => index === name).map(({ key }) => key);
}

function placeOf({ block, row }: LostEntry): string {
  return `${block},${row}`;
}

/** The ids that exist in a table, read without its indexes. */
async function presentOf(
  client: Client,
  table: string,
  column: string,
  ids: readonly string[],
  blocks = new BlocksAtHand(client),
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { readable } = await blocks.of(table);
  const sql = (within: string) => `SELECT ${column} AS id FROM ${table} WHERE ${column} = ANY($1) AND ${within}`;
  const rows = await readBlocks<{ id: string }>(client, readable, sql, [ids]);
  return new Set(rows.map(({ id }) => id));
}

/** The subjects that are expunged according to the readable changes. */
async function expungedOf(client: Client, keys: Keys, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const read = () => fromTables(client, () => lastChanges(client, keys, ids));
  const last = await tryRead(client, read);
  return new Set(ids.filter((id) => last?.has(id) === true && !isEnrolled(last.get(id))));
}
