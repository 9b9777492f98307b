/** Renews the MACs of subjects that a repair changes: they say less than before, and nothing else. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import { ROW_MAC_MISMATCH } from './proven-subjects.ts';
import { putBack } from './put-back.ts';
import { galleriesDigest, macOf, openMac, referenceDigest, type ProvenParts } from './row-macs.ts';
import { REFERENCE_FACTS, SUBJECT_FACTS, type ReferenceRow, type SubjectRow } from './row-shapes.ts';
import { factsOf, factsOfReference } from './rows.ts';
import { subjectUnreadable } from './subject-failure.ts';

/**
 * Counts a change of a subject, and renews its MAC for the references that it still has.
 * @returns the new version
 * @throws Failure ROW_MAC_MISMATCH: its rows were changed outside this program
 */
export async function renewForReferences(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  now: Date,
): Promise<number> {
  const sql = `SELECT ${REFERENCE_FACTS} FROM reference WHERE subject_id = $1 ORDER BY ordinal`;
  const { rows } = await client.query<Omit<ReferenceRow, 'template'>>(sql, [subjectId]);
  const left = rows.filter(isPossibleReference).map((row) => referenceDigest(row.ordinal, factsOfReference(row)));
  return renew(client, keys, subjectId, now, ({ galleries, references }) => {
    if (left.some((digest) => !references.some((listed) => listed.equals(digest)))) return undefined;
    return { galleries, references: left };
  });
}

/**
 * Counts a change of a subject, and renews its MAC for the memberships that it has now.
 * @returns the new version; undefined: its row was changed outside this program, and stays as it is
 */
export async function renewForGalleries(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  now: Date,
): Promise<number | undefined> {
  const sql = 'SELECT gallery FROM gallery_membership WHERE subject_id = $1';
  const { rows } = await client.query<{ gallery: string }>(sql, [subjectId]);
  const galleries = galleriesDigest(rows.map(({ gallery }) => gallery));
  if ((await rowOf(client, keys, subjectId)) === undefined) return undefined;
  return renew(client, keys, subjectId, now, ({ references }) => ({ galleries, references }));
}

async function renew(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  now: Date,
  changed: (parts: ProvenParts) => ProvenParts | undefined,
): Promise<number> {
  const row = await rowOf(client, keys, subjectId);
  const parts = row === undefined ? undefined : changed(row.parts);
  if (row === undefined || parts === undefined) throw subjectUnreadable(ROW_MAC_MISMATCH);
  const version = row.subject.version + 1;
  const mac = macOf(keys, { ...row.subject, version, updateTime: now }, parts);
  await client.query(
    'UPDATE subject SET version = $2, update_time = $3, mac_key_id = $4, mac = $5 WHERE subject_id = $1',
    [subjectId, version, now, mac.keyId, mac.bytes],
  );
  return version;
}

/** A subject whose row fits its MAC and its last change, locked until the transaction ends. */
async function rowOf(client: pg.PoolClient, keys: Keys, subjectId: string) {
  const sql = `SELECT ${SUBJECT_FACTS} FROM subject s WHERE s.subject_id = $1 FOR UPDATE`;
  const { rows } = await client.query<Omit<SubjectRow, 'galleries'>>(sql, [subjectId]);
  const [row] = rows;
  if (row === undefined || !isPossibleSubject({ ...row, galleries: [] })) return undefined;
  const subject = { ...factsOf(row), galleries: [] };
  const parts = openMac(keys, subject, row);
  if (parts === undefined || (await putBack(client, keys, subject)) !== undefined) return undefined;
  return { subject, parts };
}
