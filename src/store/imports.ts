import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Keys } from '../security/keys.ts';
import { enrolIn, type EnrolmentOutcome } from './enrolments.ts';
import type { NewEnrolment } from './records.ts';
import type { Author } from './history-rows.ts';
import { inTransaction, withConnection } from './transaction.ts';

/** Progress of a file's import. */
export interface ImportState {
  /** Bytes of the file processed so far. */
  readonly offset: number;
  readonly records: number;
  /** Enrolled subjects, and their references. */
  readonly subjects: number;
  readonly references: number;
  /** Records enrolled earlier. */
  readonly repeated: number;
  readonly refused: number;
}

/** A record that was refused, and the reason. */
export interface ImportRefusal {
  /** Position in the file, from 1. */
  readonly record: number;
  readonly reason: string;
  readonly message: string;
  /** Path of the field, or empty. */
  readonly field: string;
  /** The record's own contributor and external id; empty: none. */
  readonly contributor: string;
  readonly externalId: string;
}

/** The next part of a file. */
export interface ImportStep {
  /** Byte offsets of its beginning and its end. */
  readonly from: number;
  readonly to: number;
  readonly records: number;
  readonly enrolments: readonly NewEnrolment[];
  /** Named in the histories of the subjects; not given: no client. */
  readonly author?: Author;
  /** Records refused before they reached the store. */
  readonly refused: readonly ImportRefusal[];
  /** Describes an enrolment that the store refuses. */
  refusalOf(enrolment: number, failure: Failure): ImportRefusal;
}

/** Outcome of a part. */
interface ImportedStep {
  readonly outcomes: readonly EnrolmentOutcome[];
  readonly state: ImportState;
  readonly newGalleries: readonly string[];
}

interface StateRow {
  readonly byte_offset: string;
  readonly record_count: string;
  readonly subject_count: string;
  readonly reference_count: string;
  readonly repeated_count: string;
  readonly refused_count: string;
}

interface RefusalRow {
  readonly record: string;
  readonly reason: string;
  readonly message: string;
  readonly field: string;
  readonly contributor: string;
  readonly external_id: string;
}

const REFUSALS_PER_READ = 5000;

/** Imports of files, each identified by the file's SHA-256. Every method throws Failure. */
export class Imports {
  readonly #pool: pg.Pool;
  readonly #keys: Keys;

  constructor(pool: pg.Pool, keys: Keys) {
    this.#pool = pool;
    this.#keys = keys;
  }

  /** Begins an import, or returns the progress of an earlier one. */
  begin(digest: Uint8Array): Promise<ImportState> {
    return inTransaction(this.#pool, async (client) => {
      await client.query('INSERT INTO import (digest) VALUES ($1) ON CONFLICT (digest) DO NOTHING', [digest]);
      const { rows } = await client.query<StateRow>('SELECT * FROM import WHERE digest = $1', [digest]);
      return stateOf(rows[0]);
    });
  }

  /**
   * Enrols a part, records refusals and advances the offset, all in one transaction.
   * @returns also the galleries without a subject before, in order
   * @throws Failure IMPORT_UNDER_WAY when another process has advanced the import meanwhile
   */
  take(digest: Uint8Array, step: ImportStep): Promise<ImportedStep> {
    return inTransaction(this.#pool, async (client) => {
      const { rows: present } = await client.query(
        'SELECT FROM import WHERE digest = $1 AND byte_offset = $2 FOR UPDATE',
        [digest, step.from],
      );
      if (present.length === 0) throw importUnderWay();
      const known = await knownAmong(client, step.enrolments);
      const outcomes = await enrolIn(client, this.#keys, step.enrolments, step.author, true);
      const refused = [...step.refused];
      let [subjects, references, repeated] = [0, 0, 0];
      outcomes.forEach((outcome, i) => {
        if ('failure' in outcome) refused.push(step.refusalOf(i, outcome.failure));
        else if (outcome.repeated) repeated++;
        else {
          subjects++;
          references += outcome.references.length;
        }
      });
      await insertRefusals(client, digest, refused);
      const { rows } = await client.query<StateRow>(
        `UPDATE import SET byte_offset = $2, record_count = record_count + $3, subject_count = subject_count + $4,
           reference_count = reference_count + $5, repeated_count = repeated_count + $6, refused_count = refused_count + $7
         WHERE digest = $1 RETURNING *`,
        [digest, step.to, step.records, subjects, references, repeated, refused.length],
      );
      return { outcomes, state: stateOf(rows[0]), newGalleries: newGalleriesOf(outcomes, known) };
    });
  }

  /** The refused records, in file order. */
  async *refusals(digest: Uint8Array): AsyncGenerator<ImportRefusal, void> {
    for (let after = 0; ;) {
      const { rows } = await withConnection(this.#pool, (client) =>
        client.query<RefusalRow>(
          'SELECT * FROM import_refusal WHERE digest = $1 AND record > $2 ORDER BY record LIMIT $3',
          [digest, after, REFUSALS_PER_READ],
        ),
      );
      if (rows.length === 0) return;
      for (const { record, external_id, reason, message, field, contributor } of rows)
        yield { record: Number(record), externalId: external_id, reason, message, field, contributor };
      after = Number(rows.at(-1)?.record);
    }
  }

  /** Deletes an import's progress and refusals; enrolled subjects stay. */
  async end(digest: Uint8Array): Promise<void> {
    await withConnection(this.#pool, (client) => client.query('DELETE FROM import WHERE digest = $1', [digest]));
  }
}

/** The enrolments' galleries that already exist. */
async function knownAmong(client: pg.PoolClient, enrolments: readonly NewEnrolment[]): Promise<Set<string>> {
  const names = new Set(enrolments.flatMap(({ subject }) => subject.galleries));
  const sql = 'SELECT name FROM gallery WHERE name = ANY($1)';
  const { rows } = await client.query<{ name: string }>(sql, [[...names]]);
  return new Set(rows.map(({ name }) => name));
}

function newGalleriesOf(outcomes: readonly EnrolmentOutcome[], known: ReadonlySet<string>): string[] {
  const names = outcomes.flatMap((outcome) =>
    'failure' in outcome || outcome.repeated ? [] : outcome.subject.galleries.filter((name) => !known.has(name)),
  );
  return [...new Set(names)].sort();
}

async function insertRefusals(client: pg.PoolClient, digest: Uint8Array, refused: ImportRefusal[]): Promise<void> {
  if (refused.length === 0) return;
  await client.query(
    `INSERT INTO import_refusal (digest, record, reason, message, field, contributor, external_id)
     SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])`,
    [
      digest,
      refused.map(({ record }) => record),
      refused.map(({ reason }) => reason),
      refused.map(({ message }) => message),
      refused.map(({ field }) => field),
      refused.map(({ contributor }) => storable(contributor)),
      refused.map(({ externalId }) => storable(externalId)),
    ],
  );
}

/** Refused records may contain any text, but PostgreSQL's text cannot contain NUL. */
function storable(text: string): string {
  return text.replaceAll('\0', '').slice(0, 256);
}

function stateOf(row: StateRow | undefined): ImportState {
  if (row === undefined) throw importUnderWay();
  return {
    offset: Number(row.byte_offset),
    records: Number(row.record_count),
    subjects: Number(row.subject_count),
    references: Number(row.reference_count),
    repeated: Number(row.repeated_count),
    refused: Number(row.refused_count),
  };
}

function importUnderWay(): Failure {
  const sentence = 'Another process imports this file now: let it come to its end.';
  return new Failure('failed-precondition', 'IMPORT_UNDER_WAY', sentence);
}
