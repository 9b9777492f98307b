/**
 * MACs over what decides who is found: the row of a subject, its memberships and its references. The database holds
 * them, and not their key: an attacker who changes rows there cannot make the MAC that would fit.
 *
 * A MAC consists of a digest of the memberships, a digest of each reference, and an HMAC-SHA-256 over the row of the
 * subject and these digests. The digests keep the parts apart: where blocks of the database cannot be read, the parts
 * that can be read are still proven, and an update renews those that it changes and no others.
 *
 * Templates are not part of it. Their encryption binds them to the id of their reference, which never gets another one:
 * a rotation of the keys may encrypt them again while the MAC stays.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Keys } from '../security/keys.ts';
import type { NewReference, SubjectRecord } from './records.ts';

/** SHA-256, and HMAC with it. */
const DIGEST_BYTES = 32;

/** The columns of a subject's MAC. */
export interface MacColumns {
  readonly mac: Buffer | null;
  readonly mac_key_id: string | null;
}

export interface RowMac {
  readonly keyId: string;
  /** Digest of the memberships, digests of the references, HMAC: 32 bytes each. */
  readonly bytes: Buffer;
}

/** What a MAC says of the rows that belong to a subject. */
export interface ProvenParts {
  readonly galleries: Buffer;
  /** In the order of the references at the enrolment. */
  readonly references: readonly Buffer[];
}

/** Most subjects share their galleries with those read just before. */
let lastGalleries: { readonly text: string; readonly digest: Buffer } = { text: '', digest: Buffer.alloc(0) };

/** @param galleries - in any order, without repetitions */
export function galleriesDigest(galleries: readonly string[]): Buffer {
  const sorted = galleries.length < 2 ? galleries : [...galleries].sort();
  const text = JSON.stringify(sorted);
  if (text !== lastGalleries.text) lastGalleries = { text, digest: digestOf('galleries', sorted) };
  return Buffer.from(lastGalleries.digest);
}

/** @param ordinal - place among the subject's references */
export function referenceDigest(ordinal: number, reference: Omit<NewReference, 'template'>): Buffer {
  return digestOf('reference', [
    reference.referenceId,
    ordinal,
    reference.modality,
    reference.fingerPosition,
    reference.format,
    reference.storedFormat,
    reference.quality,
    reference.modelId ?? null,
    reference.dimension ?? null,
    reference.minutiaCount,
    reference.comparable,
    reference.captureTime?.getTime() ?? null,
  ]);
}

/** The parts of a subject that is written. */
export function partsOf(
  galleries: readonly string[],
  references: readonly Omit<NewReference, 'template'>[],
): ProvenParts {
  const digests = references.map((reference, ordinal) => referenceDigest(ordinal, reference));
  return { galleries: galleriesDigest(galleries), references: digests };
}

/** Makes the MAC of a subject with the current key. */
export function macOf(keys: Keys, subject: SubjectRecord, { galleries, references }: ProvenParts): RowMac {
  const keyId = keys.ring.currentId;
  const parts = Buffer.concat([galleries, ...references]);
  return { keyId, bytes: Buffer.concat([parts, tagOf(keys, keyId, subject, parts)]) };
}

/**
 * Checks the MAC of a subject's row.
 * @returns what it says of the memberships and references; undefined: it is not the MAC of this row
 * @throws Failure KEY_MISSING
 */
export function openMac(keys: Keys, subject: SubjectRecord, columns: MacColumns): ProvenParts | undefined {
  const parts = provenBytes(keys, subject, columns);
  return parts && splitParts(parts);
}

/** As `openMac`, with the digests of memberships and references in one piece. @throws Failure KEY_MISSING */
export function provenBytes(
  keys: Keys,
  subject: SubjectRecord,
  { mac, mac_key_id: keyId }: MacColumns,
): Buffer | undefined {
  if (mac === null || keyId === null) return undefined;
  if (mac.length % DIGEST_BYTES !== 0 || mac.length < 2 * DIGEST_BYTES) return undefined;
  const parts = mac.subarray(0, -DIGEST_BYTES);
  return timingSafeEqual(tagOf(keys, keyId, subject, parts), mac.subarray(-DIGEST_BYTES)) ? parts : undefined;
}

export function splitParts(parts: Buffer): ProvenParts {
  const digests = Array.from({ length: parts.length / DIGEST_BYTES }, (_, i) =>
    parts.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES),
  );
  const [galleries = parts, ...references] = digests;
  return { galleries, references };
}

/**
 * JSON of an array of fixed length is unambiguous, and contains no zero byte, which ends it. Rows have MACs of the first
 * form since before there was more to say, and still have where there is not: taking away what the second form says
 * leaves a row that has no MAC of the first.
 */
function tagOf(keys: Keys, keyId: string, subject: SubjectRecord, parts: Buffer): Buffer {
  const facts = [
    subject.subjectId,
    subject.version,
    subject.contributor,
    subject.externalId ?? null,
    subject.caveats,
    subject.provenance,
    subject.expireTime?.getTime() ?? null,
    subject.createTime.getTime(),
    subject.updateTime.getTime(),
  ];
  const more = lifeFacts(subject);
  const text =
    more === undefined
      ? `ridgewatch subject 1 ${JSON.stringify(facts)}\0`
      : `ridgewatch subject 2 ${JSON.stringify([...facts, ...more])}\0`;
  return createHmac('sha256', keys.key(keyId, 'row')).update(text).update(parts).digest();
}

/** @returns undefined: there is nothing to say that the first form does not */
function lifeFacts({ reviewTime, suspended, minorUntil, handling }: SubjectRecord): readonly unknown[] | undefined {
  if (reviewTime === undefined && !suspended && minorUntil === undefined && handling === undefined) return undefined;
  const { code, instructions, contact } = handling ?? {};
  return [
    reviewTime?.getTime() ?? null,
    suspended,
    minorUntil?.getTime() ?? null,
    code === undefined ? null : [code, instructions, contact],
  ];
}

function digestOf(what: string, facts: readonly unknown[]): Buffer {
  return hash('sha256', `ridgewatch ${what} 1 ${JSON.stringify(facts)}`, 'buffer');
}
