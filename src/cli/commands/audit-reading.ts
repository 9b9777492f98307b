import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseRecord } from '../../audit/audit-entry.ts';
import { ChainCheck, type Fault } from '../../audit/chain-check.ts';
import { digestOf } from '../../audit/chain.ts';
import type { AuditRecord, ReadAuditResponse } from '../../contract/generated/ridgewatch/v1/audit.ts';
import { Failure } from '../../failure.ts';
import { fingerprintOf, readPublicKey } from '../../security/signing-key.ts';
import { sentenceOfFault, tableOfRecords } from '../audit-report.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { ServiceClient } from '../client.ts';

interface ReadOptions extends ConnectionOptions {
  readonly subject?: string;
  readonly client?: string;
  readonly agency?: string;
  readonly since?: string;
  readonly until?: string;
  readonly kind?: string;
  readonly method?: string;
  readonly writer?: string;
  readonly after?: { readonly writer: string; readonly seq: number };
  readonly limit: number;
  readonly publicKey?: readonly string[];
}

/** Reads records from a service, and verifies them where the public key is given. */
export async function readRecords(_args: readonly string[], options: ReadOptions): Promise<number> {
  const keys = (options.publicKey ?? []).map(readKey);
  const service = new ServiceClient(connectionOf(options));
  const texts: string[] = [];
  const check = new ReadingCheck(keys);
  let last: ReadAuditResponse | undefined;
  let position: ReadAuditResponse['position'];
  try {
    await service.readAudit(
      {
        filter: {
          startTime: options.since === undefined ? undefined : new Date(options.since),
          endTime: options.until === undefined ? undefined : new Date(options.until),
          clientId: options.client ?? '',
          agency: options.agency ?? '',
          subjectId: options.subject ?? '',
          kind: options.kind ?? '',
          method: options.method ?? '',
          writer: options.writer ?? '',
        },
        after: options.after,
        maxRecords: options.limit,
      },
      (answer) => {
        last = answer;
        position = answer.position ?? position;
        for (const record of answer.records) {
          if (record.content?.$case === 'text') texts.push(record.content.value);
          if (keys.length > 0) check.take(record, answer.storeId);
        }
      },
    );
  } finally {
    service.close();
  }
  const faults = check.end();
  const isComplete = last?.complete === true;
  const next = position === undefined ? '' : `${position.writer}:${position.seq}`;
  const verified = keys.length === 0 ? undefined : faults.length === 0;
  const document = {
    // A text that is no record is shown as it is: the faults name it.
    records: texts.map((text) => parseRecord(text) ?? text),
    complete: isComplete,
    position: next,
    ...(verified !== undefined && { verified, faults }),
  };
  const lines = [
    texts.length === 0 ? 'No record matches.' : tableOfRecords(texts.map(parseRecord)),
    ...(isComplete ? [] : [`There may be more: --after ${next}`]),
    ...faults.map(sentenceOfFault),
    ...(verified === true ? ['Verified: these records are as they were recorded.'] : []),
  ];
  printResult(options, document, lines.join('\n'));
  return faults.length === 0 ? EXIT.ok : EXIT.tampered;
}

/** Verifies records as they arrive: each batch begins with the hash that it follows, and ends with a signature. */
class ReadingCheck {
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #faults: Fault[] = [];
  #check: ChainCheck | undefined;

  constructor(keys: readonly KeyObject[]) {
    this.#keys = new Map(keys.map((key) => [fingerprintOf(key), key]));
  }

  take({ writer, seq, hash, signature, previous, content }: AuditRecord, store: string): void {
    if (previous.length > 0 || this.#check === undefined) {
      this.#note(this.#check?.end());
      const after = { seq: seq - 1, hash: previous };
      this.#check = new ChainCheck({ writer, store, keys: this.#keys, after });
    }
    const text = content?.$case === 'text' ? content.value : undefined;
    const digest = content?.$case === 'digest' ? content.value : digestOf(text ?? '');
    const signed = signature.length === 0 ? undefined : signature;
    this.#note(this.#check.take({ writer, seq, hash, signature: signed, text, digest, foundBy: undefined }));
  }

  end(): readonly Fault[] {
    this.#note(this.#check?.end());
    this.#check = undefined;
    return this.#faults;
  }

  #note(fault: Fault | undefined): void {
    if (fault !== undefined) this.#faults.push(fault);
  }
}

/** @throws Failure FILE_UNREADABLE, KEYS_INVALID */
function readKey(file: string): KeyObject {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `${file} cannot be read.`, { cause });
  }
  return readPublicKey(pem);
}
