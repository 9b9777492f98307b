import type { SubjectEntry } from './catalogue.ts';
import type { Gallery } from './gallery.ts';
import { inSlices, SLICE_MS } from './slices.ts';

/**
 * The subjects with the smallest ids above a given one, ascending. Reads all subjects in memory, with turns of the event
 * loop in between; a change meanwhile is seen or not.
 * @param afterId - empty: from the first subject
 * @param isWanted - subjects to list
 * @throws the signal's reason
 */
export async function subjectsAfter(
  gallery: Gallery,
  afterId: string,
  count: number,
  isWanted: (subject: SubjectEntry) => boolean,
  signal: AbortSignal,
): Promise<readonly SubjectEntry[]> {
  let found: SubjectEntry[] = [];
  let lastId: string | undefined;
  const keepFirst = () => {
    found.sort((a, b) => (a.subjectId < b.subjectId ? -1 : 1));
    found = found.slice(0, count);
    if (found.length === count) lastId = found.at(-1)?.subjectId;
  };
  function* list() {
    for (let ordinal = 0; ordinal < gallery.ordinalEnd; ordinal++) {
      const subject = gallery.subjectWithOrdinal(ordinal);
      if (subject !== undefined && subject.subjectId > afterId && isWanted(subject)) {
        if (lastId === undefined || subject.subjectId < lastId) found.push(subject);
        if (found.length >= 2 * count) keepFirst();
      }
      yield;
    }
  }
  await inSlices(list(), SLICE_MS, () => signal.aborted);
  signal.throwIfAborted();
  keepFirst();
  return found;
}
