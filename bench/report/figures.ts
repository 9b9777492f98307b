/** What of measurements is worth a line of its own. */
import type { BenchDocument } from '../harness/document.ts';
import type { Figure, Reader } from './figure.ts';
import { ACCURACY } from './readers/accuracy.ts';
import { OPERATIONS } from './readers/operations.ts';
import { SEARCHES } from './readers/searches.ts';

const READERS: Readonly<Partial<Record<string, Reader>>> = { ...SEARCHES, ...OPERATIONS, ...ACCURACY };

/**
 * The figures of a document; none of a bench that has no reader.
 * @throws Error when one is not a number: the bench prints something else than its reader knows
 */
export function figuresOf({ bench, result }: BenchDocument): Figure[] {
  const parts = READERS[bench]?.(result) ?? [];
  for (const { name, value } of parts)
    if (typeof value !== 'number' || Number.isNaN(value)) throw new Error(`${bench}: "${name}" is not a number`);
  return parts.map((part) => ({ bench, ...part }));
}
