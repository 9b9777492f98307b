/** Receipts of removed subjects. */
import { listIndexes, sequenceOfName } from '../index-files/index-catalog.ts';
import type { ExpungeFacts, ReceiptSigner } from '../security/receipts.ts';
import type { Removed } from '../store/records.ts';

export interface ReceiptDependencies {
  /** Signs the receipts of expunged subjects. */
  readonly signer: ReceiptSigner;
  /** Directory of the index files. */
  readonly indexDir: string;
}

/** Which subject is removed, why, and by whose decision. */
type Decision = Pick<ExpungeFacts, 'subjectId' | 'reason' | 'requested_by' | 'approved_by'>;

/** Looks at the indexes on disk. @returns signs the receipt of a removal that follows, which names those it is in */
export async function removalReceipts({
  signer,
  indexDir,
}: ReceiptDependencies): Promise<(decision: Decision, removed: Removed) => string> {
  const indexes = await listIndexes(indexDir);
  return (decision, removed) =>
    signer.sign({
      ...decision,
      change: removed.seq,
      time: removed.at.toISOString(),
      references_removed: removed.referencesRemoved,
      indexes_affected: indexes.filter((name) => {
        const sequence = sequenceOfName(name);
        return sequence >= removed.firstSeq && sequence < removed.seq;
      }),
    });
}
