/** Verifies the records of all writers: whatever was changed since they were recorded is found. */
import type { StoredRecord } from './audit-log.ts';
import type { ChainedRecord } from './chain.ts';
import { ChainCheck, withDigest, type Fault, type KnownKeys } from './chain-check.ts';
import { ExpectedHeads } from './expected-heads.ts';

/** Faults that are named; the others are counted. */
const MAX_FAULTS = 100;

/** What is verified: a database, or an exported file. */
export interface AuditSource {
  readonly storeId: string;
  /** The first record of each writer. */
  firsts(): AsyncIterable<readonly StoredRecord[]>;
  /** All records, by writer and number, in parts. */
  records(): AsyncIterable<readonly StoredRecord[]>;
}

export interface VerifyOptions {
  /** Public keys of every signer so far. */
  readonly keys: KnownKeys;
  /** Files of anchors. */
  readonly anchors?: readonly string[];
  /** Records that still wait in files for the database, by writer. */
  readonly spooled?: ReadonlyMap<string, readonly ChainedRecord[]>;
}

/** Records that a restore has lost, which the record of the restore shows. */
export interface LostByRestore {
  readonly writer: string;
  /** Numbers of the first and the last one. */
  readonly from: number;
  readonly to: number;
}

export interface Verdict {
  readonly records: number;
  readonly writers: number;
  /** The first of each writer; empty: everything is as it was recorded. */
  readonly faults: readonly Fault[];
  /** Count of the writers with a fault. */
  readonly faulty: number;
  readonly lostByRestore: readonly LostByRestore[];
  /** Lines of the anchors that none of the keys signed. */
  readonly badAnchorLines: readonly { readonly file: string; readonly line: number }[];
}

/** @throws Failure FILE_UNREADABLE; those of the source */
export async function verifyAudit(source: AuditSource, options: VerifyOptions): Promise<Verdict> {
  const { keys, anchors = [], spooled = new Map<string, readonly ChainedRecord[]>() } = options;
  const expected = new ExpectedHeads();
  await expected.readFirsts(source.firsts(), source.storeId, keys);
  const badAnchorLines = [];
  for (const file of anchors)
    for (const line of await expected.readAnchor(file, source.storeId, keys)) badAnchorLines.push({ file, line });
  const verification = new Verification(source.storeId, keys, expected, spooled);
  for await (const part of source.records()) for (const record of part) verification.take(record);
  return { ...verification.end(), badAnchorLines };
}

class Verification {
  readonly #store: string;
  readonly #keys: KnownKeys;
  readonly #expected: ExpectedHeads;
  readonly #spooled: ReadonlyMap<string, readonly ChainedRecord[]>;
  readonly #seen = new Set<string>();
  readonly #faults: Fault[] = [];
  readonly #lost: LostByRestore[] = [];
  #current: { readonly writer: string; readonly check: ChainCheck; isFaulty: boolean } | undefined;
  #faulty = 0;
  #records = 0;

  constructor(
    store: string,
    keys: KnownKeys,
    expected: ExpectedHeads,
    spooled: ReadonlyMap<string, readonly ChainedRecord[]>,
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#expected = expected;
    this.#spooled = spooled;
  }

  take(record: StoredRecord): void {
    const { writer, seq } = record;
    if (writer !== this.#current?.writer) {
      this.#endWriter();
      this.#begin(writer);
    }
    const current = this.#current;
    this.#records++;
    if (current === undefined || current.isFaulty) return;
    this.#note(current.check.take(withDigest(record)));
    if (!current.isFaulty && !this.#expected.agrees(writer, seq, record.hash))
      this.#note({ writer, seq, kind: 'rewritten' });
  }

  end(): Omit<Verdict, 'badAnchorLines'> {
    this.#endWriter();
    // Of these the source has no record.
    for (const writer of [...this.#spooled.keys(), ...this.#expected.writers]) {
      if (this.#seen.has(writer)) continue;
      this.#begin(writer);
      this.#endWriter();
    }
    return {
      records: this.#records,
      writers: this.#seen.size,
      faults: this.#faults,
      faulty: this.#faulty,
      lostByRestore: this.#lost,
    };
  }

  #begin(writer: string): void {
    const check = new ChainCheck({ writer, store: this.#store, keys: this.#keys });
    this.#current = { writer, check, isFaulty: false };
    this.#seen.add(writer);
  }

  #endWriter(): void {
    const current = this.#current;
    if (current === undefined) return;
    const { writer, check } = current;
    // The database may have some of them already.
    for (const record of this.#spooled.get(writer) ?? [])
      if (record.seq > check.seq) this.take({ ...record, foundBy: undefined });
    if (current.isFaulty) return;
    this.#note(check.end());
    const lost = current.isFaulty ? undefined : this.#expected.lostAfter(writer, check.seq);
    if (lost === undefined) return;
    const from = check.seq + 1;
    if (lost.isByRestore) this.#lost.push({ writer, from, to: lost.to });
    else this.#note({ writer, seq: from, kind: from === 1 ? 'removed' : 'cut-off' });
  }

  #note(fault: Fault | undefined): void {
    if (fault === undefined || this.#current === undefined) return;
    this.#current.isFaulty = true;
    this.#faulty++;
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(fault);
  }
}
