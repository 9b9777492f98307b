import type pg from 'pg';
import type { Asker } from '../fair-turns.ts';
import type { Keys } from '../security/keys.ts';
import { appendChanges, readChanges, readHead, readSchema, readState } from './changes.ts';
import { enrolMany, type EnrolmentOutcome } from './enrolments.ts';
import { insertReferences } from './inserted-references.ts';
import type {
  Change,
  ClientRequest,
  DamagedReference,
  Enrolled,
  Expunged,
  ListFilter,
  NewEnrolment,
  NewReference,
  NewSubject,
  Removed,
  SubjectPatch,
  SubjectsRead,
  SubjectWithReferences,
} from './records.ts';
import { BlocksAtHand, readBlocks, tryRead } from './damaged-pages.ts';
import { lostMemberships, nameReferences } from './damaged-names.ts';
import { findLostRows, type LostRows } from './lost-rows.ts';
import { addGalleries, addLost, withoutSubject } from './lost-of-subjects.ts';
import { lostSubjects, readableSubjectIds, referencesOfUnreadable } from './rescued-rows.ts';
import { readPresent, readSubjects, readSubjectsById, type SubjectsAround } from './rows.ts';
import { StoreTurns } from './store-turns.ts';
import {
  galleryUnknown,
  referenceDamaged,
  subjectDamaged,
  subjectNotFound,
  versionMismatch,
} from './subject-failure.ts';
import { inTransaction, READ_ONLY, undone, withCallbacks, withConnection, withoutTimeLimit } from './transaction.ts';

type OnBatch = (
  subjects: readonly SubjectWithReferences[],
  seq: number,
  unreadable?: readonly DamagedReference[],
) => Promise<void>;

const NOTHING_LOST: LostRows = { references: [], unreadable: [], galleries: new Map(), tables: [] };

/**
 * Subjects, their references and the sequence of their changes, in PostgreSQL. Every method throws Failure. Methods
 * with an `asker` wait for its turn.
 */
export class SubjectStore {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;
  readonly #turns = new StoreTurns();
  #lost: LostRows = NOTHING_LOST;
  /** Lost rows found before the first snapshot, which need not search again. */
  #ahead: LostRows | undefined;

  /** @param keys - template encryption keys */
  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /**
   * Adds a subject with its references: all or nothing. A repeated request id returns the subject that it enrolled
   * earlier.
   * @throws Failure EXTERNAL_ID_TAKEN, CLIENT_REQUEST_ID_REUSED, SUBJECT_EXPUNGED
   */
  async enroll(
    subject: NewSubject,
    references: readonly NewReference[],
    clientRequest?: ClientRequest,
    asker?: Asker,
  ): Promise<Enrolled> {
    const [outcome] = await this.enrollMany([{ subject, references, clientRequest }], asker);
    if (outcome === undefined) throw new Error('an enrolment came to no outcome');
    if ('failure' in outcome) throw outcome.failure;
    return outcome;
  }

  /**
   * Adds many subjects in one transaction; a refused record does not affect the others. Outcomes in the order given.
   */
  enrollMany(enrolments: readonly NewEnrolment[], asker?: Asker): Promise<EnrolmentOutcome[]> {
    return this.#turns.take('change', asker, () => enrolMany(this.#pool, this.#keys, enrolments));
  }

  /** @throws Failure SUBJECT_DAMAGED when it exists and cannot be read */
  async get(subjectId: string, asker?: Asker): Promise<SubjectWithReferences | undefined> {
    const { subjects, unreadable } = await this.#turns.take('read', asker, () => this.readSubjects([subjectId]));
    if (unreadable.length > 0) throw subjectDamaged();
    return subjects[0];
  }

  /**
   * The existing subjects, in order of id, if all of them can be read.
   * @throws Failure with the reason of the first damaged reference
   */
  async loadSubjects(ids: readonly string[]): Promise<SubjectWithReferences[]> {
    const { subjects, unreadable } = await this.readSubjects(ids);
    const damaged = [...unreadable, ...subjects.flatMap((subject) => subject.damaged ?? [])];
    if (damaged[0] !== undefined) throw referenceDamaged(damaged[0].reason);
    return [...subjects];
  }

