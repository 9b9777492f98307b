import type pg from 'pg';
import type { Asker } from '../fair-turns.ts';
import type { Keys } from '../security/keys.ts';
import { readChanges, readHead, readSchema, readState } from './changes.ts';
import { referencesOfLost, withGalleries, withReferenceIds } from './completed-subjects.ts';
import { nameReferences } from './damaged-names.ts';
import { enrolMany, type EnrolmentOutcome } from './enrolments.ts';
import { readGalleryNames } from './gallery-names.ts';
import { addLost, withoutSubject } from './lost-of-subjects.ts';
import type { Author } from './history-rows.ts';
import { findLostRows, type LostRows } from './lost-rows.ts';
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
import { provenOf, type SubjectOfRows } from './proven-subjects.ts';
import { readRecordClasses, type StoredClass } from './stored-classes.ts';
import { readSubjects } from './rows.ts';
import { readFacts, type PermitChange, type SubjectFacts } from './subject-facts.ts';
import { StoreTurns } from './store-turns.ts';
import { expungeSubject } from './subject-expunging.ts';
import { galleryUnknown, referenceDamaged, subjectUnreadable } from './subject-failure.ts';
import { readPageAround } from './subject-pages.ts';
import { takeSnapshot, type OnBatch } from './subject-snapshot.ts';
import { updateSubject } from './subject-update.ts';
import { inTransaction, READ_ONLY, undone, withConnection, withoutTimeLimit } from './transaction.ts';

const NOTHING_LOST: LostRows = { references: [], unreadable: [], galleries: new Map(), tables: [] };

/**
 * Subjects, their references and the sequence of their changes, in PostgreSQL. Every method throws Failure. Methods
 * with an `asker` wait for its turn.
 */
export class SubjectStore {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;
  readonly #examiner: () => pg.Pool;
  readonly #turns: StoreTurns;
  #lost: LostRows = NOTHING_LOST;
  /** Lost rows found before the first snapshot, which need not search again. */
  #ahead: LostRows | undefined;

  /**
   * @param keys - template encryption keys
   * @param examiner - connections that look at damage: those of a database administrator find more than others
   * @param turns - of calls for connections of the pool
   */
  constructor(pool: pg.Pool, keys: Keys, examiner: () => pg.Pool = () => pool, turns = new StoreTurns()) {
    this.#pool = pool;
    this.#keys = keys;
    this.#examiner = examiner;
    this.#turns = turns;
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
    author?: Author,
  ): Promise<Enrolled> {
    const [outcome] = await this.enrollMany([{ subject, references, clientRequest }], asker, author);
    if (outcome === undefined) throw new Error('an enrolment came to no outcome');
    if ('failure' in outcome) throw outcome.failure;
    return outcome;
  }

  /**
   * Adds many subjects in one transaction; a refused record does not affect the others. Outcomes in the order given.
   * @param author - named in the histories of the subjects; undefined: they begin without an entry
   */
  enrollMany(enrolments: readonly NewEnrolment[], asker?: Asker, author?: Author): Promise<EnrolmentOutcome[]> {
    return this.#turns.take('change', asker, () => enrolMany(this.#pool, this.#keys, enrolments, author));
  }

  /** @throws Failure SUBJECT_DAMAGED, ROW_MAC_MISMATCH, ROW_UNSIGNED, ROW_PUT_BACK, ROW_EXPUNGED when it exists and may
   * not be used */
  async get(subjectId: string, asker?: Asker): Promise<SubjectWithReferences | undefined> {
    const { subjects, unreadable } = await this.#turns.take('read', asker, () => this.readSubjects([subjectId]));
    if (unreadable[0] !== undefined) throw subjectUnreadable(unreadable[0].reason);
    return subjects[0];
  }

