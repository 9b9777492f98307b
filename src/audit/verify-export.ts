/** Verifies an exported file, without the database. */
import { createHash, verify } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import type { StoredRecord } from './audit-log.ts';
import { canonicalText, digestOf } from './chain.ts';
import { ChainCheck, type CheckedRecord, type Fault, type KnownKeys } from './chain-check.ts';
import { EXPORT_FORMAT, sealedBytes } from './export.ts';
import { verifyAudit, type Verdict, type VerifyOptions } from './verify.ts';

/** Records read at a time. */
const PART = 1000;
const hash = z.string().regex(/^[0-9a-f]{64}$/);

const headerSchema = z.object({ format: z.literal(EXPORT_FORMAT), store: z.uuid(), whole: z.boolean() });
const place = {
  writer: z.string(),
  seq: z.int().positive(),
  hash,
  signature: z.base64().optional(),
  previous: hash.optional(),
};
const lineSchema = z.union([
  z.strictObject({ ...place, record: z.record(z.string(), z.unknown()) }),
  z.strictObject({ ...place, digest: hash }),
]);
const endSchema = z.strictObject({ records: z.int(), withheld: z.int(), signature: z.base64() });

export interface ExportVerdict extends Verdict {
  /** All records of the store, and not an excerpt. */
  readonly isWhole: boolean;
  /** The file as a whole is as it was exported. */
  readonly isAsExported: boolean;
}

/** @throws Failure FILE_UNREADABLE, AUDIT_EXPORT_UNKNOWN */
export async function verifyExport(file: string, options: VerifyOptions): Promise<ExportVerdict> {
  const { store, whole } = await headerOf(file);
  const isAsExported = await isSealed(file, options.keys);
  const source = { storeId: store, firsts: () => partsOf(file, ({ seq }) => seq === 1), records: () => partsOf(file) };
  const verdict = whole ? await verifyAudit(source, options) : await verifyExcerpt(file, store, options.keys);
  return { ...verdict, isWhole: whole, isAsExported };
}

/** Each batch stands alone: it is signed at its end. */
async function verifyExcerpt(file: string, store: string, keys: KnownKeys): Promise<Verdict> {
  const faults = new Map<string, Fault>();
  const writers = new Set<string>();
  let check: ChainCheck | undefined;
  let records = 0;
  const note = (fault: Fault | undefined) => {
    if (fault !== undefined && !faults.has(fault.writer)) faults.set(fault.writer, fault);
  };
  for await (const { record, previous } of linesOf(file)) {
    const { writer, seq } = record;
    if (previous !== undefined || check === undefined) {
      note(check?.end());
      check = new ChainCheck({ writer, store, keys, after: { seq: seq - 1, hash: previous ?? Buffer.alloc(0) } });
    }
    writers.add(writer);
    records++;
    note(check.take(record));
  }
  note(check?.end());
  const found = [...faults.values()];
  return {
    records,
    writers: writers.size,
    faults: found,
    faulty: found.length,
    lostByRestore: [],
    badAnchorLines: [],
  };
}

async function* partsOf(
  file: string,
  wanted: (record: CheckedRecord) => boolean = () => true,
): AsyncGenerator<StoredRecord[], void> {
  let part: StoredRecord[] = [];
  for await (const { record } of linesOf(file)) {
    // In a whole export nothing is withheld: an empty text is no record.
    if (wanted(record)) part.push({ ...record, text: record.text ?? '' });
    if (part.length >= PART) {
      yield part;
      part = [];
    }
  }
  yield part;
}

async function* linesOf(
  file: string,
): AsyncGenerator<{ readonly record: CheckedRecord; readonly previous: Buffer | undefined }, void> {
  let number = 0;
  for await (const text of textsOf(file)) {
    if (number++ === 0) continue;
    const { data } = lineSchema.safeParse(parsed(text));
    // The end, or a line that the signature of the file does not cover.
    if (data === undefined) continue;
    const recorded = 'record' in data ? canonicalText(data.record) : undefined;
    const record = {
      writer: data.writer,
      seq: data.seq,
      text: recorded,
      digest: 'digest' in data ? Buffer.from(data.digest, 'hex') : digestOf(recorded ?? ''),
      hash: Buffer.from(data.hash, 'hex'),
      signature: data.signature === undefined ? undefined : Buffer.from(data.signature, 'base64'),
      foundBy: undefined,
    };
    yield { record, previous: data.previous === undefined ? undefined : Buffer.from(data.previous, 'hex') };
  }
}

async function headerOf(file: string): Promise<z.output<typeof headerSchema>> {
  for await (const text of textsOf(file)) {
    const { data } = headerSchema.safeParse(parsed(text));
    if (data !== undefined) return data;
    break;
  }
  throw new Failure('invalid-argument', 'AUDIT_EXPORT_UNKNOWN', `${file} is no exported audit.`);
}

/** Whether the last line signs all lines before it. */
async function isSealed(file: string, keys: KnownKeys): Promise<boolean> {
  const digest = createHash('sha256');
  let last: string | undefined;
  for await (const text of textsOf(file)) {
    if (last !== undefined) digest.update(`${last}\n`);
    last = text;
  }
  const { data } = endSchema.safeParse(parsed(last ?? ''));
  if (data === undefined) return false;
  const bytes = sealedBytes(digest.digest('hex'));
  return [...keys.values()].some((key) => verify(null, bytes, key, Buffer.from(data.signature, 'base64')));
}

async function* textsOf(file: string): AsyncGenerator<string, void> {
  try {
    yield* createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `${file} cannot be read.`, { cause });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
