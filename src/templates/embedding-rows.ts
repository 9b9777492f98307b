import { Failure } from '../failure.ts';
import { decodeFloat32Embedding, type EmbeddingDescription } from './face-embedding.ts';
import type { FaceTemplate } from './face-template.ts';

/** A face and the person it belongs to. */
export interface LabelledFace {
  readonly person: string;
  readonly template: FaceTemplate;
}

/**
 * Reads embeddings from two files: rows of little-endian floats, and a text with a header line and then one line per
 * row, with the person in its first tab-separated column.
 * @throws Failure ROWS_INVALID when rows and lines differ in number, or a line has no person; TemplateError's reasons,
 * with the row
 */
export function decodeEmbeddingRows(
  rows: Uint8Array,
  labels: string,
  description: EmbeddingDescription,
): LabelledFace[] {
  const people = labels
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t')[0].trim());
  const bytes = description.dimension * 4;
  if (rows.length !== people.length * bytes) {
    const sentence = `There are ${rows.length} bytes, and ${people.length} labels: ${description.dimension} components for each would be ${people.length * bytes} bytes.`;
    throw new Failure('invalid-argument', 'ROWS_INVALID', sentence);
  }
  return people.map((person, row) => {
    if (person === '') {
      throw new Failure('invalid-argument', 'ROWS_INVALID', `Line ${row + 2} of the labels names no person.`);
    }
    try {
      return { person, template: decodeFloat32Embedding(rows.subarray(row * bytes, (row + 1) * bytes), description) };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new Failure(error.kind, error.reason, `Row ${row + 1}: ${error.message}`, error.detail);
    }
  });
}
