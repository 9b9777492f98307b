/** Comparison scores as a file that other programs can read. */
import type { ScoredSet } from '../scores/scored-set.ts';

/**
 * CSV (RFC 4180, lines end with LF), header `probe,reference,score`: every comparison once (a score is the same in
 * either direction), the smaller name first, in order of the names. The score is empty where the comparison failed.
 * Names are the records' paths in their set, after the set's name if there are several sets.
 */
export function scoreFile(sets: readonly ScoredSet[]): string {
  const lines = sets.flatMap(({ set, pairs, scores }) => {
    const names = set.list.map(({ name }) => field(sets.length > 1 ? `${set.name}/${name}` : name));
    return Array.from(scores, (score, i) => {
      const [one, other] = [names[pairs[2 * i]], names[pairs[2 * i + 1]]];
      return `${one < other ? `${one},${other}` : `${other},${one}`},${score < 0 ? '' : score}`;
    });
  });
  return ['probe,reference,score', ...lines.sort(), ''].join('\n');
}

function field(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
