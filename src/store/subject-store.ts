import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { appendChanges, readChanges, readHead, readSchema, readState } from './changes.ts';
import { enrolMany, insertReferences, type EnrolmentOutcome } from './enrolments.ts';
import type {
  Change,
  ClientRequest,
  Enrolled,
  Expunged,
  ListFilter,
  NewEnrolment,
  NewReference,
  NewSubject,
  Removed,
  SubjectPatch,
  SubjectWithReferences,
} from './records.ts';
import { readSubjects } from './rows.ts';
import { subjectNotFound, versionMismatch } from './store-failure.ts';
import { inTransaction, READ_ONLY, withCallbacks, withConnection } from './transaction.ts';

/** Subjects, their references and the sequence of their changes, in PostgreSQL. Every method throws Failure. */
export class SubjectStore {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  /** @param keys - that templates are encrypted with */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * Adds a subject with its references: all or nothing. A request id that was used before answers with the subject it
   * enrolled then.
   * @throws Failure EXTERNAL_ID_TAKEN, CLIENT_REQUEST_ID_REUSED, SUBJECT_EXPUNGED
   */
  async enroll(
    subject: NewSubject,
    references: readonly NewReference[],
    clientRequest?: ClientRequest,
  ): Promise<Enrolled> {
    const [outcome] = await enrolMany(this.#pool, this.#keys, [{ subject, references, clientRequest }]);
    if (outcome === undefined) throw new Error('an enrolment came to no outcome');
    if ('failure' in outcome) throw outcome.failure;
    return outcome;
  }

  /** Adds many subjects in one transaction; a refused one leaves the others alone. Outcomes in the order given. */
  enrollMany(enrolments: readonly NewEnrolment[]): Promise<EnrolmentOutcome[]> {
    return enrolMany(this.#pool, this.#keys, enrolments);
  }

  async get(subjectId: string): Promise<SubjectWithReferences | undefined> {
    const [found] = await this.loadSubjects([subjectId]);
    return found;
  }

  /** The subjects that are there, in order of id. */
  loadSubjects(ids: readonly string[]): Promise<SubjectWithReferences[]> {
    return inTransaction(
      this.#pool,
      (client) => readSubjects(client, this.#keys, 's.subject_id = ANY($1)', [ids]),
      READ_ONLY,
    );
  }

  /** A page of subjects, in order of id. */
  list(filter: ListFilter): Promise<SubjectWithReferences[]> {
    return inTransaction(this.#pool, (client) => this.#page(client, filter), READ_ONLY);
  }

  #page(
    client: pg.PoolClient,
    { gallery, contributor, limit, afterSubjectId }: ListFilter,
  ): Promise<SubjectWithReferences[]> {
    const condition = `($1::text IS NULL OR s.contributor = $1)
      AND ($2::uuid IS NULL OR s.subject_id > $2)
      AND ($3::text IS NULL OR EXISTS (
        SELECT FROM gallery_membership m WHERE m.gallery = $3 AND m.subject_id = s.subject_id))`;
    const values = [contributor ?? null, afterSubjectId ?? null, gallery ?? null];
    return readSubjects(client, this.#keys, condition, values, limit);
  }

  /**
   * Changes a subject, and replaces its references when new ones are given.
   * @throws Failure SUBJECT_NOT_FOUND, VERSION_MISMATCH, EXTERNAL_ID_TAKEN
   */
  update(
    subjectId: string,
    expectedVersion: number | undefined,
    patch: SubjectPatch,
    references: readonly NewReference[] | undefined,
  ): Promise<SubjectWithReferences & { readonly seq: number }> {
    return inTransaction(this.#pool, async (client) => {
      const now = new Date();
      const { rows } = await client.query<{ version: string }>(
        'SELECT version FROM subject WHERE subject_id = $1 FOR UPDATE',
        [subjectId],
      );
      if (rows[0] === undefined) throw subjectNotFound();
      const present = Number(rows[0].version);
      if (expectedVersion !== undefined && expectedVersion !== present) throw versionMismatch(present);
      await client.query(
        `UPDATE subject SET version = version + 1, update_time = $2,
           external_id = CASE WHEN $3 THEN $4 ELSE external_id END,
           caveats = coalesce($5, caveats), provenance = coalesce($6, provenance),
           expire_time = CASE WHEN $7 THEN $8 ELSE expire_time END
         WHERE subject_id = $1`,
        [
          subjectId,
          now,
          patch.externalId !== undefined,
          patch.externalId ?? null,
          patch.caveats ?? null,
          patch.provenance ?? null,
          patch.expireTime !== undefined,
          patch.expireTime ?? null,
        ],
      );
      if (patch.galleries !== undefined) {
        await client.query('DELETE FROM gallery_membership WHERE subject_id = $1', [subjectId]);
        await client.query('INSERT INTO gallery_membership SELECT unnest($2::text[]), $1', [
          subjectId,
          [...new Set(patch.galleries)],
        ]);
      }
      if (references !== undefined) {
        await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
        await insertReferences(client, this.#keys, [{ subject: { subjectId }, references }]);
      }
      const [updated] = await readSubjects(client, this.#keys, 's.subject_id = $1', [subjectId]);
      if (updated === undefined) throw subjectNotFound();
      const seq = await appendChanges(client, [{ kind: 'upsert', subjectId, version: present + 1 }], now);
      return { ...updated, seq };
    });
  }

  /**
   * Deletes a subject and its references. What remains is the change that says so, the request id that enrolled it, and
   * a receipt.
   * @param receiptOf - makes the receipt, from what is known when nothing else can happen any more
   * @throws Failure SUBJECT_NOT_FOUND
   */
  expunge(subjectId: string, reason: string, receiptOf: (removed: Removed) => string): Promise<Expunged> {
    return inTransaction(this.#pool, async (client) => {
      const now = new Date();
      const { rows } = await client.query<{ version: string }>(
        'SELECT version FROM subject WHERE subject_id = $1 FOR UPDATE',
        [subjectId],
      );
      if (rows[0] === undefined) throw subjectNotFound();
      const removed = await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
      await client.query('DELETE FROM subject WHERE subject_id = $1', [subjectId]);
      await client.query('UPDATE enrolment_request SET digest = NULL WHERE subject_id = $1', [subjectId]);
      const { rows: changes } = await client.query<{ first: string }>(
        'SELECT min(seq) AS first FROM change WHERE subject_id = $1',
        [subjectId],
      );
      const version = Number(rows[0].version) + 1;
      const seq = await appendChanges(client, [{ kind: 'expunge', subjectId, version, reason }], now);
      const referencesRemoved = removed.rowCount ?? 0;
      const receipt = receiptOf({ seq, at: now, referencesRemoved, firstSeq: Number(changes[0]?.first ?? seq) });
      await client.query('INSERT INTO receipt (seq, document) VALUES ($1, $2)', [seq, receipt]);
      return { seq, referencesRemoved, receipt };
    });
  }

  /** The receipts of a subject who was expunged, the latest last. */
  async receiptsOf(subjectId: string): Promise<string[]> {
    const sql = `SELECT r.document FROM receipt r JOIN change c USING (seq) WHERE c.subject_id = $1 ORDER BY seq`;
    const { rows } = await withConnection(this.#pool, (client) => client.query<{ document: string }>(sql, [subjectId]));
    return rows.map(({ document }) => document);
  }

  /** The number of the last change; 0: none yet. */
  headSequence(): Promise<number> {
    return withConnection(this.#pool, readHead);
  }

  /**
   * Tells the state that a change has led to from those of all other stores, and from what came of this one when it was
   * set back. @returns undefined: there is no such change
   */
  stateAt(seq: number): Promise<string | undefined> {
    return withConnection(this.#pool, (client) => readState(client, seq));
  }

  /** Changes after `afterSeq`, at most `limit`, in order. */
  readChanges(afterSeq: number, limit: number): Promise<Change[]> {
    return withConnection(this.#pool, (client) => readChanges(client, afterSeq, limit));
  }

  /**
   * Streams subjects as all of them stand at one moment.
   * @param which - not given: every one
   * @param onBatch - works on a batch while the next one is read; told the number of the last change at that moment, too
   * @returns the number of the last change at that moment
   */
  snapshot(
    onBatch: (subjects: readonly SubjectWithReferences[], seq: number) => Promise<void>,
    batchSize: number,
    which: Pick<ListFilter, 'gallery' | 'contributor'> = { gallery: undefined, contributor: undefined },
  ): Promise<{ readonly seq: number; readonly subjectCount: number }> {
    return withCallbacks(async (guard) => {
      const work = guard(onBatch);
      let working: Promise<void> = Promise.resolve();
      const read = async (client: pg.PoolClient) => {
        const seq = await readHead(client);
        let subjectCount = 0;
        let afterSubjectId: string | undefined;
        for (;;) {
          const batch = await this.#page(client, { ...which, limit: batchSize, afterSubjectId });
          await working;
          if (batch.length === 0) return { seq, subjectCount };
          working = work(batch, seq);
          // Nobody waits for it before the next batch is there.
          working.catch(() => undefined);
          subjectCount += batch.length;
          afterSubjectId = batch.at(-1)?.subject.subjectId;
        }
      };
      try {
        return await inTransaction(this.#pool, read, READ_ONLY);
      } finally {
        await working.catch(() => undefined);
      }
    });
  }

  /** Name of the last migration. */
  schemaVersion(): Promise<string> {
    return withConnection(this.#pool, readSchema);
  }

  /** How many there are; reads both tables whole. */
  async counts(): Promise<{ readonly subjects: number; readonly references: number }> {
    const sql = 'SELECT (SELECT count(*) FROM subject) AS subjects, (SELECT count(*) FROM reference) AS "references"';
    type Row = Record<'subjects' | 'references', string>;
    const { rows } = await withConnection(this.#pool, (client) => client.query<Row>(sql));
    return { subjects: Number(rows[0]?.subjects), references: Number(rows[0]?.references) };
  }
}
