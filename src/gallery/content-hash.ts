import { createHash } from 'node:crypto';
import { partitionKey, type SubjectEntry } from './catalogue.ts';
import type { Gallery } from './gallery.ts';
import { encodeSubject } from './subject-lines.ts';
import { inSlices, SLICE_MS } from './slices.ts';
import { isBefore } from './subject-filter.ts';

/** 2^256, the number of SHA-256 digests. */
const MODULUS = 1n << 256n;

export interface ContentHash {
  /** The gallery version that was hashed. */
  readonly version: number;
  readonly subjects: number;
  /** Hexadecimal. Equal for two galleries in which searches find the same. */
  readonly hash: string;
}

/**
 * A hash of everything that searches can find at the instant at which it starts: subjects that are searched, minors included, their attributes,
 * and their packed references byte for byte. It does not depend on order or place: the digests of all subjects are
 * added (Bellare, Micciancio, "A new paradigm for collision-free hashing: incrementality at reduced cost", EUROCRYPT
 * 1997). A subject that changes meanwhile is subtracted and added again. The hash shows whether two replicas agree. It
 * is no protection against galleries crafted to collide.
 * @param models - the models that made the references
 * @param sliceMs - 0: a turn of the event loop between any two subjects
 * @throws what the signal was aborted with
 */
export async function contentHash(
  gallery: Gallery,
  models: object,
  { sliceMs = SLICE_MS, signal }: { readonly sliceMs?: number; readonly signal?: AbortSignal } = {},
): Promise<ContentHash> {
  let sum = 0n;
  let next = 0;
  let subjects = 0;
  const instant = gallery.now();
  const add = (subject: SubjectEntry, times: 1 | -1) => {
    if (!isBefore(instant, subject.attributes.searchedUntilMs)) return;
    subjects += times;
    sum += BigInt(times) * digestOf(subject);
  };
  const isCounted = ({ ordinal }: SubjectEntry) => ordinal < next;
  const stop = gallery.observe({
    before: (subject) => {
      if (isCounted(subject)) add(subject, -1);
    },
    after: (subject) => {
      if (isCounted(subject)) add(subject, 1);
    },
  });
  let found: ContentHash | undefined;
  function* count() {
    while (next < gallery.ordinalEnd) {
      const subject = gallery.subjectWithOrdinal(next++);
      if (subject !== undefined) add(subject, 1);
      yield;
    }
    // Read in the same step as the last subject: after another await there may be more subjects.
    const { version } = gallery;
    const total = (((sum % MODULUS) + MODULUS) % MODULUS).toString(16);
    const content = JSON.stringify([models, subjects, total]);
    found = { version, subjects, hash: createHash('sha256').update(content).digest('hex') };
  }
  try {
    await inSlices(count(), sliceMs, () => signal?.aborted === true);
  } finally {
    stop();
  }
  signal?.throwIfAborted();
  if (found === undefined) throw new Error('the count did not come to its end');
  return found;
}

function digestOf({ subjectId, attributes, references }: SubjectEntry): bigint {
  const names = references.map(({ referenceId, partition }) => [referenceId, partitionKey(partition)] as const);
  const digest = createHash('sha256').update(encodeSubject({ subjectId, attributes, references: names }));
  for (const { segment, index } of references) digest.update(segment.packed(index));
  return BigInt(`0x${digest.digest('hex')}`);
}
