import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { digestOfSubject, ReceiptSigner, verifyReceipt } from '../../src/security/receipts.ts';
import { temporaryDirectory } from '../cluster.ts';

const facts = {
  subjectId: '0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f10',
  change: 7,
  time: new Date(0).toISOString(),
  requested_by: 'a caller without a certificate',
  reason: 'court order',
  references_removed: 3,
  indexes_affected: ['index-000000000005-aaaaaaaaaaaa'],
};
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

let dataDir: string;
let signer: ReceiptSigner;
beforeAll(async () => {
  dataDir = temporaryDirectory();
  signer = await ReceiptSigner.open(undefined, dataDir);
});

describe('a receipt', () => {
  it('is verified with the public key, and does not contain the subject id', async () => {
    const receipt = signer.sign(facts);
    expect(receipt).not.toContain(facts.subjectId);
    expect(verifyReceipt(receipt, signer.publicKey)).toMatchObject({
      subject_digest: digestOfSubject(facts.subjectId),
      change: 7,
      reason: 'court order',
    });
    expect(statSync(join(dataDir, 'receipt-key.pem')).mode & 0o777).toBe(0o600);
    const again = await ReceiptSigner.open(undefined, dataDir);
    expect(again.publicKey).toBe(signer.publicKey);
    expect(again.sign(facts)).toBe(receipt);
  });

  it('is valid in any JSON layout', () => {
    const spread = JSON.stringify(JSON.parse(signer.sign(facts)), undefined, 4);
    expect(() => verifyReceipt(spread, signer.publicKey)).not.toThrow();
  });

  it('is invalid after any change', () => {
    const receipt = signer.sign(facts);
    fc.assert(
      fc.property(fc.nat(receipt.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        const changed = receipt.slice(0, at) + character + receipt.slice(at + 1);
        fc.pre(changed !== receipt);
        expect(() => verifyReceipt(changed, signer.publicKey)).toThrow(reason('RECEIPT_INVALID'));
      }),
      { numRuns: 2000 },
    );
  });

  it('is invalid with another key', async () => {
    const other = await ReceiptSigner.open(undefined, join(temporaryDirectory(), 'not there yet'));
    expect(() => verifyReceipt(signer.sign(facts), other.publicKey)).toThrow(reason('RECEIPT_INVALID'));
    expect(() => verifyReceipt(signer.sign(facts), 'nonsense')).toThrow(reason('KEYS_INVALID'));
  });
});

describe('the receipt key', () => {
  it('is not created where a file is named, and must be a valid key', async () => {
    await expect(ReceiptSigner.open(join(dataDir, 'misspelt.pem'), dataDir)).rejects.toThrow(reason('KEYS_UNREADABLE'));
    const file = join(dataDir, 'other.pem');
    writeFileSync(file, readFileSync(join(dataDir, 'receipt-key.pem')).subarray(10));
    await expect(ReceiptSigner.open(file, dataDir)).rejects.toThrow(reason('KEYS_INVALID'));
  });
});
