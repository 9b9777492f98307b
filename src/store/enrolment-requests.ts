/** Request ids of enrolments: each enrols one subject. */
import type pg from 'pg';
import { inOrderOf } from './insertion-order.ts';
import type { NewEnrolment } from './records.ts';

export interface StoredRequest {
  readonly contributor: string;
  readonly client_request_id: string;
  readonly subject_id: string;
  readonly digest: Buffer | null;
}

/**
 * Inserts the request ids in a fixed order, which prevents deadlocks between batches. If another transaction is
 * inserting the same id, this one waits for its outcome.
 * @returns the enrolments whose id was already known
 */
export async function claimRequests(
  client: pg.PoolClient,
  enrolments: readonly NewEnrolment[],
): Promise<Set<NewEnrolment>> {
  const named = enrolments.filter(({ clientRequest }) => clientRequest !== undefined);
  if (named.length === 0) return new Set();
  const ordered = inOrderOf(named, requestKey);
  const { rows } = await client.query<{ subject_id: string }>(
    `INSERT INTO enrolment_request (contributor, client_request_id, subject_id, digest)
     SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[]) AS r
     ON CONFLICT (contributor, client_request_id) DO NOTHING RETURNING subject_id`,
    [
      ordered.map(({ subject }) => subject.contributor),
      ordered.map(({ clientRequest }) => clientRequest?.id),
      ordered.map(({ subject }) => subject.subjectId),
      ordered.map(({ clientRequest }) => Buffer.from(clientRequest?.digest ?? [])),
    ],
  );
  const claimed = new Set(rows.map(({ subject_id }) => subject_id));
  return new Set(named.filter(({ subject }) => !claimed.has(subject.subjectId)));
}

/** Releases the request ids of refused enrolments: the caller may correct and repeat them. */
export async function releaseRequests(client: pg.PoolClient, refused: readonly NewEnrolment[]): Promise<void> {
  if (refused.length === 0) return;
  const ids = refused.map(({ subject }) => subject.subjectId);
  await client.query('DELETE FROM enrolment_request WHERE subject_id = ANY($1)', [ids]);
}

export async function readRequests(
  client: pg.PoolClient,
  enrolments: readonly NewEnrolment[],
): Promise<Map<string, StoredRequest>> {
  if (enrolments.length === 0) return new Map();
  const { rows } = await client.query<StoredRequest>(
    `SELECT e.* FROM enrolment_request e JOIN unnest($1::text[], $2::text[]) AS r(contributor, id)
     ON e.contributor = r.contributor AND e.client_request_id = r.id`,
    [enrolments.map(({ subject }) => subject.contributor), enrolments.map(({ clientRequest }) => clientRequest?.id)],
  );
  return new Map(rows.map((row) => [JSON.stringify([row.contributor, row.client_request_id]), row]));
}

export function requestKey({ subject, clientRequest }: NewEnrolment): string {
  return JSON.stringify([subject.contributor, clientRequest?.id]);
}
