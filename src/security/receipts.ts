/** Proof that a subject was expunged, or the probe of a case destroyed: signed by the service, and checked with its public key. */
import { createHash, verify } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { fingerprintOf, readPublicKey, SigningKey } from './signing-key.ts';

const FILE = 'receipt-key.pem';

/** After a removal the subject remains, with the references that were not removed. */
const FORMATS = { expunge: 'ridgewatch-expunge-receipt-1', removal: 'ridgewatch-removal-receipt-1' } as const;

const contentSchema = z.strictObject({
  format: z.enum([FORMATS.expunge, FORMATS.removal]),
  /** SHA-256 of the subject's id: identifies the subject only if the id is known. */
  subject_digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** The change that removed the subject. */
  change: z.int().positive(),
  time: z.iso.datetime(),
  /** Name in the client certificate of the call. */
  requested_by: z.string(),
  /** The second administrator, where two have removed the record of another agency. */
  approved_by: z.string().optional(),
  reason: z.string(),
  references_removed: z.int().nonnegative(),
  /** Indexes on disk that contain the subject: its data are gone after they are pruned. */
  indexes_affected: z.array(z.string()),
  /** SHA-256 of the signing key's public part (SubjectPublicKeyInfo). */
  key: z.string().regex(/^[0-9a-f]{64}$/),
});

const PROBE_FORMAT = 'ridgewatch-probe-receipt-1';

const probeSchema = z.strictObject({
  format: z.literal(PROBE_FORMAT),
  /** SHA-256 of the case's id. */
  case_digest: z.string().regex(/^[0-9a-f]{64}$/),
  time: z.iso.datetime(),
  /** How the case ended. */
  state: z.enum(['closed', 'expired']),
  /** SHA-256 of the encrypted probe. */
  sealed_digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** As in the receipt of a subject. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
});

const receiptSchema = z.strictObject({
  content: z.discriminatedUnion('format', [contentSchema, probeSchema]),
  signature: z.base64(),
});

export type RemovalContent = z.output<typeof contentSchema>;
export type ProbeContent = z.output<typeof probeSchema>;
export type ReceiptContent = RemovalContent | ProbeContent;

/** The part of a probe's receipt that is known when it is destroyed. */
interface ProbeFacts {
  readonly caseId: string;
  readonly at: Date;
  readonly state: 'closed' | 'expired';
  readonly sealedDigest: string;
}

/** The part of a receipt that is known when the subject is removed. */
export type ExpungeFacts = Omit<RemovalContent, 'format' | 'subject_digest' | 'key'> & { readonly subjectId: string };

/** Signs receipts (Ed25519, RFC 8032). */
export class ReceiptSigner {
  readonly #key: SigningKey;

  private constructor(key: SigningKey) {
    this.#key = key;
  }

  /**
   * The key of a data directory, created at first use.
   * @param file - default: `receipt-key.pem` in the data directory
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID
   */
  static async open(file: string | undefined, dataDir: string): Promise<ReceiptSigner> {
    const place = placeOfReceiptKey(file, dataDir);
    if (file === undefined) await SigningKey.create(place, descriptionOf(place));
    return new ReceiptSigner(SigningKey.read(place, descriptionOf(place)));
  }

  /**
   * The existing key, for readers: a key created now would have signed nothing.
   * @param file - as in `open`
   * @throws Failure KEYS_UNREADABLE, KEYS_INVALID
   */
  static read(file: string | undefined, dataDir: string): ReceiptSigner {
    const place = placeOfReceiptKey(file, dataDir);
    if (existsSync(place)) return new ReceiptSigner(SigningKey.read(place, descriptionOf(place)));
    const sentence = `${descriptionOf(place)} is not there: a service makes one at its start, and after a restore the one of before has to be put back.`;
    throw new Failure('failed-precondition', 'KEYS_UNREADABLE', sentence);
  }

