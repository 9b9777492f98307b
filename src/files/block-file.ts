/**
 * Files of an index: a sequence of encrypted blocks.
 *
 *   0   8 bytes   "RWSEAL01"
 *   8   u32       bytes of the first sealed block, little-endian
 * 12   …         the sealed block, see BlockSealer
 *       u32 …     and so on; the last block is empty, and sealed as the end
 *
 * Each block is sealed under the file's name and the block's number, the last one under the number of blocks. Changed
 * or exchanged blocks and truncated files do not open.
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { Failure } from '../failure.ts';

const MAGIC = Buffer.from('RWSEAL01');
const LENGTH_BYTES = 4;
/** Far above the size of any block of this program: a larger length is damage. */
const MAX_BLOCK_BYTES = 1 << 26;

/** Encrypts blocks deterministically: indexes with equal content have equal bytes. */
export interface BlockSealer {
  /** Id of its key. */
  readonly keyId: string;
  /** @param context - a block opens only under the same context */
  seal(plain: Uint8Array, context: string): Uint8Array;
  /** @throws unless it was sealed under this context */
  unseal(sealed: Uint8Array, context: string): Buffer;
  /** A MAC of a text, in base64: it proves that the writer had the key. */
  stamp(text: string): string;
}

/** Seals the files of one index. */
export interface IndexSeal {
  readonly sealer: BlockSealer;
  /** The origin of the index: its blocks open in no other index. */
  readonly context: string;
}

/** A file's entry in the manifest. */
export interface FileFacts {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export class BlockFileWriter {
  readonly #name: string;
  readonly #file: FileHandle;
  readonly #seal: IndexSeal;
  readonly #digest = createHash('sha256');
  #bytes = 0;
  #blocks = 0;

  private constructor(name: string, file: FileHandle, seal: IndexSeal) {
    this.#name = name;
    this.#file = file;
    this.#seal = seal;
  }

  /**
   * Makes a new file; it must not exist.
   * @param name - its blocks are sealed under this name
   */
  static async create(path: string, name: string, seal: IndexSeal): Promise<BlockFileWriter> {
    return BlockFileWriter.begin(await open(path, 'wx', 0o600), name, seal);
  }

  /** Continues an open file at its current position. The caller closes the file. */
  static async begin(file: FileHandle, name: string, seal: IndexSeal): Promise<BlockFileWriter> {
    const writer = new BlockFileWriter(name, file, seal);
    await writer.#write(MAGIC);
    return writer;
  }

  async append(plain: Uint8Array): Promise<void> {
    await this.#block(plain, contextOf(this.#seal, this.#name, this.#blocks++));
  }

  /** Finishes the file, syncs it to disk and closes it. */
  async finish(): Promise<FileFacts> {
    const facts = await this.end();
    await this.#file.sync();
    await this.#file.close();
    return facts;
  }

  /** Writes the last block. */
  async end(): Promise<FileFacts> {
    await this.#block(new Uint8Array(0), endOf(this.#seal, this.#name, this.#blocks));
    return { name: this.#name, bytes: this.#bytes, sha256: this.#digest.digest('hex') };
  }

  /** Leaves the file as it is. */
  async abandon(): Promise<void> {
    await this.#file.close();
  }

  async #block(plain: Uint8Array, context: string): Promise<void> {
    const sealed = this.#seal.sealer.seal(plain, context);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(sealed.length);
    await this.#write(Buffer.concat([length, sealed]));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.writeFile(bytes);
    this.#digest.update(bytes);
    this.#bytes += bytes.length;
  }
}

/**
 * Makes a whole file of blocks, on disk when this resolves; what was written stays when it rejects.
 * @param name - its blocks are sealed under this name
 */
export async function writeBlocks(
  path: string,
  name: string,
  seal: IndexSeal,
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<FileFacts> {
  const writer = await BlockFileWriter.create(path, name, seal);
  try {
    for await (const block of blocks) await writer.append(block);
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return writer.finish();
}

/**
 * The blocks of a file, in order.
 * @param whole - false: end quietly at the end of an unfinished file
 * @param from - offset of the first block
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING
 */
export async function* readBlocks(
  path: string,
  name: string,
  seal: IndexSeal,
  whole = true,
  from = 0,
): AsyncGenerator<Buffer> {
  const file = await openFile(path, name);
  try {
    const reader = new Reader(file, from);
    const magic = await reader.read(MAGIC.length);
    if (magic?.equals(MAGIC) !== true) {
      if (whole) throw damaged(name, 'it is no file of an index');
      return;
    }
    for (let number = 0; ; number++) {
      const length = (await reader.read(LENGTH_BYTES))?.readUInt32LE();
      if (length !== undefined && length > MAX_BLOCK_BYTES) throw damaged(name, `block ${number} does not open`);
      const sealed = length === undefined ? undefined : await reader.read(length);
      if (sealed === undefined) {
        if (whole) throw damaged(name, `it ends in block ${number}`);
        return;
      }
      const block = tryUnseal(seal, sealed, contextOf(seal, name, number));
      if (block === undefined) {
        if (tryUnseal(seal, sealed, endOf(seal, name, number)) === undefined)
          throw damaged(name, `block ${number} does not open`);
        if ((await reader.read(1)) !== undefined) throw damaged(name, 'something follows its end');
        return;
      }
      yield block;
    }
  } finally {
    await file.close();
  }
}

export function damaged(name: string, why: string): Failure {
  const sentence = `The index file ${name} is damaged: ${why}. Build the index again: ridgewatch index build.`;
  return new Failure('failed-precondition', 'INDEX_DAMAGED', sentence);
}

async function openFile(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    const sentence = `The index file ${name} is missing or cannot be read. Build the index again: ridgewatch index build.`;
    throw new Failure('failed-precondition', 'INDEX_FILE_MISSING', sentence, { cause });
  }
}

/** Reads a file from an offset, always into the same buffer. */
class Reader {
  readonly #file: FileHandle;
  #at: number;
  #memory = Buffer.allocUnsafeSlow(0);

  constructor(file: FileHandle, from: number) {
    this.#file = file;
    this.#at = from;
  }

  /** @returns the next bytes, valid until the next call; undefined where the file is shorter */
  async read(length: number): Promise<Buffer | undefined> {
    if (this.#memory.length < length) this.#memory = Buffer.allocUnsafeSlow(length);
    let end = 0;
    while (end < length) {
      const { bytesRead } = await this.#file.read(this.#memory, end, length - end, this.#at);
      if (bytesRead === 0) return undefined;
      this.#at += bytesRead;
      end += bytesRead;
    }
    return this.#memory.subarray(0, length);
  }
}

/**
 * Releases the memory of a block that was copied elsewhere. The collector would release it too, but only after a full
 * pass: with a million references that takes a tenth of a second of this thread, once for every thirty blocks.
 */
export function releaseBlock({ buffer, byteLength }: Buffer): void {
  // Small buffers share their memory with others.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function tryUnseal({ sealer }: IndexSeal, sealed: Uint8Array, context: string): Buffer | undefined {
  try {
    return sealer.unseal(sealed, context);
  } catch {
    return undefined;
  }
}

function contextOf({ context }: IndexSeal, name: string, number: number): string {
  return `${context} ${name} ${number}`;
}

function endOf(seal: IndexSeal, name: string, blocks: number): string {
  return contextOf(seal, name, blocks) + ' end';
}
