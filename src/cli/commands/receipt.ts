import { readFileSync } from 'node:fs';
import { createFile } from '../../files/durable-file.ts';
import { Failure } from '../../failure.ts';
import {
  digestOfSubject,
  isOfProbe,
  isOfRemoval,
  ReceiptSigner,
  verifyReceipt,
  type ProbeContent,
} from '../../security/receipts.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import { storeSettings, withStore, type StoreOptions } from '../store-access.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface VerifyOptions {
  readonly key: string;
  readonly subject?: string;
  readonly json?: boolean;
}

/** Verifies a receipt with the public key alone. */
export function verify([file]: readonly string[], { key, subject, json }: VerifyOptions): Promise<number> {
  const content = verifyReceipt(read(file), read(key));
  if (isOfProbe(content)) return verifyProbe(content, { subject, json });
  if (subject !== undefined && digestOfSubject(subject) !== content.subject_digest) {
    const sentence = 'The receipt is valid, but for another subject.';
    throw new Failure('invalid-argument', 'RECEIPT_OF_ANOTHER', sentence);
  }
  const lines = [
    `The receipt is valid${subject === undefined ? '' : ', and for this subject'}.`,
    isOfRemoval(content)
      ? `${content.references_removed} references removed ${content.time} by change ${content.change}; the subject remains.`
      : `Removed ${content.time} by change ${content.change}, with ${content.references_removed} references.`,
    `Requested by ${content.requested_by}${approvedBy(content.approved_by)}: ${content.reason}`,
    content.indexes_affected.length === 0
      ? 'No index on disk held the subject.'
      : `Held by indexes until they are pruned: ${content.indexes_affected.join(', ')}.`,
  ];
  printResult({ json }, { valid: true, ...content }, lines.join('\n'));
  return Promise.resolve(EXIT.ok);
}

/** @param subject - id of the case */
function verifyProbe(content: ProbeContent, { subject, json }: Pick<VerifyOptions, 'subject' | 'json'>) {
  if (subject !== undefined && digestOfSubject(subject) !== content.case_digest) {
    const sentence = 'The receipt is valid, but of the probe of another case.';
    throw new Failure('invalid-argument', 'RECEIPT_OF_ANOTHER', sentence);
  }
  const lines = [
    `The receipt is valid${subject === undefined ? '' : ', and for this case'}.`,
    `The probe of a case and its key were destroyed ${content.time}: the case ${content.state === 'closed' ? 'was decided' : 'had expired'}.`,
  ];
  printResult({ json }, { valid: true, ...content }, lines.join('\n'));
  return Promise.resolve(EXIT.ok);
}

function approvedBy(client: string | undefined): string {
  return client === undefined ? '' : ` and approved by ${client}`;
}

/** Prints the public key that verifies receipts. */
export function publicKey(_args: readonly string[], options: StoreOptions): Promise<number> {
  const { receiptKey, dataDir } = storeSettings(options);
  const signer = ReceiptSigner.read(receiptKey, dataDir);
  process.stdout.write(options.json === true ? `${JSON.stringify({ pem: signer.publicKey })}\n` : signer.publicKey);
  return Promise.resolve(EXIT.ok);
}

/** Shows the receipt of an expunged subject, in case the answer to the call was lost. */
export function show([subjectId]: readonly string[], options: StoreOptions): Promise<number> {
  if (!UUID.test(subjectId)) {
    const sentence = 'This is not a subject id. Subject ids are UUIDs; enroll prints them.';
    throw new Failure('invalid-argument', 'USAGE', sentence, { field: 'subject_id' });
  }
  return withStore(options, async ({ store }) => {
    const receipt = (await store.subjects.receiptsOf(subjectId)).at(-1);
    if (receipt === undefined) {
      throw new Failure('not-found', 'RECEIPT_NOT_FOUND', 'No subject of this id was expunged from this store.');
    }
    process.stdout.write(`${receipt}\n`);
    return EXIT.ok;
  });
}

/**
 * Writes a receipt to a new file that only its owner may read.
 * @throws Failure OUTPUT_EXISTS, OUTPUT_UNWRITABLE: states where the receipt can still be obtained
 */
export async function writeReceipt(file: string, subjectId: string, receipt: string): Promise<void> {
  try {
    await createFile(file, (draft) => draft.writeFile(`${receipt}\n`));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const sentence = `The subject was removed, but its receipt was not written: ${error.message} The store keeps it: ridgewatch receipt show ${subjectId}`;
    throw new Failure(error.kind, error.reason, sentence, error.detail);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `${file} cannot be read.`, { cause });
  }
}
