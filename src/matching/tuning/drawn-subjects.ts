import type { SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { inSlices, SLICE_MS } from '../../gallery/slices.ts';

/**
 * A whole number that follows from a subject's id, for drawing subjects and for the random numbers of their probes
 * (FNV-1a, Fowler, Noll, Vo, with the last step of MurmurHash3). It protects nothing.
 */
export function numberOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

interface Drawn {
  readonly subject: SubjectEntry;
  readonly number: number;
}

/**
 * The subjects with the smallest numbers: spread over the gallery, and the same ones wherever the same subjects are,
 * whatever the order in which they came.
 * @param isWanted - subjects that may be drawn
 * @param isStopped - asked between any two turns of the event loop
 * @returns at most `count` subjects, by their numbers; undefined when stopped
 */
export async function drawSubjects(
  gallery: Gallery,
  count: number,
  isWanted: (subject: SubjectEntry) => boolean,
  isStopped: () => boolean,
): Promise<readonly SubjectEntry[] | undefined> {
  let drawn: Drawn[] = [];
  let most = Infinity;
  const reduce = () => {
    drawn.sort((a, b) => a.number - b.number || (a.subject.subjectId < b.subject.subjectId ? -1 : 1));
    drawn = drawn.slice(0, count);
    if (drawn.length === count) most = drawn[count - 1]?.number ?? most;
  };
  function* draw() {
    for (let ordinal = 0; ordinal < gallery.ordinalEnd; ordinal++) {
      const subject = gallery.subjectWithOrdinal(ordinal);
      if (subject !== undefined) {
        const number = numberOf(subject.subjectId);
        if (number <= most && isWanted(subject)) drawn.push({ subject, number });
        if (drawn.length > 2 * count) reduce();
      }
      yield;
    }
  }
  if (!(await inSlices(draw(), SLICE_MS, isStopped))) return undefined;
  reduce();
  return drawn.map(({ subject }) => subject);
}
