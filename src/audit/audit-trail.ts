/** The audit of one process: its chain from the first record to the last. */
import { v7 as newId } from 'uuid';
import type { Failure } from '../failure.ts';
import type { SigningKey } from '../security/signing-key.ts';
import { Anchor } from './anchor.ts';
import { checkedEntry, parseRecord, type AuditEntry, type AuditSink, type Head } from './audit-entry.ts';
import type { AuditLog, KnownWriter } from './audit-log.ts';
import { AuditWriter, type WriterFigures } from './audit-writer.ts';
import { Chain, type UnchainedRecord } from './chain.ts';
import { Spool } from './spool.ts';
import type { SpoolSealer } from './spool-file.ts';
import { replaySpools, type Replayed } from './spool-replay.ts';

/** Time between two checkpoints, in milliseconds. */
const CHECKPOINT_MS = 60_000;
const OK = 'OK';

export interface TrailSettings {
  readonly log: AuditLog;
  /** Signs heads. */
  readonly signer: SigningKey;
  /** Seals the file that keeps records while the database is away. */
  readonly sealer: SpoolSealer;
  /** See spoolFolder. */
  readonly spoolFolder: string;
  /** Bound of the file. */
  readonly maxSpoolBytes: number;
  /** See placeOfAnchor. */
  readonly anchorFile: string;
  /** Version of the program. */
  readonly program: string;
  /** The store was just filled from a backup. */
  readonly restored?: boolean;
  /** Called when the database is away, once for each reason, and with undefined when it is back. */
  readonly onAway: (failure: Failure | undefined) => void;
  /** Called when the anchor cannot be written; calls go on. */
  readonly onAnchorTrouble: (failure: Failure) => void;
  /** Called with what killed writers had left. */
  readonly onReplayed: (replayed: Replayed) => void;
}

export class AuditTrail implements AuditSink {
  readonly #writer: AuditWriter;
  readonly #parts: { readonly log: AuditLog; readonly spool: Spool; readonly anchor: Anchor };
  /** Id of its chain. */
  readonly writer: string;
  readonly #checkpoints: NodeJS.Timeout;
  /** Records at the last checkpoint. */
  #counted = 0;

  private constructor(id: string, writer: AuditWriter, parts: { log: AuditLog; spool: Spool; anchor: Anchor }) {
    this.writer = id;
    this.#writer = writer;
    this.#parts = parts;
    this.#checkpoints = setInterval(() => void this.#checkpoint(), CHECKPOINT_MS);
    this.#checkpoints.unref();
  }

  /**
   * Replays what killed writers have left, and begins a chain.
   * @throws Failure of the database; LOCK_REFUSED, AUDIT_SPOOL_UNWRITABLE, AUDIT_ANCHOR_UNWRITABLE
   */
  static async open(settings: TrailSettings): Promise<AuditTrail> {
    const { log, signer, sealer, spoolFolder, maxSpoolBytes, anchorFile, onAway, onAnchorTrouble } = settings;
    const store = await log.storeId();
    settings.onReplayed(await replaySpools(spoolFolder, log, sealer));
    const writer = newId();
    const spool = await Spool.create(spoolFolder, writer, sealer, maxSpoolBytes);
    let anchor: Anchor | undefined;
    try {
      anchor = await Anchor.open(anchorFile, store, signer, onAnchorTrouble);
      const chain = new Chain(writer, store, signer);
      await begin(chain, store, settings);
      const opened = anchor;
      const onHead = (head: Head) => opened.note(head);
      onHead(chain.head);
      return new AuditTrail(writer, new AuditWriter({ chain, log, spool, onHead, onAway }), { log, spool, anchor });
    } catch (error) {
      await anchor?.close();
      await spool.close();
      throw error;
    }
  }

  get figures(): WriterFigures {
    return this.#writer.figures;
  }

  async record(entry: AuditEntry): Promise<void> {
    await this.#writer.write(checkedEntry(entry));
  }

  /** Writes a last record. What cannot reach the database stays in the file for the next start. */
  async close(): Promise<void> {
    clearInterval(this.#checkpoints);
    await this.#writer.write(ownRecord('stop')).catch(() => undefined);
    await this.#writer.close();
    await this.#parts.anchor.close();
    await this.#parts.spool.close();
    await this.#parts.log.close();
  }

  /** Records that the writer is still there, if it has recorded anything since it last did. */
  async #checkpoint(): Promise<void> {
    const { records } = this.#writer.figures;
    if (records === this.#counted) return;
    await this.#writer.write(ownRecord('checkpoint')).catch(() => undefined);
    this.#counted = this.#writer.figures.records;
  }
}

function begin(chain: Chain, store: string, { log, signer, program, restored = false }: TrailSettings): Promise<void> {
  return log.begin((known) => {
    const heads = restored ? known.map(({ head }) => head) : unnamed(known);
    const genesis = { store, key: signer.fingerprint, program, heads, ...(restored && { restored }) };
    const batch = chain.batchOf([ownRecord('start')], genesis);
    chain.advance(batch);
    return batch[0];
  });
}

/** The heads that no earlier writer has named: each is named once, and the names of names lead to all. */
function unnamed(known: readonly KnownWriter[]): Head[] {
  const named = new Set<string>();
  for (const { first } of known) {
    const genesis = first === undefined ? undefined : parseRecord(first)?.genesis;
    for (const { writer, hash } of genesis?.heads ?? []) named.add(`${writer} ${hash}`);
  }
  return known.map(({ head }) => head).filter(({ writer, hash }) => !named.has(`${writer} ${hash}`));
}

function ownRecord(kind: 'start' | 'stop' | 'checkpoint'): UnchainedRecord {
  const now = new Date().toISOString();
  return { kind, begun: now, ended: now, outcome: OK };
}