  /**
   * A subject without its references; undefined: there is none.
   * @throws Failure SUBJECT_DAMAGED, ROW_MAC_MISMATCH, ROW_UNSIGNED, ROW_PUT_BACK, ROW_EXPUNGED
   */
  async facts(subjectId: string, asker?: Asker): Promise<SubjectFacts | undefined> {
    return this.#turns.take('read', asker, () =>
      withConnection(this.#pool, (client) => readFacts(client, this.#keys, subjectId)),
    );
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
    const lost = await referencesOfLost(
      this.#pool,
      this.#keys,
      ids.filter((id) => !found.has(id)),
    );
    const subjects = await withGalleries(this.#examiner(), addLost(read.subjects, this.#lost));
    const named = await withReferenceIds(this.#examiner(), { subjects, unreadable: [...read.unreadable, ...lost] });
    return provenOf(named);
  }

  /** Every combination of contributor, caveats and provenance, each once. Reads the whole table. */
  recordClasses(): Promise<StoredClass[]> {
    return inTransaction(this.#pool, readRecordClasses, READ_ONLY);
  }

  /** Waits for one turn for a page that consists of many reads. */
  listing<T>(asker: Asker, work: () => Promise<T>): Promise<T> {
    return this.#turns.take('listing', asker, work);
  }

  /** A page of subjects, in order of id, without unreadable ones and those whose rows were changed by others. */
  async list(filter: ListFilter): Promise<readonly SubjectWithReferences[]> {
    const { subjects } = await inTransaction(
      this.#pool,
      (client) => readPageAround(client, this.#keys, filter),
      READ_ONLY,
    );
    const completed = await withGalleries(this.#examiner(), addLost(subjects, this.#lost));
    return provenOf({ subjects: completed, unreadable: [] }).subjects;
  }

  /** Searches for rows that are missing without a database error. Reads all tables and indexes. */
  async lookForLost(): Promise<LostRows> {
    return (this.#lost = await undone(this.#examiner(), (client) => findLostRows(client, this.#keys)));
  }

  /** Searches for lost rows before a snapshot, which then does not search again. */
  async lookAhead(): Promise<LostRows> {
    return (this.#ahead = await this.lookForLost());
  }

  async #lostAhead(): Promise<LostRows> {
    const gone = this.#ahead ?? (await this.lookForLost());
    this.#ahead = undefined;
    return gone;
  }

  /** The result of the last search for lost rows. */
  get lost(): LostRows {
    return this.#lost;
  }

  /** Finds the ids of damaged references, as far as the database's indexes reveal them. */
  name(damaged: readonly DamagedReference[]): Promise<DamagedReference[]> {
    return undone(this.#examiner(), (client) => nameReferences(client, damaged));
  }

  /**
   * Changes a subject, and replaces its references when new ones are given.
   * @param permit - undefined: no caller has to be permitted
   * @param author - named in the subject's history; undefined: the change leaves no entry there
   * @throws Failure SUBJECT_NOT_FOUND, SUBJECT_DAMAGED, ROW_MAC_MISMATCH, ROW_UNSIGNED, ROW_PUT_BACK, ROW_EXPUNGED,
   * VERSION_MISMATCH, EXTERNAL_ID_TAKEN; as `permit`
   */
  async update(
    subjectId: string,
    expectedVersion: number | undefined,
    patch: SubjectPatch,
    references: readonly NewReference[] | undefined,
    asker?: Asker,
    permit?: PermitChange,
    author?: Author,
  ): Promise<SubjectWithReferences & { readonly seq: number }> {
    return this.#turns.take('change', asker, () =>
      this.#update(subjectId, expectedVersion, patch, references, permit, author),
    );
  }

  async #update(
    subjectId: string,
    expectedVersion: number | undefined,
    patch: SubjectPatch,
    references: readonly NewReference[] | undefined,
    permit: PermitChange | undefined,
    author: Author | undefined,
  ): Promise<SubjectWithReferences & { readonly seq: number }> {
    const lost = withoutSubject(this.#lost, subjectId, patch.galleries !== undefined, references !== undefined);
    const complete = (one: SubjectOfRows) => withGalleries(this.#examiner(), addLost([one], lost));
    const updated = await inTransaction(this.#pool, (client) =>
      updateSubject(client, this.#keys, subjectId, expectedVersion, patch, references, complete, permit, author),
    );
    this.#lost = lost;
    return updated;
  }

  /**
   * Deletes a subject and its references. The change that records it, the request id of the enrolment, and a receipt
   * remain.
   * @param receiptOf - creates the receipt; called last, when nothing else can happen any more
   * @param permit - undefined: no caller has to be permitted
   * @throws Failure SUBJECT_NOT_FOUND; as `permit`
   */
  expunge(
    subjectId: string,
    reason: string,
    receiptOf: (removed: Removed) => string,
    asker?: Asker,
    permit?: PermitChange,
  ): Promise<Expunged> {
    return this.#turns.take('change', asker, () =>
      inTransaction(this.#pool, (client) => expungeSubject(client, this.#keys, subjectId, reason, receiptOf, permit)),
    );
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
  galleries(): Promise<string[]> {
    const read = (client: pg.PoolClient) => readGalleryNames(client, this.#lost.tables.length > 0);
    return inTransaction(this.#pool, read, READ_ONLY);
  }

  /** @throws Failure GALLERY_UNKNOWN when no subject ever belonged to it */
  async requireGallery(name: string): Promise<void> {
    const sql = 'SELECT FROM gallery WHERE name = $1';
    const { rows } = await withConnection(this.#pool, (client) => client.query(sql, [name]));
    if (rows.length === 0) throw galleryUnknown('gallery');
  }

  /** Changes after `afterSeq`, at most `limit`, in order; those that this program has not written say so. */
  readChanges(afterSeq: number, limit: number): Promise<Change[]> {
    return withConnection(this.#pool, (client) => readChanges(client, this.#keys, afterSeq, limit));
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
    const examined = { lookForLost: () => this.#lostAhead(), examiner: this.#examiner };
    return takeSnapshot(this.#pool, this.#keys, examined, onBatch, batchSize, which);
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
