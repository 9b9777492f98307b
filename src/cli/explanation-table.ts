import Table from 'cli-table3';
import type { SampleScore } from '../contract/generated/ridgewatch/v1/sample.ts';
import { pointsInWords } from './explanation-drawing.ts';

/** The explained scores as text, one table each. */
export function renderExplanations(scores: readonly SampleScore[], nameOf: (score: SampleScore) => string): string[] {
  return scores.flatMap((score) => {
    const { explanation } = score;
    if (explanation === undefined) return [];
    const table = new Table({
      head: ['term', 'measures', 'points'],
      colAligns: ['left', 'left', 'right'],
      colWidths: [null, 72, null],
      wordWrap: true,
      style: { head: [], border: [], compact: true },
    });
    for (const { name, meaning, points } of explanation.terms) table.push([name, meaning, pointsInWords(points)]);
    const pairs = `${explanation.pairs.length} paired minutiae`;
    return [`${nameOf(score)}: score ${explanation.score}, ${pairs}.`, table.toString()];
  });
}
