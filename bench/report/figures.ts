/** The figures of measurements. */
import type { BenchDocument } from '../harness/document.ts';
import type { Figure, Reader } from './figure.ts';
import { ACCURACY } from './readers/accuracy.ts';
import { OPERATIONS } from './readers/operations.ts';
import { SEARCHES } from './readers/searches.ts';

const READERS: Readonly<Partial<Record<string, Reader>>> = { ...SEARCHES, ...OPERATIONS, ...ACCURACY };

/**
 * The figures of a document; none for a bench without a reader.
 * @throws Error if one is not a number: the output of the bench does not fit its reader
 */
export function figuresOf({ bench, result }: BenchDocument): Figure[] {
  const parts = READERS[bench]?.(result) ?? [];
  for (const { name, value } of parts)
    if (typeof value !== 'number' || Number.isNaN(value)) throw new Error(`${bench}: "${name}" is not a number`);
  return parts.map((part) => ({ bench, ...part }));
}
