/**
 * A file beside the database, or better on another machine, to which heads are appended: one JSON object a line. It
 * shows what the database had. Records cut off together with everything that follows them are missed only by it.
 */
import { verify, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { whyOf } from '../files/durable-file.ts';
import { canonicalText, type HeadSigner } from './chain.ts';
import type { Head } from './audit-entry.ts';

const FILE = 'audit-anchor.ndjson';
/** Time between two lines, in milliseconds. */
const INTERVAL_MS = 1000;

const lineSchema = z.strictObject({
  store: z.uuid(),
  writer: z.uuid(),
  seq: z.int().positive(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.iso.datetime(),
  signature: z.base64(),
});

export type AnchoredHead = Omit<z.output<typeof lineSchema>, 'signature'>;

/** @param file - default: `audit-anchor.ndjson` in the data directory */
export function placeOfAnchor(file: string | undefined, dataDir: string): string {
  return file ?? join(dataDir, FILE);
}

function bytesOf({ store, writer, seq, hash, at }: AnchoredHead): Buffer {
  return Buffer.from(`ridgewatch-audit-anchor-1 ${canonicalText({ store, writer, seq, hash, at })}`);
}

/** Appends the heads of one writer. */
export class Anchor {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #store: string;
  readonly #signer: HeadSigner;
  readonly #onTrouble: (failure: Failure) => void;
  #head: Head | undefined;
  #written = 0;
  #lastAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    path: string,
    file: FileHandle,
    store: string,
    signer: HeadSigner,
    onTrouble: (failure: Failure) => void,
  ) {
    this.#path = path;
    this.#file = file;
    this.#store = store;
    this.#signer = signer;
    this.#onTrouble = onTrouble;
  }

  /**
   * @param store - identity of the store
   * @param onTrouble - called with AUDIT_ANCHOR_UNWRITABLE when a line cannot be written; records are kept nevertheless
   * @throws Failure AUDIT_ANCHOR_UNWRITABLE
   */
  static async open(
    path: string,
    store: string,
    signer: HeadSigner,
    onTrouble: (failure: Failure) => void,
  ): Promise<Anchor> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(path, 'a', 0o600);
      // A power cut may have left half a line.
      await file.appendFile((await endsInLine(path)) ? '' : '\n');
      return new Anchor(path, file, store, signer, onTrouble);
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  /** Notes a durable head: it is in the file within a second. */
  note(head: Head): void {
    this.#head = head;
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#lastAt + INTERVAL_MS - performance.now());
    this.#timer = setTimeout(() => this.#flush(), wait);
    this.#timer.unref();
  }

  /** Writes the last head, and ends. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#flush();
    await this.#writing;
    await this.#file.close();
  }

  #flush(): void {
    this.#timer = undefined;
    const head = this.#head;
    if (head === undefined || head.seq === this.#written) return;
    this.#lastAt = performance.now();
    this.#written = head.seq;
    this.#writing = this.#writing
      .then(() => this.#write(head))
      .catch((error: unknown) => this.#onTrouble(unwritable(this.#path, error)));
  }

  async #write(head: Head): Promise<void> {
    const line = { store: this.#store, ...head, at: new Date().toISOString() };
    const signature = this.#signer.sign(bytesOf(line)).toString('base64');
    // One write: lines of several services in one file do not mix.
    await this.#file.appendFile(`${JSON.stringify({ ...line, signature })}\n`);
    await this.#file.datasync();
  }
}

function unwritable(path: string, cause: unknown): Failure {
  const sentence = `The anchor file ${path} of the audit cannot be written (RIDGEWATCH_AUDIT_ANCHOR).${whyOf(cause)}`;
  return new Failure('failed-precondition', 'AUDIT_ANCHOR_UNWRITABLE', sentence, { cause });
}

/** A line that was not signed with any of the keys. */
export interface BadLine {
  /** Counted from 1. */
  readonly line: number;
}

/**
 * The heads in a file, each checked with one of the keys. Half a line, as a power cut leaves it, is left out.
 * @throws Failure FILE_UNREADABLE
 */
export async function* readAnchor(
  path: string,
  keys: readonly KeyObject[],
): AsyncGenerator<AnchoredHead | BadLine, void> {
  let line = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      line++;
      const json = parsed(text);
      if (json !== undefined) yield headOf(json, keys) ?? { line };
    }
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `${path} cannot be read.`, { cause });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function headOf(json: unknown, keys: readonly KeyObject[]): AnchoredHead | undefined {
  const { data } = lineSchema.safeParse(json);
  if (data === undefined) return undefined;
  const { signature, ...head } = data;
  const bytes = bytesOf(head);
  return keys.some((key) => verify(null, bytes, key, Buffer.from(signature, 'base64'))) ? head : undefined;
}

async function endsInLine(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size === 0) return true;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer.toString() === '\n';
  } finally {
    await file.close();
  }
}
