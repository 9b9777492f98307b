/** Keeps the records of one writer in a local file while the database is away. */
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../files/durable-file.ts';
import { FileLock } from '../files/file-lock.ts';
import { Failure } from '../failure.ts';
import type { ChainedRecord } from './chain.ts';
import { batchesOf, frameOf, SPOOL_MAGIC, type SpooledBatch, type SpoolSealer } from './spool-file.ts';

const FOLDER = 'audit-spool';
const ENDING = '.spool';
const FILE = /^([0-9a-f-]{36})\.spool$/;

export function spoolFolder(dataDir: string): string {
  return join(dataDir, FOLDER);
}

/** The writer whose file has this name; undefined: it is no spool. */
export function writerOf(name: string): string | undefined {
  return FILE.exec(name)?.[1];
}

/**
 * What became of a batch. `kept`: it is on disk; `refused`: nothing of it is in the file; `unknown`: it may be in the
 * file.
 */
export type Kept = 'kept' | 'refused' | 'unknown';

export class Spool {
  readonly #writer: string;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #lock: FileLock;
  readonly #sealer: SpoolSealer;
  readonly #maxBytes: number;
  #end = SPOOL_MAGIC.length;

  private constructor(
    writer: string,
    path: string,
    opened: { readonly file: FileHandle; readonly lock: FileLock },
    sealer: SpoolSealer,
    maxBytes: number,
  ) {
    this.#writer = writer;
    this.#path = path;
    this.#file = opened.file;
    this.#lock = opened.lock;
    this.#sealer = sealer;
    this.#maxBytes = maxBytes;
  }

  /**
   * Makes the file of a writer, which holds a lock on it until its process ends.
   * @param folder - see spoolFolder
   * @param maxBytes - bound of the file
   * @throws Failure LOCK_REFUSED, AUDIT_SPOOL_UNWRITABLE
   */
  static async create(folder: string, writer: string, sealer: SpoolSealer, maxBytes: number): Promise<Spool> {
    const path = join(folder, writer + ENDING);
    let lock: FileLock | undefined;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      lock = FileLock.take(path, { missing: 'make' });
      if (lock === undefined) throw new Error('the file is in use');
      const file = await open(path, 'r+');
      await file.writeFile(SPOOL_MAGIC);
      await file.sync();
      await syncDirectory(folder);
      return new Spool(writer, path, { file, lock }, sealer, maxBytes);
    } catch (cause) {
      lock?.release();
      if (cause instanceof Failure) throw cause;
      const sentence = `The folder ${folder}, which keeps audit records while the database is away, cannot be written.`;
      throw new Failure('failed-precondition', 'AUDIT_SPOOL_UNWRITABLE', sentence, { cause });
    }
  }

  get isEmpty(): boolean {
    return this.#end === SPOOL_MAGIC.length;
  }

  /** Bytes of the file. */
  get end(): number {
    return this.#end;
  }

  /** Appends a batch, on disk when this resolves with `kept`. Never rejects. */
  async append(batch: readonly ChainedRecord[]): Promise<Kept> {
    try {
      const frame = frameOf(batch, this.#sealer);
      if (this.#end + frame.length > this.#maxBytes) return 'refused';
      await this.#write(frame);
      await this.#file.datasync();
      this.#end += frame.length;
      return 'kept';
    } catch {
      return this.#cutBack();
    }
  }

  /** The batches from an offset on. @throws Failure AUDIT_SPOOL_DAMAGED, KEY_MISSING; an error of the system */
  batches(from = SPOOL_MAGIC.length): AsyncGenerator<SpooledBatch, void> {
    return batchesOf(this.#file, this.#writer, this.#sealer, from, this.#end);
  }

  /** Forgets the batches, which are in the database. */
  async clear(): Promise<void> {
    await this.#file.truncate(SPOOL_MAGIC.length);
    this.#end = SPOOL_MAGIC.length;
    await this.#file.datasync();
  }

  /** Ends the use of the file, which stays unless it is empty. */
  async close(): Promise<void> {
    try {
      await this.#file.close();
      if (this.isEmpty) await rm(this.#path, { force: true });
    } finally {
      this.#lock.release();
    }
  }

  async #write(frame: Buffer): Promise<void> {
    let done = 0;
    while (done < frame.length) {
      const { bytesWritten } = await this.#file.write(frame, done, frame.length - done, this.#end + done);
      done += bytesWritten;
    }
  }

  /** A batch that was not acknowledged must not come back. */
  async #cutBack(): Promise<Kept> {
    try {
      await this.#file.truncate(this.#end);
      await this.#file.datasync();
      return 'refused';
    } catch {
      return 'unknown';
    }
  }
}
