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
  /** See AUDIT_KINDS. */
  readonly kind?: string | undefined;
  readonly method?: string | undefined;
  readonly writer?: string | undefined;
}

/** A place in the order of writers and their records. */
export interface AuditPosition {
  readonly writer: string;
  readonly seq: number;
}

/** Records behind a position. */
export interface AuditPage {
  readonly storeId: string;
  /** The batches with matching records, in order. */
  readonly batches: readonly StoredBatch[];
  /** Everything that matches up to here is in the batches; undefined: nothing was looked at. */
  readonly position: AuditPosition | undefined;
  /** Nothing further matches at present. */
  readonly isLast: boolean;
}

/** Reads parts of the audit, each in a short transaction of its own: a slow reader holds none. */
export interface AuditPages {
  /**
   * @param limit - of matching records
   * @throws Failure of the database
   */
  page(filter: AuditFilter, after: AuditPosition | undefined, limit: number): Promise<AuditPage>;
  /** The last records of writers, in order. @param after - only greater ids */
  heads(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly storeId: string; readonly heads: readonly (AuditPosition & { readonly hash: Buffer })[] }>;
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
