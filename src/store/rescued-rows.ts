/** Reads rows of readable blocks when indexes cannot find them. */
import type pg from 'pg';
import { readAround, readBlocks, tryRead, type BlocksAtHand } from './damaged-pages.ts';
import type { DamagedReference } from './records.ts';
import { REFERENCE_FACTS, SUBJECT_FACTS, type ReferenceRow, type SubjectRow } from './row-shapes.ts';

type Client = Pick<pg.ClientBase, 'query'>;
/** `place`: the row's ctid, which finds it without an index. */
type Facts = Omit<ReferenceRow, 'template'> & { readonly place: string };

/** Reads the subjects in readable blocks. */
export async function rescueSubjects(
  client: Client,
  blocks: BlocksAtHand,
  ids: readonly string[],
): Promise<Omit<SubjectRow, 'galleries'>[]> {
  const { readable } = await blocks.of('subject');
  const sql = (within: string) => `SELECT ${SUBJECT_FACTS} FROM subject s WHERE s.subject_id = ANY($1) AND ${within}`;
  return readBlocks<Omit<SubjectRow, 'galleries'>>(client, readable, sql, [ids]);
}

/**
 * The readable galleries of subjects.
 * @returns `unsure`: subjects that may belong to further galleries
 */
export async function membershipsOf(
  client: Client,
  blocks: BlocksAtHand,
  ids: readonly string[],
): Promise<{ readonly galleries: Map<string, string[]>; readonly unsure: Set<string> }> {
  type Membership = { readonly subject_id: string; readonly gallery: string };
  const sql = 'SELECT subject_id, gallery FROM gallery_membership WHERE subject_id = ANY($1)';
  const read = async (some: readonly string[]) => (await client.query<Membership>(sql, [some])).rows;
  // Unlimited attempts: finally each subject is read alone, which separates readable memberships from incomplete ones.
  const { rows, failed } = await readAround(client, ids, read, Infinity);
  let unsure: readonly string[] = [];
  if (failed.length > 0) {
    const { readable, damaged } = await blocks.of('gallery_membership');
    const condition = (within: string) => `${sql} AND ${within}`;
    rows.push(...(await readBlocks<Membership>(client, readable, condition, [failed])));
    if (damaged.length > 0) unsure = failed;
  }
  const galleries = new Map<string, string[]>();
  for (const { subject_id, gallery } of rows)
    galleries.set(subject_id, [...(galleries.get(subject_id) ?? []), gallery]);
  for (const names of galleries.values()) names.sort();
  return { galleries, unsure: new Set(unsure) };
}

/** Ids of the subjects in readable blocks that match a condition, in order. */
export async function readableSubjectIds(
  client: Client,
  blocks: BlocksAtHand,
  condition: string,
  values: readonly unknown[],
  limit?: number,
): Promise<string[]> {
  const { readable } = await blocks.of('subject');
  const end = limit === undefined ? '' : `ORDER BY s.subject_id LIMIT ${Math.floor(limit)}`;
  const rows = await readBlocks<{ subject_id: string }>(
    client,
    readable,
    (within) =>
      `SELECT s.subject_id FROM subject s WHERE ${condition} AND s.${within.replace(' AND ', ' AND s.')} ${end}`,
    values,
  );
  return rows
    .map(({ subject_id }) => subject_id)
    .sort()
    .slice(0, limit);
}

/** The references of unreadable subjects. */
export async function referencesOfUnreadable(
  client: Client,
  blocks: BlocksAtHand,
  subjectIds: readonly string[],
): Promise<DamagedReference[]> {
  type Named = Pick<ReferenceRow, 'reference_id' | 'subject_id'>;
  const sql = 'SELECT reference_id, subject_id FROM reference WHERE subject_id = ANY($1)';
  const read = async (ids: readonly string[]) => (await client.query<Named>(sql, [ids])).rows;
  const { rows, failed } = await readAround(client, subjectIds, read);
  if (failed.length > 0) {
    const { readable } = await blocks.of('reference');
    rows.push(...(await readBlocks<Named>(client, readable, (within) => `${sql} AND ${within}`, [failed])));
  }
  rows.sort((a, b) => (a.reference_id < b.reference_id ? -1 : 1));
  const bySubject = Map.groupBy(rows, ({ subject_id }) => subject_id);
  return subjectIds.flatMap((subjectId) =>
    (bySubject.get(subjectId) ?? [{ reference_id: '' }]).map(({ reference_id }) => ({
      referenceId: reference_id,
      subjectId,
      reason: 'SUBJECT_DAMAGED',
    })),
  );
}

/** Subjects that references name but no readable block contains. */
export async function lostSubjects(client: Client, blocks: BlocksAtHand): Promise<string[]> {
  const { readable: own } = await blocks.of('subject');
  const present = await readBlocks<{ subject_id: string }>(
    client,
    own,
    (within) => `SELECT subject_id FROM subject WHERE ${within}`,
  );
  const { readable } = await blocks.of('reference');
  const named = await readBlocks<{ subject_id: string }>(
    client,
    readable,
    (within) => `SELECT DISTINCT subject_id FROM reference WHERE ${within}`,
  );
  const known = new Set(present.map(({ subject_id }) => subject_id));
  return [...new Set(named.map(({ subject_id }) => subject_id))].filter((id) => !known.has(id)).sort();
}

/** The readable references of subjects whose references cannot be read together. */
export async function rescueReferences(
  client: Client,
  blocks: BlocksAtHand,
  subjectIds: readonly string[],
): Promise<{ readonly rows: ReferenceRow[]; readonly damaged: DamagedReference[] }> {
  const facts = `SELECT ${REFERENCE_FACTS}, ctid::text AS place FROM reference WHERE subject_id = ANY($1)`;
  const { rows, failed } = await readAround(
    client,
    subjectIds,
    async (ids) => (await client.query<Facts>(facts, [ids])).rows,
    Infinity,
  );
  const damaged: DamagedReference[] = [];
  if (failed.length > 0) {
    const { readable, damaged: lost } = await blocks.of('reference');
    rows.push(...(await readBlocks<Facts>(client, readable, (within) => `${facts} AND ${within}`, [failed])));
    // The blocks do not reveal which of their references are affected; see damaged-names.ts. If only an index is
    // damaged, nothing is lost.
    if (lost.length > 0)
      damaged.push(...failed.map((subjectId) => ({ referenceId: '', subjectId, reason: 'STORE_DAMAGED' })));
  }
  rows.sort((a, b) => (a.subject_id < b.subject_id ? -1 : a.subject_id > b.subject_id ? 1 : a.ordinal - b.ordinal));
  const whole: ReferenceRow[] = [];
  for (const row of rows) {
    const sql = 'SELECT template FROM reference WHERE ctid = $1::tid';
    const found = await tryRead(client, () => client.query<{ template: Buffer }>(sql, [row.place]));
    const template = found?.rows[0]?.template;
    if (template === undefined) damaged.push(damagedReference(row, 'STORE_DAMAGED'));
    else whole.push({ ...row, template });
  }
  return { rows: whole, damaged };
}

export function damagedReference(
  { reference_id, subject_id }: Pick<ReferenceRow, 'reference_id' | 'subject_id'>,
  reason: string,
): DamagedReference {
  return { referenceId: reference_id, subjectId: subject_id, reason };
}