  /** The existing subjects, in order of id, and their damaged references. */
  async readSubjects(ids: readonly string[]): Promise<SubjectsRead> {
    const read = await inTransaction(
      this.#pool,
      (client) => readSubjects(client, this.#keys, 's.subject_id = ANY($1)', [ids]),
      READ_ONLY,
    );
    // A subject in a damaged block is not found by its id; it must not be taken for missing.
    const found = new Set([
      ...read.subjects.map(({ subject }) => subject.subjectId),
      ...read.unreadable.map((one) => one.subjectId),
    ]);
    // PostgreSQL takes a block of zeros for a new one: missing subjects are therefore checked against the changes.
    const lost = await this.#lostOf(ids.filter((id) => !found.has(id)));
    const subjects = await this.#withGalleries(addLost(read.subjects, this.#lost));
    return this.#named({ subjects, unreadable: [...read.unreadable, ...lost] });
  }

  /** Waits for one turn for a page that consists of many reads. */
  listing<T>(asker: Asker, work: () => Promise<T>): Promise<T> {
    return this.#turns.take('listing', asker, work);
  }

  /** A page of subjects, in order of id, without unreadable ones. */
  async list(filter: ListFilter): Promise<readonly SubjectWithReferences[]> {
    const { subjects } = await inTransaction(this.#pool, (client) => this.#page(client, filter), READ_ONLY);
    return this.#withGalleries(addLost(subjects, this.#lost));
  }

  /** Searches for rows that are missing without a database error. Reads all tables and indexes. */
  async lookForLost(): Promise<LostRows> {
    return (this.#lost = await undone(this.#pool, findLostRows));
  }

  /** Searches for lost rows before a snapshot, which then does not search again. */
  async lookAhead(): Promise<LostRows> {
    return (this.#ahead = await this.lookForLost());
  }

  /** The result of the last search for lost rows. */
  get lost(): LostRows {
    return this.#lost;
  }

  #page(client: pg.PoolClient, filter: ListFilter): Promise<SubjectsAround> {
    const { condition, values } = conditionOf(filter);
    return readSubjects(client, this.#keys, condition, values, filter.limit);
  }

  /** The references of subjects that are enrolled according to the changes but whose rows are lost. */
  #lostOf(ids: readonly string[]): Promise<DamagedReference[]> {
    if (ids.length === 0) return Promise.resolve([]);
    const read = async (client: pg.PoolClient) => {
      const { rows } = await client.query<{ subject_id: string }>(
        `SELECT DISTINCT ON (subject_id) subject_id, kind FROM change WHERE subject_id = ANY($1) ORDER BY subject_id, seq DESC`,
        [ids],
      );
      const enrolled = (rows as { subject_id: string; kind: string }[]).filter(({ kind }) => kind === 'upsert');
      return referencesOfUnreadable(
        client,
        new BlocksAtHand(client),
        enrolled.map(({ subject_id }) => subject_id),
      );
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /**
   * Adds galleries from the database's indexes to subjects with unreadable memberships. A subject that was changed
   * since its enrolment may have left one of them; searching it there is the lesser evil.
   */
  async #withGalleries(
    subjects: readonly SubjectWithReferences[],
    lost: () => Promise<Map<string, string[]> | undefined> = () => undone(this.#pool, lostMemberships),
  ): Promise<readonly SubjectWithReferences[]> {
    if (!subjects.some((one) => one.mayLackGalleries === true)) return subjects;
    const named = await lost();
    return named === undefined ? subjects : addGalleries(subjects, named);
  }

  /** Finds the ids of references that could not be read with their subjects. */
  async #named({ subjects, unreadable }: SubjectsRead): Promise<SubjectsRead> {
    const damaged = [...unreadable, ...subjects.flatMap((subject) => subject.damaged ?? [])];
    if (!damaged.some(({ referenceId }) => referenceId === '')) return { subjects, unreadable };
    const named = Map.groupBy(await this.name(damaged), ({ subjectId }) => subjectId);
    const present = new Set(subjects.map(({ subject }) => subject.subjectId));
    return {
      subjects: subjects.map((one) => {
        const found = named.get(one.subject.subjectId);
        return found === undefined ? one : { ...one, damaged: found };
      }),
      unreadable: [...named].flatMap(([subjectId, found]) => (present.has(subjectId) ? [] : found)),
    };
  }

  /** Finds the ids of damaged references, as far as the database's indexes reveal them. */
  name(damaged: readonly DamagedReference[]): Promise<DamagedReference[]> {
    return undone(this.#pool, (client) => nameReferences(client, damaged));
  }

  /**
   * Changes a subject, and replaces its references when new ones are given.
   * @throws Failure SUBJECT_NOT_FOUND, VERSION_MISMATCH, EXTERNAL_ID_TAKEN
   */
  async update(
    subjectId: string,
    expectedVersion: number | undefined,
    patch: SubjectPatch,
    references: readonly NewReference[] | undefined,
    asker?: Asker,
  ): Promise<SubjectWithReferences & { readonly seq: number }> {
    return this.#turns.take('change', asker, () => this.#update(subjectId, expectedVersion, patch, references));
  }

  async #update(
    subjectId: string,
    expectedVersion: number | undefined,
    patch: SubjectPatch,
    references: readonly NewReference[] | undefined,
  ): Promise<SubjectWithReferences & { readonly seq: number }> {
    const { seq, ...updated } = await inTransaction(this.#pool, async (client) => {
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
      const { subjects, unreadable } = await readSubjects(client, this.#keys, 's.subject_id = $1', [subjectId]);
      if (unreadable.length > 0) throw subjectDamaged();
      const [updated] = subjects;
      if (updated === undefined) throw subjectNotFound();
      const seq = await appendChanges(client, [{ kind: 'upsert', subjectId, version: present + 1 }], now);
      return { ...updated, seq };
    });
    this.#lost = withoutSubject(this.#lost, subjectId, patch.galleries !== undefined, references !== undefined);
    const [complete = updated] = await this.#withGalleries(addLost([updated], this.#lost));
    return { ...complete, seq };
  }

  /**
   * Deletes a subject and its references. The change that records it, the request id of the enrolment, and a receipt
   * remain.
   * @param receiptOf - creates the receipt; called last, when nothing else can happen any more
   * @throws Failure SUBJECT_NOT_FOUND
   */
  expunge(
    subjectId: string,
    reason: string,
    receiptOf: (removed: Removed) => string,
    asker?: Asker,
  ): Promise<Expunged> {
    return this.#turns.take('change', asker, () => this.#expunge(subjectId, reason, receiptOf));
  }

  #expunge(subjectId: string, reason: string, receiptOf: (removed: Removed) => string): Promise<Expunged> {
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

  /** The receipts of an expunged subject, in order. */
  async receiptsOf(subjectId: string): Promise<string[]> {
    const sql = `SELECT r.document FROM receipt r JOIN change c USING (seq) WHERE c.subject_id = $1 ORDER BY seq`;
    const { rows } = await withConnection(this.#pool, (client) => client.query<{ document: string }>(sql, [subjectId]));
    return rows.map(({ document }) => document);
  }

  /** The latest receipt. */
  async lastReceipt(): Promise<string | undefined> {
    const sql = 'SELECT document FROM receipt ORDER BY seq DESC LIMIT 1';
    const { rows } = await withConnection(this.#pool, (client) => client.query<{ document: string }>(sql));
    return rows[0]?.document;
  }

  /** The number of the last change; 0: none yet. */
  headSequence(): Promise<number> {
    return withConnection(this.#pool, readHead);
  }

  /** Whether the store was never written to; tables emptied in another way have held rows. */
  async isUntouched(): Promise<boolean> {
    const sql = `SELECT bool_and(pg_relation_size(t) = 0) AS untouched
      FROM unnest('{subject,reference,change,receipt,enrolment_request}'::regclass[]) t`;
    const { rows } = await withConnection(this.#pool, (client) => client.query<{ untouched: boolean }>(sql));
    return rows[0]?.untouched === true;
  }

  /**
   * Identifies the state after a change among all stores, and among the states that follow when this store is reset to
   * an earlier one. @returns undefined: no such change exists
   */
  stateAt(seq: number): Promise<string | undefined> {
    return withConnection(this.#pool, (client) => readState(client, seq));
  }

  /** The names of all galleries that any subject ever belonged to. */
  async galleries(): Promise<string[]> {
    const sql = 'SELECT name FROM gallery';
    const read = async (client: pg.PoolClient) => {
      const whole = await tryRead(client, () => client.query<{ name: string }>(sql));
      if (whole !== undefined && this.#lost.tables.length === 0) return whole.rows.map(({ name }) => name);
      await withoutTimeLimit(client);
      const blocks = new BlocksAtHand(client);
      const names = new Set<string>();
      // Galleries without members may be lost.
      for (const [table, column] of [['gallery', 'name'] as const, ['gallery_membership', 'gallery'] as const]) {
        const { readable } = await blocks.of(table);
        const condition = (within: string) => `SELECT DISTINCT ${column} AS name FROM ${table} WHERE ${within}`;
        for (const { name } of await readBlocks<{ name: string }>(client, readable, condition)) names.add(name);
      }
      return [...names];
    };
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** @throws Failure GALLERY_UNKNOWN when no subject ever belonged to it */
  async requireGallery(name: string): Promise<void> {
    const sql = 'SELECT FROM gallery WHERE name = $1';
    const { rows } = await withConnection(this.#pool, (client) => client.query(sql, [name]));
    if (rows.length === 0) throw galleryUnknown('gallery');
  }

  /** Changes after `afterSeq`, at most `limit`, in order. */
  readChanges(afterSeq: number, limit: number): Promise<Change[]> {
    return withConnection(this.#pool, (client) => readChanges(client, afterSeq, limit));
  }

  /**
   * Streams subjects in one consistent state.
   * @param which - not given: all subjects
   * @param onBatch - processes a batch while the next one is read; also receives the number of the last change in that
   * state, and the references of unreadable subjects
   * @returns the number of the last change in that state
   */
  snapshot(
    onBatch: OnBatch,
    batchSize: number,
    which: Pick<ListFilter, 'gallery' | 'contributor'> = { gallery: undefined, contributor: undefined },
  ): Promise<{ readonly seq: number; readonly subjectCount: number }> {
    return withCallbacks(async (guard) => {
      const work = guard(onBatch);
      const gone = this.#ahead ?? (await this.lookForLost());
      this.#ahead = undefined;
      const told = new Set<string>();
      let working: Promise<void> = Promise.resolve();
      let memberships: Promise<Map<string, string[]> | undefined> | undefined;
      const lost = () => (memberships ??= undone(this.#pool, lostMemberships));
      const read = async (client: pg.PoolClient) => {
        const seq = await readHead(client);
        let subjectCount = 0;
        for await (const batch of this.#batches(client, which, batchSize)) {
          const { subjects: named, unreadable } = await this.#named(batch);
          const subjects = await this.#withGalleries(addLost(named, gone), lost);
          for (const one of unreadable) told.add(one.subjectId);
          await working;
          working = work(subjects, seq, unreadable);
          // It is awaited only after the next batch has been read.
          working.catch(() => undefined);
          subjectCount += subjects.length;
        }
        await working;
        const more = [
          ...gone.unreadable.filter(({ subjectId }) => !told.has(subjectId)),
          ...gone.references.filter(({ subjectId }) => subjectId === ''),
        ];
        if (more.length > 0) await work([], seq, more);
        return { seq, subjectCount };
      };
      try {
        return await inTransaction(this.#pool, read, READ_ONLY);
      } finally {
        await working.catch(() => undefined);
      }
    });
  }

  /**
   * Pages of subjects. If a page meets damage, the remaining subjects follow by id, and then the references of lost
   * subjects.
   */
  async *#batches(
    client: pg.PoolClient,
    which: Pick<ListFilter, 'gallery' | 'contributor'>,
    batchSize: number,
  ): AsyncGenerator<SubjectsRead, void> {
    let afterSubjectId: string | undefined;
    for (;;) {
      const filter = { ...which, limit: batchSize, afterSubjectId };
      const batch = await tryRead(client, () => readPage(client, this.#keys, filter));
      if (batch === undefined) break;
      if (batch.subjects.length === 0 && batch.unreadable.length === 0) return;
      yield batch;
      afterSubjectId = [
        ...batch.subjects.map(({ subject }) => subject.subjectId),
        ...batch.unreadable.map((one) => one.subjectId),
      ]
        .sort()
        .at(-1);
    }
    await withoutTimeLimit(client);
    const { condition, values } = conditionOf({ ...which, afterSubjectId });
    const blocks = new BlocksAtHand(client);
    const ids = await readableSubjectIds(client, blocks, condition, values);
    for (let at = 0; at < ids.length; at += batchSize)
      yield await readSubjectsById(client, this.#keys, ids.slice(at, at + batchSize), blocks);
    const lost = await lostSubjects(client, blocks);
    if (lost.length > 0) yield { subjects: [], unreadable: await referencesOfUnreadable(client, blocks, lost) };
  }

  /** Name of the last migration. */
  schemaVersion(): Promise<string> {
    return withConnection(this.#pool, readSchema);
  }

  /** Numbers of subjects and references; reads both tables whole. */
  async counts(): Promise<{ readonly subjects: number; readonly references: number }> {
    const sql = 'SELECT (SELECT count(*) FROM subject) AS subjects, (SELECT count(*) FROM reference) AS "references"';
    type Row = Record<'subjects' | 'references', string>;
    const { rows } = await inTransaction(
      this.#pool,
      async (client) => {
        await withoutTimeLimit(client);
        return client.query<Row>(sql);
      },
      READ_ONLY,
    );
    return { subjects: Number(rows[0]?.subjects), references: Number(rows[0]?.references) };
  }
}

/** A page without damaged rows of subjects. @throws DatabaseError on damage */
function readPage(client: pg.PoolClient, keys: Keys, filter: ListFilter): Promise<SubjectsRead> {
  const { condition, values } = conditionOf(filter);
  return readPresent(client, keys, condition, values, filter.limit);
}

/** An SQL condition on `subject s`, and its values. */
function conditionOf({
  gallery,
  contributor,
  afterSubjectId,
}: Pick<ListFilter, 'gallery' | 'contributor' | 'afterSubjectId'>): {
  readonly condition: string;
  readonly values: unknown[];
} {
  const condition = `($1::text IS NULL OR s.contributor = $1)
      AND ($2::uuid IS NULL OR s.subject_id > $2)
      AND ($3::text IS NULL OR EXISTS (
        SELECT FROM gallery_membership m WHERE m.gallery = $3 AND m.subject_id = s.subject_id))`;
  return { condition, values: [contributor ?? null, afterSubjectId ?? null, gallery ?? null] };
}
