/** Checks the records of one writer, one after the other. */
import type { KeyObject } from 'node:crypto';
import { parseRecord, subjectsOf, type AuditRecord } from './audit-entry.ts';
import type { FoundBy, StoredRecord } from './audit-log.ts';
import { canonicalText, digestOf, hashOf, isSigned, NO_HASH } from './chain.ts';

/**
 * What is wrong with a record. `altered`: its text is not what was recorded; `missing`: it is not there; `misplaced`: it
 * has the place of another; `foreign`: it belongs to another store; `unsigned`: nothing signed covers it; `forged`: the
 * signature that covers it is not one of the keys'; `unknown-key`: it was signed with a key that was not given;
 * `hidden`: it is stored so that a search for it does not find it; `cut-off`: it and what followed are gone;
 * `removed`: the writer is gone; `rewritten`: it, or one before it, is not the one that an anchor or a later writer
 * names.
 */
export type FaultKind =
  | 'altered'
  | 'missing'
  | 'misplaced'
  | 'foreign'
  | 'unsigned'
  | 'forged'
  | 'unknown-key'
  | 'hidden'
  | 'cut-off'
  | 'removed'
  | 'rewritten';

export interface Fault {
  readonly writer: string;
  /** Number of the first bad record. */
  readonly seq: number;
  readonly kind: FaultKind;
}

/** Public keys by fingerprint. */
export type KnownKeys = ReadonlyMap<string, KeyObject>;

/** A record of which only the digest is known, or all. */
export interface CheckedRecord extends Omit<StoredRecord, 'text'> {
  readonly text: string | undefined;
  readonly digest: Buffer;
}

export interface ChainStart {
  readonly writer: string;
  /** Identity of the store. */
  readonly store: string;
  readonly keys: KnownKeys;
  /** Excerpts begin anywhere. */
  readonly after?: { readonly seq: number; readonly hash: Buffer };
}

export class ChainCheck {
  readonly #start: ChainStart;
  #seq: number;
  #hash: Buffer;
  /** The last record that a signature covers. */
  #signed: number;
  #keys: readonly KeyObject[];
  #fault: Fault | undefined;

  constructor(start: ChainStart) {
    this.#start = start;
    const { seq, hash } = start.after ?? { seq: 0, hash: NO_HASH };
    this.#seq = seq;
    this.#signed = seq;
    this.#hash = hash;
    this.#keys = [...start.keys.values()];
  }

  /** The last record that was in order. */
  get seq(): number {
    return this.#seq;
  }

  get hash(): Buffer {
    return this.#hash;
  }

  /** @returns the first fault of the chain, once */
  take(record: CheckedRecord): Fault | undefined {
    if (this.#fault !== undefined) return undefined;
    const kind = this.#look(record);
    if (kind === undefined) return undefined;
    // Beyond a valid signature nothing says which record of a batch was changed together with its hash.
    const seq = kind === 'missing' ? this.#seq + 1 : kind === 'forged' ? this.#signed + 1 : record.seq;
    return (this.#fault = { writer: this.#start.writer, seq, kind });
  }

  /** The end of the chain. @returns its first fault, if only the end shows it */
  end(): Fault | undefined {
    if (this.#fault !== undefined || this.#signed === this.#seq) return undefined;
    return (this.#fault = { writer: this.#start.writer, seq: this.#signed + 1, kind: 'unsigned' });
  }

  #look(record: CheckedRecord): FaultKind | undefined {
    const { writer, store, keys, after } = this.#start;
    if (record.seq > this.#seq + 1) return 'missing';
    if (record.seq <= this.#seq) return 'misplaced';
    const hash = hashOf(this.#hash, record.digest);
    if (!hash.equals(record.hash)) return 'altered';
    if (record.text !== undefined) {
      const content = parseRecord(record.text);
      if (content === undefined || canonicalText(content) !== record.text) return 'altered';
      if (content.writer !== writer || content.seq !== record.seq) return 'misplaced';
      if (after === undefined && record.seq === 1) {
        if (content.genesis === undefined) return 'altered';
        if (content.genesis.store !== store) return 'foreign';
        const key = keys.get(content.genesis.key);
        if (key === undefined) return 'unknown-key';
        this.#keys = [key];
      }
      if (record.foundBy !== undefined && !isFound(content, record.foundBy)) return 'hidden';
    }
    if (record.signature !== undefined) {
      const head = { store, writer, first: this.#signed + 1, seq: record.seq, hash };
      const { signature } = record;
      if (!this.#keys.some((key) => isSigned(head, signature, key))) return 'forged';
      this.#signed = record.seq;
    }
    this.#seq = record.seq;
    this.#hash = hash;
    return undefined;
  }
}

/** Adds the digest. */
export function withDigest(record: StoredRecord): CheckedRecord {
  return { ...record, digest: digestOf(record.text) };
}

/** Whether a search by any of its fields finds the record. */
function isFound(content: AuditRecord, { at, kind, clientId, agency, subjects }: FoundBy): boolean {
  return (
    Date.parse(content.ended) === at &&
    content.kind === kind &&
    content.client_id === clientId &&
    content.agency === agency &&
    subjectsOf(content).join() === [...subjects].join()
  );
}
