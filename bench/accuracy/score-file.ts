/** Comparison scores as a CSV file. */
import type { ScoredSet } from '../scores/scored-set.ts';

/**
 * CSV (RFC 4180, lines end with LF), header `probe,reference,score`. Scores are symmetric: every comparison occurs once,
 * the smaller name first, sorted by name. The score of a failed comparison is empty. Names are the records' paths in their
 * set, after the set's name if there are several sets.
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
