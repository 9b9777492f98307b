/** What the audit needs of the database. */
import type { ChainedRecord } from './chain.ts';
import type { Head } from './audit-entry.ts';

/** A writer that the database knows. */
export interface KnownWriter {
  readonly head: Head;
  /** Text of its first record; undefined: it is missing. */
  readonly first: string | undefined;
}

/** Appends records, over a connection of its own. */
export interface AuditLog {
  /** Identity of the store. @throws Failure */
  storeId(): Promise<string>;
  /**
   * Appends the first record of a writer, which names the writers before it. One writer at a time begins: of two, one
   * knows the other.
   * @param make - makes the record from the writers known so far
   * @throws Failure
   */
  begin(make: (known: readonly KnownWriter[]) => ChainedRecord): Promise<void>;
  /**
   * Appends records: durable when this resolves. Records that are already there stay: repeating an append whose outcome
   * is unknown is safe.
   * @throws Failure AUDIT_DIVERGED when other records have their places; others when nothing is known
   */
  append(records: readonly ChainedRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** Copies of a record's fields by which the database finds it. */
export interface FoundBy {
  /** When it ended, in milliseconds since 1970. */
  readonly at: number;
  readonly kind: string;
  readonly clientId: string | undefined;
  readonly agency: string | undefined;
  readonly subjects: readonly string[];
}

export interface StoredRecord extends ChainedRecord {
  /** Undefined: the record does not come from the database. */
  readonly foundBy: FoundBy | undefined;
}

/** Which records. Undefined: any. */
export interface AuditFilter {
  /** ISO 8601; compared with the end of what was recorded. */
  readonly since: string | undefined;
  /** Excluded. */
  readonly until: string | undefined;
  readonly agency: string | undefined;
  readonly clientId: string | undefined;
  readonly subjectId: string | undefined;
}

/** A batch with the hash that it follows. */
export interface StoredBatch {
  readonly previous: Buffer;
  readonly records: readonly StoredRecord[];
  /** Numbers of the records that match. */
  readonly matching: ReadonlySet<number>;
}

/** Reads one state of the records. */
export interface AuditReader {
  readonly storeId: string;
  /** The first record of each writer. */
  firsts(): AsyncIterable<readonly StoredRecord[]>;
  /** All records, by writer and number, in parts. */
  records(): AsyncIterable<readonly StoredRecord[]>;
  /** The batches with matching records, by writer and number. */
  batches(filter: AuditFilter): AsyncIterable<StoredBatch>;
  /** Texts of matching records, newest first. */
  newest(filter: AuditFilter, limit: number): Promise<string[]>;
}