  /** PEM, for checking receipts. */
  get publicKey(): string {
    return this.#key.publicKey;
  }

  /** Whether a receipt names this key as its signer. The signature is not checked. */
  isOf(receipt: string): boolean {
    const { content } = receiptSchema.parse(JSON.parse(receipt));
    return content.key === this.#key.fingerprint;
  }

  /** @returns the receipt as JSON */
  sign({ subjectId, ...facts }: ExpungeFacts, what: keyof typeof FORMATS = 'expunge'): string {
    const content = contentSchema.parse({
      format: FORMATS[what],
      subject_digest: digestOfSubject(subjectId),
      ...facts,
      key: this.#key.fingerprint,
    });
    return this.#signed(content);
  }

  /** Of a probe that is destroyed. @returns the receipt as JSON */
  signProbe({ caseId, at, state, sealedDigest }: ProbeFacts): string {
    const facts = { time: at.toISOString(), state, sealed_digest: sealedDigest };
    const ids = { format: PROBE_FORMAT, case_digest: digestOfSubject(caseId) };
    return this.#signed(probeSchema.parse({ ...ids, ...facts, key: this.#key.fingerprint }));
  }

  #signed(content: ReceiptContent): string {
    const signature = this.#key.sign(Buffer.from(JSON.stringify(content))).toString('base64');
    return JSON.stringify({ content, signature });
  }
}

/**
 * Checks a receipt with only the public key.
 * @param text - JSON
 * @throws Failure RECEIPT_INVALID, KEYS_INVALID
 */
export function verifyReceipt(text: string, publicKeyPem: string): ReceiptContent {
  const key = readPublicKey(publicKeyPem);
  const invalid = (why: string) =>
    new Failure('invalid-argument', 'RECEIPT_INVALID', `The receipt is not valid: ${why}.`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
  const parsed = receiptSchema.safeParse(json);
  if (!parsed.success) throw invalid('it does not have the form of one');
  const { content, signature } = parsed.data;
  if (content.key !== fingerprintOf(key)) throw invalid('it was signed with another key');
  const bytes = Buffer.from(signature, 'base64');
  // The last character of base64 has unused bits: only the canonical encoding of a signature is accepted.
  const isExact = bytes.toString('base64') === signature;
  if (!isExact || !verify(null, Buffer.from(JSON.stringify(content)), key, bytes))
    throw invalid('its content is not what was signed');
  return content;
}

/** Path of the key. @param file - as in `open` */
export function placeOfReceiptKey(file: string | undefined, dataDir: string): string {
  return file ?? join(dataDir, FILE);
}

/**
 * Warns if the receipts of a store were signed with another key than the current one, as after a restore without the
 * key.
 * @param signer - undefined if there is no key
 * @param place - path of the key
 * @param lastReceipt - undefined if there is none
 * @returns the warning, or undefined
 */
export function otherReceiptKey(
  signer: ReceiptSigner | undefined,
  place: string,
  lastReceipt: string | undefined,
): string | undefined {
  if (lastReceipt === undefined || signer?.isOf(lastReceipt) === true) return undefined;
  const present = signer === undefined ? 'which is not there' : 'which is another one';
  return `the receipts of the store were not signed with the key ${place}, ${present}: put the key of before back (receipt-key.pem, not part of a backup) before another subject is expunged; without it earlier receipts are checked with its public key only, and new ones with another one`;
}

/** Whether the subject of a receipt remains in the store. */
export function isOfRemoval({ format }: ReceiptContent): boolean {
  return format === FORMATS.removal;
}

/** Whether a receipt is of a probe. */
export function isOfProbe(content: ReceiptContent): content is ProbeContent {
  return content.format === PROBE_FORMAT;
}

/** A receipt's name for a subject, or a case. */
export function digestOfSubject(subjectId: string): string {
  return createHash('sha256').update(subjectId).digest('hex');
}

function descriptionOf(place: string): string {
  return `The key ${place} that receipts are signed with`;
}
