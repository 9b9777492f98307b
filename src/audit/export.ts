/**
 * Writes records to a file that can be verified without the database: lines of JSON.
 *
 *   {"format": …, "store", "whole", "filter", "exported"}
 *   {"writer", "seq", "hash", "signature"?, "previous"?, "record": {…}}      a record
 *   {"writer", "seq", "hash", "signature"?, "previous"?, "digest"}           one that is withheld
 *   {"records", "withheld", "signature"}                                     the end
 *
 * A whole export has every record. An excerpt has the batches with a matching record; of the others in these batches it
 * has digests only, which are salted and give nothing away. `previous` is the hash that a batch of an excerpt follows.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { createFile } from '../files/durable-file.ts';
import type { AuditFilter, AuditReader, StoredRecord } from './audit-log.ts';
import { digestOf, type HeadSigner } from './chain.ts';

export const EXPORT_FORMAT = 'ridgewatch-audit-export-1';
/** Text that is written at once, in characters. */
const WRITE_AT = 1 << 20;

export interface ExportOrder {
  /** A new file. */
  readonly file: string;
  readonly reader: AuditReader;
  readonly filter: AuditFilter;
  /** Signs the file as a whole. */
  readonly signer: HeadSigner;
  /** Called with the records written so far. */
  readonly onProgress: (records: number) => void;
}

export interface ExportFacts {
  readonly records: number;
  /** Records of which only the digest is in the file. */
  readonly withheld: number;
}

/** What the end of a file signs. */
export function sealedBytes(digest: string): Buffer {
  return Buffer.from(`${EXPORT_FORMAT} ${digest}`);
}

/**
 * Exports records. The file is complete or absent, and only its owner may read it.
 * @throws Failure OUTPUT_EXISTS, OUTPUT_UNWRITABLE; those of the database
 */
export async function exportAudit({ file, reader, filter, signer, onProgress }: ExportOrder): Promise<ExportFacts> {
  let facts: ExportFacts = { records: 0, withheld: 0 };
  await createFile(file, async (draft) => {
    const whole = Object.values(filter).every((value) => value === undefined);
    const lines = new Lines(draft);
    const { storeId: store } = reader;
    const { since, until, agency, clientId: client, subjectId: subject } = filter;
    const which = { since, until, agency, client, subject };
    await lines.add({ format: EXPORT_FORMAT, store, whole, filter: which, exported: new Date().toISOString() });
    facts = await (whole ? addAll : addMatching)(lines, reader, filter, onProgress);
    await lines.end({ ...facts }, signer);
  });
  return facts;
}

async function addAll(
  lines: Lines,
  reader: AuditReader,
  _: AuditFilter,
  onProgress: (records: number) => void,
): Promise<ExportFacts> {
  let records = 0;
  for await (const part of reader.records()) {
    for (const record of part) await lines.addRaw(lineOf(record, true));
    onProgress((records += part.length));
  }
  return { records, withheld: 0 };
}

async function addMatching(
  lines: Lines,
  reader: AuditReader,
  filter: AuditFilter,
  onProgress: (records: number) => void,
): Promise<ExportFacts> {
  let [records, withheld] = [0, 0];
  for await (const batch of reader.batches(filter)) {
    for (const [i, record] of batch.records.entries())
      await lines.addRaw(lineOf(record, batch.matching.has(record.seq), i === 0 ? batch.previous : undefined));
    onProgress((records += batch.matching.size));
    withheld += batch.records.length - batch.matching.size;
  }
  return { records, withheld };
}

/** The text of a record is JSON already. */
function lineOf({ writer, seq, hash, signature, text }: StoredRecord, isShown: boolean, previous?: Buffer): string {
  const place = {
    writer,
    seq,
    hash: hash.toString('hex'),
    signature: signature?.toString('base64'),
    previous: previous?.toString('hex'),
    ...(!isShown && { digest: digestOf(text).toString('hex') }),
  };
  const line = JSON.stringify(place);
  return isShown ? `${line.slice(0, -1)},"record":${text}}` : line;
}

/** Writes lines, and signs them at the end. */
class Lines {
  readonly #file: FileHandle;
  readonly #digest = createHash('sha256');
  #text = '';

  constructor(file: FileHandle) {
    this.#file = file;
  }

  add(value: object): Promise<void> {
    return this.addRaw(JSON.stringify(value));
  }

  async addRaw(line: string): Promise<void> {
    this.#text += `${line}\n`;
    if (this.#text.length >= WRITE_AT) await this.#flush();
  }

  async end(value: object, signer: HeadSigner): Promise<void> {
    await this.#flush();
    const signature = signer.sign(sealedBytes(this.#digest.digest('hex'))).toString('base64');
    await this.#file.writeFile(`${JSON.stringify({ ...value, signature })}\n`);
  }

  async #flush(): Promise<void> {
    this.#digest.update(this.#text);
    await this.#file.writeFile(this.#text);
    this.#text = '';
  }
}
