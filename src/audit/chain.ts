/** Chains the records of a writer: each hash covers everything before it. */
import { createHash, randomBytes, verify, type KeyObject } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { AuditRecord, Genesis, Head } from './audit-entry.ts';

const HASH = 'sha256';
const HASH_BYTES = 32;
const SALT_BYTES = 16;
/** What the first record of a chain follows. */
export const NO_HASH = Buffer.alloc(HASH_BYTES);

/** A record as it is stored. */
export interface ChainedRecord {
  readonly writer: string;
  readonly seq: number;
  /** The record in canonical JSON (RFC 8785). */
  readonly text: string;
  readonly hash: Buffer;
  /** Of the head: on the last record of a batch. */
  readonly signature: Buffer | undefined;
}

/** What a head's signature covers. */
export interface SignedHead {
  /** Identity of the store. */
  readonly store: string;
  readonly writer: string;
  /** First record of the batch. */
  readonly first: number;
  /** Last record of the batch. */
  readonly seq: number;
  readonly hash: Buffer;
}

/** Signs heads, see SigningKey. */
export interface HeadSigner {
  sign(content: Uint8Array): Buffer;
}

/** @throws Error for a value that JSON does not have */
export function canonicalText(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('not a JSON value');
  return text;
}

/** Digest of a record's text. An excerpt has it in place of the text. */
export function digestOf(text: string): Buffer {
  return createHash(HASH).update(text).digest();
}

export function hashOf(previous: Uint8Array, digest: Uint8Array): Buffer {
  return createHash(HASH).update(previous).update(digest).digest();
}

function bytesOf({ store, writer, first, seq, hash }: SignedHead): Buffer {
  const content = { store, writer, first, seq, hash: hash.toString('hex') };
  return Buffer.from(`ridgewatch-audit-head-1 ${canonicalText(content)}`);
}

export function isSigned(head: SignedHead, signature: Uint8Array, key: KeyObject): boolean {
  return verify(null, bytesOf(head), key, signature);
}

/** A record before it has its place. */
export type UnchainedRecord = Omit<AuditRecord, 'v' | 'writer' | 'seq' | 'salt' | 'genesis'>;

/** The end of a writer's chain. It advances only when its records are kept. */
export class Chain {
  readonly writer: string;
  readonly #store: string;
  readonly #signer: HeadSigner;
  #seq = 0;
  #hash: Buffer = NO_HASH;

  /** @param store - identity of the store */
  constructor(writer: string, store: string, signer: HeadSigner) {
    this.writer = writer;
    this.#store = store;
    this.#signer = signer;
  }

  get head(): Head {
    return { writer: this.writer, seq: this.#seq, hash: this.#hash.toString('hex') };
  }

  /** Makes a batch that follows the chain; the last record is signed. The chain stays as it is. */
  batchOf(records: readonly UnchainedRecord[], genesis?: Genesis): ChainedRecord[] {
    const first = this.#seq + 1;
    let hash = this.#hash;
    return records.map((record, i) => {
      const seq = first + i;
      const place = { v: 1, writer: this.writer, seq, salt: randomBytes(SALT_BYTES).toString('base64url') };
      const text = canonicalText({ ...record, ...place, ...(genesis !== undefined && { genesis }) });
      hash = hashOf(hash, digestOf(text));
      const head = { store: this.#store, writer: this.writer, first, seq, hash };
      const signature = i === records.length - 1 ? this.#signer.sign(bytesOf(head)) : undefined;
      return { writer: this.writer, seq, text, hash, signature };
    });
  }

  /** Continues after a batch. */
  advance(batch: readonly ChainedRecord[]): void {
    const last = batch.at(-1);
    if (last === undefined) return;
    this.#seq = last.seq;
    this.#hash = last.hash;
  }
}
