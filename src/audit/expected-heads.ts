/** What others say that a writer had recorded: the first records of later writers, and anchors. */
import { parseRecord, type Head } from './audit-entry.ts';
import { readAnchor } from './anchor.ts';
import type { StoredRecord } from './audit-log.ts';
import { ChainCheck, withDigest, type KnownKeys } from './chain-check.ts';

/** A head that the records must reach. */
interface ExpectedHead {
  readonly seq: number;
  readonly hash: string;
  /** When it was anchored; undefined: a first record names it. */
  readonly at: string | undefined;
}

/** A writer that began with the content of a backup. */
interface Restore {
  readonly at: string;
  /** Last record of each writer in the backup. */
  readonly heads: ReadonlyMap<string, number>;
}

/** Only the furthest head of each origin is kept: a chain that reaches it has all records before it unchanged. */
export class ExpectedHeads {
  readonly #heads = new Map<string, ExpectedHead[]>();
  readonly #restores: Restore[] = [];

  get writers(): Iterable<string> {
    return this.#heads.keys();
  }

  /** Reads the first records of all writers. Those that are not in order name no writer. */
  async readFirsts(firsts: AsyncIterable<readonly StoredRecord[]>, store: string, keys: KnownKeys): Promise<void> {
    for await (const part of firsts)
      for (const record of part) {
        const check = new ChainCheck({ writer: record.writer, store, keys });
        if (check.take(withDigest(record)) !== undefined || check.end() !== undefined) continue;
        const { genesis, ended = '' } = parseRecord(record.text) ?? {};
        if (genesis === undefined) continue;
        for (const head of genesis.heads) this.#add(head, undefined);
        if (genesis.restored === true)
          this.#restores.push({ at: ended, heads: new Map(genesis.heads.map(({ writer, seq }) => [writer, seq])) });
      }
  }

  /** Reads a file of anchors. @returns the lines that none of the keys signed @throws Failure FILE_UNREADABLE */
  async readAnchor(file: string, store: string, keys: KnownKeys): Promise<number[]> {
    const bad: number[] = [];
    for await (const head of readAnchor(file, [...keys.values()])) {
      if ('line' in head) bad.push(head.line);
      else if (head.store === store) this.#add(head, head.at);
    }
    return bad;
  }

  /** Whether a record is the one that was named, if it was. */
  agrees(writer: string, seq: number, hash: Buffer): boolean {
    const named = this.#heads.get(writer)?.filter((head) => head.seq === seq) ?? [];
    return named.every((head) => head.hash === hash.toString('hex'));
  }

  /**
   * The last record that must be there after the last one that is.
   * @param seq - the last one; 0: there is none
   * @returns its number, and whether a restore explains its absence; undefined: nothing is missing
   */
  lostAfter(writer: string, seq: number): { readonly to: number; readonly isByRestore: boolean } | undefined {
    const lost = this.#heads.get(writer)?.filter((head) => head.seq > seq) ?? [];
    if (lost.length === 0) return undefined;
    const isByRestore = lost.every(({ at }) => at !== undefined && this.#wasRestored(writer, seq, at));
    return { to: Math.max(...lost.map((head) => head.seq)), isByRestore };
  }

  /** Whether a backup was restored since that had just these records of the writer. */
  #wasRestored(writer: string, seq: number, at: string): boolean {
    return this.#restores.some((restore) => restore.at >= at && (restore.heads.get(writer) ?? 0) === seq);
  }

  #add({ writer, seq, hash }: Head, at: string | undefined): void {
    const heads = this.#heads.get(writer) ?? [];
    const before = heads.find((head) => (head.at === undefined) === (at === undefined));
    if (before !== undefined && before.seq >= seq) return;
    this.#heads.set(writer, [...heads.filter((head) => head !== before), { seq, hash, at }]);
  }
}
